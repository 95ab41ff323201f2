"""Puts what the recipes list into a tree: programs, data, links, directories.

What is found by looking into these files (libraries, dependencies of modules, compiled Python) is the business of
`closure`, `kernel_modules` and `python_files`.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

import msgspec

from dozen import __version__
from dozen.compose.errors import RecipeError
from dozen.compose.objects import get_object, put_object
from dozen.compose.recipes import Binary, Data, Recipe, Recipes
from dozen.compose.tree import Entry, Tree, Why
from dozen.compose.unpack import Package, PackageFile, read_file

SUBSTITUTIONS = {"@VERSION@": __version__}


@dataclass(frozen=True, slots=True)
class Sources:
    """What recipes draw on. ``packages`` by name, a kernel also by the name of its metapackage."""

    recipes: Recipes
    packages: dict[str, Package]
    launcher: Path
    project: Path

    def package(self, recipe: Recipe, name: str = "") -> Package:
        """The package meant by a recipe: the named one, or its only one."""
        names = (*recipe.packages, *recipe.follow)
        wanted = name or (names[0] if names else "")
        if wanted not in names:
            raise RecipeError(
                f"recipes/{recipe.name} takes a file from {wanted or 'no package'}: list it in `packages`"
            )
        if wanted not in self.packages:
            raise RecipeError(f"the lock has no {wanted}, which recipes/{recipe.name} names: run `make lock`")
        return self.packages[wanted]


def add_recipe(tree: Tree, recipe: Recipe, sources: Sources) -> None:
    """All that a recipe lists by itself."""
    own = Why(recipe.name, "", version=__version__, licence=recipe.licence)
    for directory in recipe.directory:
        why = msgspec.structs.replace(own, reason=directory.reason)
        tree.add(Entry(directory.path, "directory", int(directory.mode, 8), why))
    for link in recipe.link:
        why = msgspec.structs.replace(own, reason=link.reason)
        tree.add(Entry(link.path, "link", 0o777, why, target=link.target))
    for binary in recipe.binary:
        add_binary(tree, recipe, binary, sources)
    for data in recipe.data:
        add_data(tree, recipe, data, sources)


def package_why(recipe: Recipe, package: Package, reason: str, licence: str = "") -> Why:
    """An entry's origin in a package of a recipe."""
    return Why(recipe.name, reason, package.name, package.version, licence or recipe.licence)


def add_binary(tree: Tree, recipe: Recipe, binary: Binary, sources: Sources) -> None:
    if recipe.origin == "launcher":
        file = read_file(binary.source, (sources.launcher / binary.source).read_bytes())
        why = Why(recipe.name, binary.reason, version=__version__, licence=recipe.licence)
    else:
        package = sources.package(recipe)
        file = package.find(binary.source, f"recipes/{recipe.name}")
        why = package_why(recipe, package, binary.reason)
    tree.add(file_entry(binary.path, file, why, mode=0o755))
    folder = posixpath.dirname(binary.path)
    name = posixpath.basename(binary.path)
    for other in binary.hardlinks:
        again = msgspec.structs.replace(why, reason=f"Another name of {binary.path}: the name decides what it does.")
        entry = file_entry(f"{folder}/{other}", file, again, mode=0o755)
        tree.add(msgspec.structs.replace(entry, kind="hardlink", target=binary.path))
    for other in binary.links:
        again = msgspec.structs.replace(why, reason=f"Another name of {binary.path}: the name decides what it does.")
        tree.add(Entry(f"{folder}/{other}", "link", 0o777, again, target=name))


def file_entry(path: str, file: PackageFile, why: Why, mode: int = 0o644) -> Entry:
    return Entry(path, "file", mode, why, size=file.size, sha256=file.sha256, xattrs=file.xattrs, elf=file.elf)


def add_data(tree: Tree, recipe: Recipe, data: Data, sources: Sources) -> None:
    if data.own:
        content = (sources.recipes.root / recipe.name / data.own).read_text()
        for mark, value in SUBSTITUTIONS.items():
            content = content.replace(mark, value)
        why = Why(recipe.name, data.reason, version=__version__, licence=recipe.licence)
        tree.add(file_entry(data.path, read_file(data.own, content.encode()), why))
        return
    package = sources.package(recipe, data.package)
    why = package_why(recipe, package, data.reason, data.licence)
    found = list(matching_files(package, data, recipe))
    if data.join:
        joined = b"".join(get_object(file.sha256) for file in found)
        tree.add(Entry(data.path, "file", 0o644, why, size=len(joined), sha256=put_object(joined)))
        return
    if not data.path.endswith("/") and len(found) != 1:
        raise RecipeError(f"recipes/{recipe.name}: {data.path} is one file but {data.source} matches {len(found)}")
    for file in found:
        path = data.path + posixpath.basename(file.path) if data.path.endswith("/") else data.path
        if file.target:
            tree.add(Entry(path, "link", 0o777, why, target=file.target))
        else:
            tree.add(file_entry(path, edited(file, data, recipe), why))


def matching_files(package: Package, data: Data, recipe: Recipe) -> Iterator[PackageFile]:
    """Files of the same depth as the glob (``*`` does not cross a slash); raises RecipeError when there is none."""
    depth = data.source.count("/")
    hits = 0
    for file in package.files:
        same = file.path.count("/") == depth and fnmatchcase(file.path, data.source)
        if same and not any(fnmatchcase(file.path, glob) for glob in data.excluding):
            hits += 1
            yield file
    if not hits:
        raise RecipeError(
            f"recipes/{recipe.name} wants {data.source} of {package.name} {package.version}, which has no such file"
        )


def edited(file: PackageFile, data: Data, recipe: Recipe) -> PackageFile:
    """The file after the recipe's replacements, each of which must find something."""
    if not data.replace:
        return file
    text = get_object(file.sha256).decode()
    for old, new in data.replace.items():
        if old not in text:
            raise RecipeError(
                f"recipes/{recipe.name}: {file.path} no longer holds {old!r}: see whether it still applies"
            )
        text = text.replace(old, new)
    return read_file(file.path, text.encode())
