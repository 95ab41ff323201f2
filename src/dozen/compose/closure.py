"""Finds the shared objects that an image needs, by looking into its files.

From each program, extension and plug-in this follows DT_NEEDED, and the ELF note that lists what a file may load while
running; for the latter a recipe must have decided. Libraries come only from packages that ``recipes/libraries`` (or
another recipe) lists, so a library that nobody has thought about stops the build; and each one notes who wanted it, so
none is there without a reason.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterable
from dataclasses import dataclass

import msgspec

from dozen.compose.budget import interpreters
from dozen.compose.contents import Sources, file_entry
from dozen.compose.elf import Optional
from dozen.compose.errors import BudgetError, RecipeError
from dozen.compose.recipes import Recipe
from dozen.compose.tree import Entry, Tree, Why
from dozen.compose.unpack import PackageFile

DEFAULT_SEARCH = ("/usr/lib/x86_64-linux-gnu",)


@dataclass(frozen=True, slots=True)
class Provider:
    """A shared object of a package, and how it would be explained."""

    file: PackageFile
    why: Why

    @property
    def path(self) -> str:
        """Where it goes: under its soname, in the directory that its package has it in."""
        assert self.file.elf is not None
        return f"/{posixpath.dirname(self.file.path)}/{self.file.elf.soname}"


def index_libraries(sources: Sources) -> dict[str, Provider]:
    """soname → provider, over the packages of all recipes."""
    found: dict[str, Provider] = {}
    for recipe in sources.recipes.all:
        for name in (*recipe.packages, *recipe.library):
            package = sources.packages.get(name)
            if package is None:
                raise RecipeError(f"the lock has no {name}, which recipes/{recipe.name} names: run `make lock`")
            listed = recipe.library.get(name)
            licence = listed.licence if listed else recipe.licence
            why = Why(recipe.name, listed.reason if listed else recipe.summary, name, package.version, licence)
            for file in package.files:
                if file.elf is not None and file.elf.soname and not file.target:
                    found.setdefault(file.elf.soname, Provider(file, why))
    return found


def add_libraries(tree: Tree, sources: Sources, *, all_used: bool = True) -> None:
    """Add every library that a file of the tree needs. Raises BudgetError with all that cannot be explained; with
    ``all_used`` also when a library is listed that nothing needs.
    """
    closure = Closure(tree, sources)
    queue = [entry for entry in tree.sorted() if entry.kind == "file" and entry.elf is not None]
    while queue:
        queue += closure.follow(queue.pop(0))
    for path in interpreters(tree):
        # execve(2) asks for the x bit of a program's interpreter too: the one file outside of /bin and /sbin with it.
        tree.replace(msgspec.structs.replace(tree.entries[path], mode=0o755))
    if all_used:
        closure.problems += unused_packages(tree, sources.recipes.all)
    if closure.problems:
        raise BudgetError(closure.problems)


def unused_packages(tree: Tree, recipes: Iterable[Recipe]) -> list[str]:
    """Library packages that are listed although nothing needs them any more."""
    used = {entry.why.package for entry in tree.entries.values()}
    return [
        f"nothing needs a library of {name}: remove it from recipes/{recipe.name}"
        for recipe in recipes
        for name in recipe.library
        if name not in used
    ]


class Closure:
    """The state of one search: what is known, and what went wrong so far."""

    def __init__(self, tree: Tree, sources: Sources) -> None:
        self.tree = tree
        self.providers = index_libraries(sources)
        self.decisions = {recipe.name: recipe.dlopen for recipe in sources.recipes.all}
        self.problems: list[str] = []

    def follow(self, entry: Entry) -> list[Entry]:
        """What one file needs, added to the tree; returns those that are new."""
        elf = entry.elf
        assert elf is not None
        wanted = [*elf.needed]
        if elf.interpreter and elf.executable:
            wanted.append(posixpath.basename(elf.interpreter))
        for optional in elf.optional:
            wanted += self.decide(entry, optional)
        return [new for soname in wanted if (new := self.provide(entry, soname)) is not None]

    def decide(self, entry: Entry, optional: Optional) -> list[str]:
        """The library to take for something that may be loaded later, if any."""
        decision = self.decisions[entry.why.recipe]
        for soname in optional.sonames:
            if soname in decision.take:
                return [soname]
        if not any(soname in decision.leave for soname in optional.sonames):
            self.problems.append(
                f"{entry.path} may load {' or '.join(optional.sonames)} ({optional.description or optional.feature}, "
                f"{optional.priority}): say under dlopen.take or dlopen.leave in "
                f"recipes/{entry.why.recipe}/recipe.toml whether it comes along, and why"
            )
        return []

    def provide(self, entry: Entry, soname: str) -> Entry | None:
        provider = self.providers.get(soname)
        if provider is None:
            self.problems.append(
                f"{entry.path} ({chain(self.tree, entry)}) needs {soname}, which no package in a recipe has: list the "
                f"package that has it in recipes/libraries/recipe.toml with a reason, and run `make lock`"
            )
            return None
        assert entry.elf is not None
        path = provider.path
        if posixpath.dirname(path) not in (*DEFAULT_SEARCH, *entry.elf.search):
            self.problems.append(f"{entry.path} needs {soname}, but {path} is in no directory that it searches")
            return None
        known = path in self.tree.entries
        if not known:
            self.tree.add(file_entry(path, provider.file, provider.why))
        self.tree.want(path, entry.path)
        return None if known else self.tree.entries[path]


def chain(tree: Tree, entry: Entry) -> str:
    """Who pulled a file in, up to a file that a recipe lists."""
    steps = []
    seen = {entry.path}
    while entry.wanted_by and entry.wanted_by[0] not in seen:
        entry = tree.entries[entry.wanted_by[0]]
        seen.add(entry.path)
        steps.append(f"wanted by {entry.path}")
    steps.append(f"listed in recipes/{entry.why.recipe}")
    return ", ".join(steps)
