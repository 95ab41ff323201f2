"""Compiles Python for the image, with the image's own interpreter version.

No source goes into an image. Modules are compiled by the toolroot's CPython without docstrings and assertions (-OO), as
``.pyc`` that is never compared with a source (PEP 552, unchecked hash). Each module's result is kept under the hash of
its source, so changing one file compiles one file.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Mapping
from pathlib import Path

import msgspec

from dozen.compose.cache import cache_dir, stage_key
from dozen.compose.errors import ComposeError, ToolError
from dozen.compose.objects import get_object, object_path, put_object
from dozen.compose.toolroot import ToolRoot

FORMAT = "1"

# Runs in the toolroot. What marshal writes depends on how often an object happens to be referenced at that moment; a
# second round over a freshly read copy takes the history of the process out of it.
COMPILER = """
import base64, importlib.util, json, marshal, sys
result = []
for name, text in json.load(sys.stdin):
    source = base64.b64decode(text)
    try:
        code = compile(source, name, "exec", dont_inherit=True, optimize=2)
    except (SyntaxError, ValueError) as error:
        sys.exit(f"{name}:{getattr(error, 'lineno', '?')}: {error}")
    data = marshal.dumps(marshal.loads(marshal.dumps(code)))
    head = importlib.util.MAGIC_NUMBER + (1).to_bytes(4, "little") + importlib.util.source_hash(source)
    result.append(base64.b64encode(head + data).decode())
json.dump(result, sys.stdout)
"""


class Source(msgspec.Struct, frozen=True):
    """A module to compile. ``name`` is the path that tracebacks show; ``sha256`` its source's object."""

    name: str
    sha256: str


def compile_all(sources: Iterable[Source], toolroot: ToolRoot) -> Mapping[str, str]:
    """Module's ``name`` → object of its ``.pyc``. Raises ComposeError naming a file that does not compile."""
    made: dict[str, str] = {}
    missing: list[tuple[Source, Path]] = []
    for source in sources:
        result = cache_dir() / "bytecode" / stage_key("bytecode", FORMAT, toolroot.key, source.name, source.sha256)
        if result.exists() and object_path(name := result.read_text()).exists():
            made[source.name] = name
        else:
            missing.append((source, result))
    if missing:
        work = [(source.name, base64.b64encode(get_object(source.sha256)).decode()) for source, _ in missing]
        argv = ["python3.13", "-I", "-S", "-c", COMPILER]
        try:
            packed = toolroot.run(argv, input=json.dumps(work).encode())
        except ToolError as error:
            raise ComposeError(f"Python for the image does not compile: {error.said}") from error
        for (source, result), text in zip(missing, json.loads(packed), strict=True):
            name = put_object(base64.b64decode(text))
            result.parent.mkdir(parents=True, exist_ok=True)
            result.write_text(name)
            made[source.name] = name
    return made
