"""An image's file tree as data: path → entry, each with the answer to "why are you here?".

Nothing here touches a disk. The tree is what the budget is checked on, what the manifest is written from, and what the
file systems are packed from, so all three agree.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from typing import Literal

import msgspec

from dozen.compose.elf import Elf
from dozen.compose.errors import RecipeError

EntryKind = Literal["file", "hardlink", "link", "directory"]


class Why(msgspec.Struct, frozen=True, omit_defaults=True):
    """Where an entry comes from and what for."""

    recipe: str
    reason: str
    package: str = ""
    version: str = ""
    licence: str = ""


class Entry(msgspec.Struct, frozen=True, omit_defaults=True):
    """One path. ``target``: of a link its text, of a hard link the path of the file; ``sha256`` names the content.

    ``wanted_by``: the paths that this one is there for, as far as they were found by looking into files. ``elf`` and
    ``xattrs`` (names of extended attributes that the source has) are for the budget and not written to the manifest.
    """

    path: str
    kind: EntryKind
    mode: int
    why: Why
    size: int = 0
    sha256: str = ""
    target: str = ""
    wanted_by: tuple[str, ...] = ()
    xattrs: tuple[str, ...] = ()
    elf: Elf | None = None


class Tree:
    """Entries by path. A path may be given once; directories above it appear by themselves."""

    def __init__(self) -> None:
        self.entries: dict[str, Entry] = {}

    def add(self, entry: Entry) -> None:
        """Raises RecipeError when the path is taken by something else."""
        known = self.entries.get(entry.path)
        if known is not None and known.kind == entry.kind == "directory":
            return
        if known is not None:
            raise RecipeError(
                f"{entry.path} is contributed twice, by recipes/{known.why.recipe} and recipes/{entry.why.recipe}: "
                f"remove one of them"
            )
        self._add_parents(entry)
        self.entries[entry.path] = entry

    def replace(self, entry: Entry) -> None:
        self.entries[entry.path] = entry

    def want(self, path: str, wanter: str) -> None:
        """Note one more file that ``path`` is there for."""
        entry = self.entries[path]
        if wanter not in entry.wanted_by:
            self.entries[path] = msgspec.structs.replace(entry, wanted_by=(*entry.wanted_by, wanter))

    def sorted(self) -> Iterator[Entry]:
        """In the order of an archive: a directory before what it holds, a file before its hard links."""
        yield from sorted(self.entries.values(), key=lambda entry: (entry.kind == "hardlink", entry.path.split("/")))

    def _add_parents(self, entry: Entry) -> None:
        parent = posixpath.dirname(entry.path)
        if parent == "/" or parent in self.entries:
            if parent in self.entries and self.entries[parent].kind != "directory":
                raise RecipeError(f"{entry.path}: {parent} is no directory in the image; give its real path")
            return
        why = Why(entry.why.recipe, f"the directory that {entry.path} is in", licence=entry.why.licence)
        self.add(Entry(parent, "directory", 0o755, why))
