"""What a target is, and what may be wrong about its answer."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

CORPUS = Path(__file__).parent / "corpus"
CASES = Path(__file__).parents[1] / "cases"


class Target(NamedTuple):
    """``decode`` returns, or raises one of ``declared``; anything else is a bug of the decoder.

    ``seeds`` are valid inputs. What was once a bug is kept in a file of ``corpus/NAME/``, named for what it was.
    """

    name: str
    decode: Callable[[bytes], object]
    declared: tuple[type[Exception], ...]
    seeds: Iterable[bytes]

    def take(self, data: bytes) -> bool:
        """Feed it; whether the input was accepted. Raises what the decoder did not declare."""
        try:
            self.decode(data)
        except self.declared:
            return False
        return True

    def inputs(self) -> list[bytes]:
        """The seeds and what is kept in files."""
        folder = CORPUS / self.name
        kept = sorted(folder.iterdir()) if folder.is_dir() else []
        return [*self.seeds, *(path.read_bytes() for path in kept)]


def text(data: bytes) -> str:
    """As files are read that need not be text."""
    return data.decode("utf-8", "surrogateescape")
