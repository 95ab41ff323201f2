"""Effects on files that the node generates: name resolution, hosts, rules for devices."""

from __future__ import annotations

from dataclasses import dataclass

from dozen.machinery.plan import Effect


@dataclass(frozen=True, slots=True)
class WriteFile(Effect):
    """Write a whole file in one step, so that a reader sees the old or the new text and nothing between."""

    path: str
    content: str
    mode: int = 0o644
    gid: int = 0

    def __str__(self) -> str:
        return f"write {self.path} ({len(self.content)} characters, mode {self.mode:o})"


@dataclass(frozen=True, slots=True)
class RemoveFile(Effect):
    """Remove a file; one that is gone already is fine."""

    path: str

    def __str__(self) -> str:
        return f"remove {self.path}"
