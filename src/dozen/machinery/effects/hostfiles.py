"""Effects on files that the configuration asks for, below /var and in /etc."""

from __future__ import annotations

import msgspec

from dozen.machinery.plan import Effect


class PlacedFile(msgspec.Struct, frozen=True):
    """``operation``: ``create``, ``overwrite`` (it has to be there) or ``append`` (to what is there, once)."""

    path: str
    content: str
    mode: int
    operation: str


class PlaceFiles(Effect, msgspec.Struct, frozen=True):
    """Write these files, and give those of /etc that are ``restored`` back what the image has: each is tried."""

    files: tuple[PlacedFile, ...]
    restored: tuple[str, ...] = ()

    def __str__(self) -> str:
        words = [f"{each.operation} {each.path}" for each in self.files]
        return ", ".join([*words, *(f"restore {path}" for path in self.restored)])
