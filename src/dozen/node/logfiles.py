"""Reading a log back from its files: the one that is written to, and those that it was before it was rotated.

A reader gets the files as they are at one moment: they are opened at once, with the sizes that they have then, so that
a rotation or a line that is added meanwhile neither repeats nor loses anything for who follows the log from then on.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, Sequence
from pathlib import Path
from typing import NamedTuple

BLOCK = 64 * 1024


class Part(NamedTuple):
    """An open file and what is meant of it, bytes."""

    descriptor: int
    start: int
    end: int


def open_parts(paths: Sequence[Path]) -> list[Part]:
    """The files that are there, in the order given. Raises OSError."""
    parts: list[Part] = []
    try:
        for path in paths:
            try:
                descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
            except FileNotFoundError:
                continue
            parts.append(Part(descriptor, 0, os.fstat(descriptor).st_size))
    except BaseException:
        close(parts)
        raise
    return parts


def close(parts: Sequence[Part]) -> None:
    for part in parts:
        os.close(part.descriptor)


def take_last(parts: Sequence[Part], lines: int) -> list[Part]:
    """The same parts, beginning where their last ``lines`` lines begin (all when negative). Blocks."""
    if lines < 0:
        return list(parts)
    taken: list[Part] = []
    left = lines
    for part in reversed(parts):
        start, left = _find_start(part, left) if left else (part.end, 0)
        taken.insert(0, part._replace(start=start))
    return taken


def _find_start(part: Part, lines: int) -> tuple[int, int]:
    """Where the last lines of a part begin, and how many are left to be found in those before it."""
    at = part.end
    # Every line ends with a newline: the last one ends a line and does not begin one.
    left = lines + 1
    while at > part.start:
        begin = max(part.start, at - BLOCK)
        block = os.pread(part.descriptor, at - begin, begin)
        position = len(block)
        while (position := block.rfind(b"\n", 0, position)) >= 0:
            left -= 1
            if left == 0:
                return begin + position + 1, 0
        at = begin
    # The part's first line has no newline before it.
    return part.start, max(0, left - 1)


async def read_parts(parts: Sequence[Part], lines: int) -> AsyncGenerator[bytes, None]:
    """The last ``lines`` lines of all parts (all when negative), in blocks, each read when the last one was taken."""
    try:
        for part in await asyncio.to_thread(take_last, parts, lines):
            at = part.start
            while at < part.end:
                block = await asyncio.to_thread(os.pread, part.descriptor, min(BLOCK, part.end - at), at)
                if not block:
                    break
                at += len(block)
                yield block
    finally:
        close(parts)
