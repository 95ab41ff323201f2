"""Checks that the node's Python can import all that it names, before an image is booted to find out.

The standard library of an image is a part of the whole, so a new ``import`` in a node's module can name something that
is left out. Every import of our own modules is tried, those inside functions too (they run late, on a live node), by
the toolroot's interpreter with nothing on its path but the image's files.
"""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator
from pathlib import Path
from typing import TypeGuard

from dozen.compose.cache import cache_dir, stage_key
from dozen.compose.toolroot import ToolRoot

ROOT = "/tmp/image"
PATHS = ("/usr/lib/dozen", "/usr/lib/python3.13", "/usr/lib/python3.13/lib-dynload")

# The launcher's built-in module is stood in for: only its presence matters here.
TRIER = """
import json, marshal, os, struct, sys, types
root, paths, wanted = json.load(sys.stdin)
import importlib
sys.path[:] = [root + path for path in paths]
sys.path_importer_cache.clear()
class Stand(types.ModuleType):
    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return type(name, (), {})
sys.modules["_dozen"] = Stand("_dozen")
from importlib.machinery import ModuleSpec
class Bundles:
    # What launcher/bundle.c does.
    def __init__(self):
        self.known = {}
        for folder in paths[:2]:
            for name in os.listdir(root + folder):
                if name.endswith(".bundle"):
                    self.add(root + folder, open(f"{root}{folder}/{name}", "rb").read())
    def add(self, folder, data):
        for number in range(struct.unpack_from("<I", data, 8)[0]):
            name, package, code, size = struct.unpack_from("<IIII", data, 16 + 16 * number)
            name = data[name : data.index(0, name)].decode()
            self.known[name] = (f"{folder}/{name.replace('.', '/')}", package, data[code : code + size])
    def find_spec(self, name, path=None, target=None):
        if name not in self.known:
            return None
        place, package, _ = self.known[name]
        file = f"{place}/__init__.pyc" if package else f"{place}.pyc"
        spec = ModuleSpec(name, self, origin=file, is_package=bool(package))
        spec.has_location = True
        if package:
            spec.submodule_search_locations = [place]
        return spec
    def create_module(self, spec):
        return None
    def exec_module(self, module):
        code = self.known[module.__spec__.name][2]
        if code:
            exec(marshal.loads(code), module.__dict__)
sys.meta_path.insert(0, Bundles())
failed = []
for user, module, name in wanted:
    try:
        found = importlib.import_module(module)
        if name and not hasattr(found, name):
            importlib.import_module(f"{module}.{name}")
    except ImportError as error:
        failed.append((user, module, name, str(error)))
json.dump(failed, sys.stdout)
"""


def failing_imports(own: dict[str, bytes], files: dict[str, str], image: Path, toolroot: ToolRoot) -> list[str]:
    """``own``: our modules' names and sources; ``files``: path → hash of the image's Python; ``image``: its tree.

    Gives a sentence for each import that fails on the node.
    """
    wanted = sorted({found for name, source in own.items() for found in imports_of(name, source)})
    parts = [f"{path}={sha256}" for path, sha256 in sorted(files.items())]
    passed = cache_dir() / "imports" / stage_key("imports", "1", toolroot.key, TRIER, *parts)
    if passed.exists():
        return []
    argv = ["python3.13", "-I", "-S", "-B", "-X", "utf8", "-c", TRIER]
    said = toolroot.run(argv, {image: ROOT}, input=json.dumps([ROOT, PATHS, wanted]).encode())
    problems = [
        f"{user} imports {'.'.join(filter(None, (module, name)))}, which fails on the node ({error}): "
        f"do without it, or take it in again in recipes/python/recipe.toml"
        for user, module, name, error in json.loads(said)
    ]
    if not problems:
        passed.parent.mkdir(parents=True, exist_ok=True)
        passed.touch()
    return problems


def imports_of(user: str, source: bytes) -> Iterator[tuple[str, str, str]]:
    """(user, module, name) of each import that a module can reach; those for type checkers or guarded are not."""
    skipped: set[ast.AST] = set()
    for node in ast.walk(ast.parse(source)):
        if is_guard(node):
            skipped.update(inner for part in node.body for inner in ast.walk(part))
        elif node in skipped:
            continue
        elif isinstance(node, ast.Import):
            yield from ((user, alias.name, "") for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level and node.module != "__future__":
            yield from ((user, node.module, alias.name) for alias in node.names)
    yield user, user, ""


def is_guard(node: ast.AST) -> TypeGuard[ast.If | ast.Try]:
    """``if TYPE_CHECKING:``, or ``try:`` with a handler for a failed import."""
    if isinstance(node, ast.If):
        return "TYPE_CHECKING" in ast.dump(node.test)
    kinds = [ast.dump(handler.type) for handler in node.handlers if handler.type] if isinstance(node, ast.Try) else []
    return any("ImportError" in kind or "ModuleNotFoundError" in kind for kind in kinds)
