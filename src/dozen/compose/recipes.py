"""Recipes: what each part of the image is, as data.

A recipe is a folder below ``recipes/`` with a ``recipe.toml`` and the files of our own that it brings along. It names
packages (their versions are in the lock), the files that it contributes, and for each the reason. Recipes hold no
logic: everything that can be said in one is a field below, and a field that is not below is an error.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import msgspec
from msgspec import Struct

from dozen.compose.cache import hash_sources
from dozen.compose.errors import RecipeError


class Binary(Struct, frozen=True, forbid_unknown_fields=True):
    """A program: where it goes, which file of the package it is, and why a node needs it.

    ``hardlinks`` and ``links`` are further names of the same file, in the same directory.
    """

    path: str
    source: str
    reason: str
    hardlinks: tuple[str, ...] = ()
    links: tuple[str, ...] = ()


class Data(Struct, frozen=True, forbid_unknown_fields=True):
    """Files that are only read. ``source`` is a glob over the package's files, ``own`` a file beside the recipe.

    A ``path`` that ends in a slash is a directory to put them in. ``join`` makes one file of all, in order of name.
    ``replace`` is applied to text; each key must occur. ``licence``: where it is not the recipe's.
    """

    path: str
    reason: str
    source: str = ""
    own: str = ""
    package: str = ""
    excluding: tuple[str, ...] = ()
    replace: dict[str, str] = {}
    join: bool = False
    licence: str = ""


class Link(Struct, frozen=True, forbid_unknown_fields=True):
    """A symbolic link."""

    path: str
    target: str
    reason: str


class Directory(Struct, frozen=True, forbid_unknown_fields=True):
    """An empty directory, mostly a mount point."""

    path: str
    reason: str
    mode: str = "0755"


class Modules(Struct, frozen=True, forbid_unknown_fields=True):
    """Kernel modules by name or glob; what they depend on comes along. One that is built in is no error.

    ``early``: also put into the initramfs and loaded there, ``first`` before the root file system is looked for, or
    ``beside`` while the boot goes on; or, ``root``, loaded beside the boot from the root image.
    """

    names: tuple[str, ...]
    reason: str
    early: Literal["", "first", "beside", "root"] = ""


class Dlopen(Struct, frozen=True, forbid_unknown_fields=True):
    """What the recipe's files may load while running: soname → reason why it comes along, or why it may be missing."""

    take: dict[str, str] = {}
    leave: dict[str, str] = {}


class Library(Struct, frozen=True, forbid_unknown_fields=True):
    """A package whose shared objects the closure may take."""

    licence: str
    reason: str


class Stdlib(Struct, frozen=True, forbid_unknown_fields=True):
    """Which part of Python's standard library stays out: globs over paths below ``/usr/lib/python3.13``."""

    reason: str
    excluding: tuple[str, ...]
    extensions: str


class Site(Struct, frozen=True, forbid_unknown_fields=True):
    """Python packages from wheels: normalized name → why the node needs it; ``excluding``: globs over their files."""

    reasons: dict[str, str]
    licences: dict[str, str] = {}
    excluding: tuple[str, ...] = ()


class Own(Struct, frozen=True, forbid_unknown_fields=True):
    """The project's own Python on the node: rooms of ``src/dozen`` and files beside their modules.

    ``excluding``: modules of these rooms that only the build machine and clients use; path → why.
    """

    rooms: tuple[str, ...]
    reason: str
    excluding: dict[str, str] = {}
    data: dict[str, str] = {}


class Recipe(Struct, frozen=True, forbid_unknown_fields=True):
    """One folder. ``origin``: debian, launcher (our C), or project (files of our own)."""

    summary: str
    licence: str
    name: str = ""
    origin: str = "debian"
    packages: tuple[str, ...] = ()
    follow: tuple[str, ...] = ()
    binary: tuple[Binary, ...] = ()
    data: tuple[Data, ...] = ()
    link: tuple[Link, ...] = ()
    directory: tuple[Directory, ...] = ()
    modules: tuple[Modules, ...] = ()
    dlopen: Dlopen = Dlopen()
    library: dict[str, Library] = {}
    stdlib: Stdlib | None = None
    site: Site | None = None
    own: Own | None = None


class Recipes(msgspec.Struct, frozen=True):
    """All recipes in order of name, and the hash of everything in their folders."""

    root: Path
    all: tuple[Recipe, ...]
    key: str

    def packages(self) -> list[str]:
        """The Debian packages to lock by name."""
        return sorted({name for recipe in self.all for name in (*recipe.packages, *recipe.library)})

    def follow(self) -> list[str]:
        """The metapackages to lock by what they depend on."""
        return sorted({name for recipe in self.all for name in recipe.follow})


def load_recipes(root: Path) -> Recipes:
    """Raises RecipeError naming the file and the field."""
    recipes = [load_recipe(path) for path in sorted(root.glob("*/recipe.toml"))]
    if not recipes:
        raise RecipeError(f"{root} has no recipes: run this from a checkout of the project")
    owners: dict[str, str] = {}
    for recipe in recipes:
        for package in (*recipe.packages, *recipe.library):
            if (other := owners.setdefault(package, recipe.name)) != recipe.name:
                raise RecipeError(f"recipes/{recipe.name} and recipes/{other} both name the package {package}")
    return Recipes(root, tuple(recipes), hash_sources(root, ("*/*",)))


def load_recipe(path: Path) -> Recipe:
    try:
        recipe = msgspec.toml.decode(path.read_bytes(), type=Recipe)
    except msgspec.DecodeError as error:
        raise RecipeError(f"{path}: {error}") from error
    if recipe.name:
        raise RecipeError(f"{path}: a recipe is named by its folder, remove `name`")
    if recipe.origin not in ("debian", "launcher", "project"):
        raise RecipeError(f"{path}: origin is debian, launcher or project, not {recipe.origin!r}")
    return msgspec.structs.replace(recipe, name=path.parent.name)
