"""Chooses kernel modules: those that the recipe names, what they depend on, and the indexes that modprobe reads.

Dependencies come from the modules themselves (``depends`` and ``softdep`` in .modinfo). The binary indexes are made by
depmod of the toolroot over exactly the chosen modules, since an index that names others would be wrong.
"""

from __future__ import annotations

import posixpath
import re
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

import msgspec

from dozen.compose.cache import cache_dir, stage_key, write_whole
from dozen.compose.contents import Sources, file_entry, package_why
from dozen.compose.errors import RecipeError
from dozen.compose.objects import get_object, object_path, put_object
from dozen.compose.recipes import Recipe
from dozen.compose.toolroot import ToolRoot
from dozen.compose.tree import Entry, Tree
from dozen.compose.unpack import Package, PackageFile

# What libkmod opens. The text form of modules.dep is for machined, which loads modules by itself.
INDEXES = {
    "modules.alias.bin": "Index of aliases: which driver serves a device.",
    "modules.builtin.alias.bin": "Index of the aliases of what is built into the kernel.",
    "modules.builtin.bin": "Index of what is built into the kernel and need not be loaded.",
    "modules.builtin.modinfo": "Parameters and aliases of what is built into the kernel.",
    "modules.dep": "Which module needs which; read by machined.",
    "modules.dep.bin": "Index of dependencies between modules.",
    "modules.devname": "Device nodes that exist before their driver is loaded.",
    "modules.softdep": "Modules that should be loaded together.",
    "modules.symbols.bin": "Index of symbols, for modules from outside of the image.",
}
SHIPPED = ("modules.builtin", "modules.builtin.modinfo", "modules.order")


@dataclass(frozen=True, slots=True)
class Kernel:
    """The kernel of an image. ``early``: modules for stage 1, in the order to load them, with first, beside or root."""

    package: Package
    version: str
    vmlinuz: PackageFile
    early: tuple[tuple[Entry, str], ...]


class ModuleSet:
    """A kernel package's modules by name (``-`` and ``_`` are the same there), and what is built in."""

    def __init__(self, package: Package) -> None:
        self.package = package
        self.modules = {module_name(file.path): file for file in package.files if file.path.endswith(".ko")}
        builtin = next(file for file in package.files if file.path.endswith("/modules.builtin"))
        self.folder = posixpath.dirname(builtin.path)
        self.builtin = {module_name(line) for line in get_object(builtin.sha256).decode().split()}

    def expand(self, pattern: str, recipe: Recipe) -> list[str]:
        """Modules that a name or glob of the recipe means; raises RecipeError when the kernel knows none."""
        plain = pattern.replace("-", "_")
        hits = sorted(name for name in self.modules if fnmatchcase(name, plain))
        if not hits and not any(fnmatchcase(name, plain) for name in self.builtin):
            raise RecipeError(
                f"recipes/{recipe.name} wants the module {pattern}, which {self.package.name} does not have: "
                f"remove it from the recipe"
            )
        return hits

    def needs(self, name: str) -> list[str]:
        """What a module needs loaded before it."""
        file = self.modules[name]
        soft = re.findall(r"[\w-]+:?", " ".join(file.softdep))
        names = [*file.depends, *(word for word in soft if not word.endswith(":"))]
        plain = (word.replace("-", "_") for word in names)
        return [word for word in plain if word in self.modules]


def module_name(path: str) -> str:
    return posixpath.basename(path).removesuffix(".ko").replace("-", "_")


def add_kernel(tree: Tree, sources: Sources, toolroot: ToolRoot) -> Kernel:
    """Add the modules and indexes of the one recipe that has a kernel."""
    recipe = next(recipe for recipe in sources.recipes.all if recipe.follow)
    package = sources.package(recipe)
    modules = ModuleSet(package)
    early: dict[str, str] = {}
    for group in recipe.modules:
        for pattern in group.names:
            for name in modules.expand(pattern, recipe):
                if group.early:
                    early.update(dict.fromkeys(in_load_order(modules, name, early), group.early))
                add_module(tree, modules, name, recipe, group.reason)
    for name, path in make_indexes(tree, modules, toolroot).items():
        why = package_why(recipe, package, INDEXES[name])
        data = object_path(path)
        tree.add(Entry(f"/{modules.folder}/{name}", "file", 0o644, why, data.stat().st_size, path))
    vmlinuz = next(file for file in package.files if file.path.startswith("boot/vmlinuz-"))
    entries = tuple((tree.entries[f"/{modules.modules[name].path}"], word) for name, word in early.items())
    return Kernel(package, posixpath.basename(modules.folder), vmlinuz, entries)


def add_module(tree: Tree, modules: ModuleSet, name: str, recipe: Recipe, reason: str, wanter: str = "") -> None:
    """Add a module and what it needs."""
    path = f"/{modules.modules[name].path}"
    if path not in tree.entries:
        why = package_why(recipe, modules.package, reason)
        tree.add(file_entry(path, modules.modules[name], why))
        for other in modules.needs(name):
            add_module(tree, modules, other, recipe, f"A module that others need: {reason}", path)
    if wanter:
        tree.want(path, wanter)


def in_load_order(modules: ModuleSet, name: str, have: Iterable[str]) -> list[str]:
    """A module behind all that it needs, without those that are loaded already."""
    order = list(have)
    start = len(order)

    def visit(current: str) -> None:
        if current not in order:
            for other in modules.needs(current):
                visit(other)
            order.append(current)

    visit(name)
    return order[start:]


def make_indexes(tree: Tree, modules: ModuleSet, toolroot: ToolRoot) -> dict[str, str]:
    """Index file → object, made by depmod over the modules in the tree."""
    chosen = [entry for entry in tree.sorted() if entry.path.endswith(".ko")]
    shipped = [file for file in modules.package.files if posixpath.basename(file.path) in SHIPPED]
    parts = [f"{entry.path}={entry.sha256}" for entry in chosen] + [file.sha256 for file in shipped]
    result = cache_dir() / "depmod" / stage_key("depmod", "2", toolroot.key, *parts)
    if result.exists():
        return msgspec.json.decode(result.read_bytes(), type=dict[str, str])
    with tempfile.TemporaryDirectory(prefix="dozen-depmod-") as scratch:
        base = Path(scratch)
        for path, sha256 in [(entry.path[1:], entry.sha256) for entry in chosen] + [
            (file.path, file.sha256) for file in shipped
        ]:
            target = base / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(get_object(sha256))
        (base / "lib").symlink_to("usr/lib")
        toolroot.run(["depmod", "-b", "/tmp/base", posixpath.basename(modules.folder)], {base: "/tmp/base"})
        made = {name: put_object((base / modules.folder / name).read_bytes()) for name in INDEXES}
    write_whole(result, msgspec.json.encode(made))
    return made
