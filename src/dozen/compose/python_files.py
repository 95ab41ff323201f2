"""Puts Python into a tree: the standard library without what the recipe leaves out, packages, and our own rooms."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import NamedTuple

import msgspec

from dozen import __version__
from dozen.compose.bundle import make_bundle
from dozen.compose.bytecode import Source, compile_all
from dozen.compose.contents import Sources, file_entry
from dozen.compose.errors import RecipeError
from dozen.compose.objects import get_object, object_path, put_object
from dozen.compose.recipes import Own, Recipe, Site, Stdlib
from dozen.compose.strip import strip_all
from dozen.compose.toolroot import ToolRoot
from dozen.compose.tree import Entry, Tree, Why
from dozen.compose.unpack import PackageFile, read_file
from dozen.compose.wheels import Wheel

STDLIB = "/usr/lib/python3.13"
SITE = "/usr/lib/dozen"
LIBRARY = "usr/lib/python3.13/"


class Python(NamedTuple):
    """The node's Python: sources of our own modules by name, and the bundles, path → object."""

    own: dict[str, bytes]
    bundles: dict[str, str]


class Item(NamedTuple):
    """A file with the path that it would have as it is; what ends in ``.py`` becomes part of a bundle."""

    path: str
    file: PackageFile
    why: Why


def add_python(tree: Tree, sources: Sources, wheels: list[Wheel], toolroot: ToolRoot) -> Python:
    """Everything below /usr/lib/python3.13 and /usr/lib/dozen."""
    items: list[Item] = []
    for recipe in sources.recipes.all:
        if recipe.stdlib:
            items += stdlib_items(recipe, recipe.stdlib, sources)
        if recipe.site:
            items += site_items(recipe, recipe.site, wheels)
        if recipe.own:
            items += own_items(recipe, recipe.own, sources.project)
    modules = [item for item in items if item.path.endswith(".py")]
    bare = strip_all([item.file.sha256 for item in items if item.path.startswith(SITE) and item.file.elf], toolroot)
    compiled = compile_all([Source(item.path, item.file.sha256) for item in modules], toolroot)
    bundles = add_bundles(tree, modules, compiled)
    for item in items:
        if item.path not in compiled:
            sha256 = bare.get(item.file.sha256, item.file.sha256)
            file = msgspec.structs.replace(item.file, sha256=sha256, size=object_path(sha256).stat().st_size)
            tree.add(file_entry(item.path, file, item.why))
    own = {item.path: item.file.sha256 for item in modules if item.path.startswith(f"{SITE}/dozen/")}
    return Python({dotted_name(path): get_object(sha256) for path, sha256 in own.items()}, bundles)


def add_bundles(tree: Tree, modules: list[Item], compiled: Mapping[str, str]) -> dict[str, str]:
    """One bundle for the modules of each package (`dozen.compose.bundle`). Gives path → object."""
    groups: dict[tuple[str, Why], list[Item]] = {}
    for item in modules:
        groups.setdefault((SITE if item.path.startswith(f"{SITE}/") else STDLIB, item.why), []).append(item)
    made = {}
    for (directory, why), group in groups.items():
        code = {item.path.removeprefix(f"{directory}/"): get_object(compiled[item.path]) for item in group}
        data = make_bundle(code)
        reason = f"{why.reason} Compiled, in one file: {len(code)} modules."
        path = f"{directory}/{why.package or why.recipe}.bundle"
        made[path] = put_object(data)
        whole = msgspec.structs.replace(why, reason=reason)
        tree.add(Entry(path, "file", 0o644, whole, len(data), made[path]))
    return made


def dotted_name(path: str) -> str:
    """``/usr/lib/dozen/dozen/node/__init__.py`` → ``dozen.node``."""
    return path.removeprefix(f"{SITE}/").removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def excluded(path: str, globs: tuple[str, ...]) -> bool:
    return any(fnmatchcase(path, glob) for glob in globs)


def stdlib_items(recipe: Recipe, stdlib: Stdlib, sources: Sources) -> Iterator[Item]:
    unused = set(stdlib.excluding)
    for name in recipe.packages:
        package = sources.package(recipe, name)
        for file in package.files:
            below = file.path.removeprefix(LIBRARY)
            if below == file.path or file.target or not below.endswith((".py", ".so")):
                continue
            hits = {glob for glob in stdlib.excluding if fnmatchcase(below, glob)}
            unused -= hits
            if not hits:
                reason = stdlib.extensions if below.endswith(".so") else stdlib.reason
                why = Why(recipe.name, reason, package.name, package.version, recipe.licence)
                yield Item(f"{STDLIB}/{below}", file, why)
    if unused:
        globs = ", ".join(sorted(unused))
        raise RecipeError(f"recipes/{recipe.name}: stdlib.excluding names what is not there: {globs}; remove it")


def site_items(recipe: Recipe, site: Site, wheels: list[Wheel]) -> Iterator[Item]:
    for wheel in wheels:
        reason = site.reasons.get(wheel.name)
        licence = site.licences.get(wheel.name) or wheel.licence
        if not reason or not licence:
            lacks = "a reason" if not reason else "a licence"
            raise RecipeError(
                f"recipes/{recipe.name}/node.txt pins {wheel.name} {wheel.version} without {lacks}: say under "
                f"[site.{'reasons' if not reason else 'licences'}] in recipes/{recipe.name}/recipe.toml, or remove it"
            )
        for file in wheel.files:
            if not excluded(file.path, site.excluding):
                yield Item(f"{SITE}/{file.path}", file, Why(recipe.name, reason, wheel.name, wheel.version, licence))


def own_items(recipe: Recipe, own: Own, project: Path) -> Iterator[Item]:
    root = project / "src" / "dozen"
    why = Why(recipe.name, own.reason, "dozen", __version__, recipe.licence)
    paths = [root / "__init__.py", *(path for room in own.rooms for path in sorted((root / room).rglob("*.py")))]
    left_out = {root / name for name in own.excluding}
    if stray := left_out.difference(paths):
        raise RecipeError(f"recipes/{recipe.name}: own.excluding names {min(stray)}, which is not there; remove it")
    for path in paths:
        if path in left_out:
            continue
        name = path.relative_to(root.parent).as_posix()
        yield Item(f"{SITE}/{name}", read_file(name, path.read_bytes()), why)
    for name, reason in own.data.items():
        path = root / name
        if not path.exists():
            raise RecipeError(f"recipes/{recipe.name} wants src/dozen/{name}, which is not there")
        file = read_file(name, path.read_bytes())
        yield Item(f"{SITE}/dozen/{name}", file, Why(recipe.name, reason, "dozen", __version__, recipe.licence))
