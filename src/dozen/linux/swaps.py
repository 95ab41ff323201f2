"""Devices and files that the kernel moves memory to, as /proc/swaps lists them (proc_swaps(5))."""

from __future__ import annotations

from typing import NamedTuple

from dozen.linux.escapes import unescape

SWAPS = "/proc/swaps"
KIB = 1024


class Swap(NamedTuple):
    """One device (``partition``) or file; ``size`` and ``used`` in bytes."""

    path: str
    type: str
    size: int
    used: int
    priority: int


def parse_swaps(text: str) -> list[Swap]:
    """The table below its headings. White space in a name is written as an octal escape. Raises ValueError."""
    found = []
    for line in text.splitlines()[1:]:
        words = line.split()
        if len(words) < 5:
            raise ValueError(f"a line of {SWAPS} with {len(words)} words: {line!r}")
        found.append(Swap(unescape(words[0]), words[1], int(words[2]) * KIB, int(words[3]) * KIB, int(words[4])))
    return found


def read_swaps(path: str = SWAPS) -> list[Swap]:
    """What is in use now. Raises OSError."""
    with open(path, errors="surrogateescape") as stream:
        return parse_swaps(stream.read())
