"""Effects on files that the node generates: name resolution, hosts, rules for devices."""

from __future__ import annotations

import msgspec

from dozen.machinery.plan import Effect


class WriteFile(Effect, msgspec.Struct, frozen=True):
    """Write a whole file in one step, so that a reader sees the old or the new text and nothing between."""

    path: str
    content: str
    mode: int = 0o644
    gid: int = 0

    def __str__(self) -> str:
        return f"write {self.path} ({len(self.content)} characters, mode {self.mode:o})"


class RemoveFile(Effect, msgspec.Struct, frozen=True):
    """Remove a file; one that is gone already is fine."""

    path: str

    def __str__(self) -> str:
        return f"remove {self.path}"


class MakeDirectory(Effect, msgspec.Struct, frozen=True):
    """See to it that a directory is there, with this mode and owner."""

    path: str
    mode: int = 0o755
    uid: int = 0
    gid: int = 0

    def __str__(self) -> str:
        return f"make directory {self.path} (mode {self.mode:o}, owner {self.uid}:{self.gid})"
