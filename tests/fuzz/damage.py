"""Copies of an input, each damaged in a few places: a small fuzzer that does the same each time it runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from random import Random

# Lengths and counts that decoders trip over, and bytes that mean something in texts.
_NUMBERS = [b"\0", b"\1", b"\x7f", b"\x80", b"\xff", b"\xff\xff", b"\0\0\0\0", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff"]
_WORDS = [b"-1", b"9" * 30, b"\n", b": ", b"- ", b"{", b"[", b'"', b"'", b"\\", b"#", b"\t", b"&a", b"*a", b"\xc3\xa4"]
_LONGEST_REPEAT = 2000
_MOST_BYTES = 1 << 20


def damaged(inputs: Sequence[bytes], count: int, seed: str) -> Iterator[bytes]:
    """``count`` damaged inputs; the same for the same seed."""
    random = Random(seed)
    for _ in range(count):
        data = bytearray(random.choice(inputs))
        for _ in range(random.choice((1, 1, 2, 3, 8))):
            random.choice(_WAYS)(data, random, inputs)
        yield bytes(data[:_MOST_BYTES])


def _place(data: bytearray, random: Random) -> int:
    return random.randrange(len(data) + 1)


def _flip(data: bytearray, random: Random, inputs: Sequence[bytes]) -> None:
    if data:
        data[random.randrange(len(data))] ^= 1 << random.randrange(8)


def _overwrite(data: bytearray, random: Random, inputs: Sequence[bytes]) -> None:
    value, at = random.choice(_NUMBERS), _place(data, random)
    data[at : at + len(value)] = value


def _insert(data: bytearray, random: Random, inputs: Sequence[bytes]) -> None:
    at = _place(data, random)
    data[at:at] = random.choice(_NUMBERS + _WORDS)


def _cut(data: bytearray, random: Random, inputs: Sequence[bytes]) -> None:
    del data[_place(data, random) :]


def _remove(data: bytearray, random: Random, inputs: Sequence[bytes]) -> None:
    start = _place(data, random)
    del data[start : start + random.randrange(1, 20)]


def _repeat(data: bytearray, random: Random, inputs: Sequence[bytes]) -> None:
    start = _place(data, random)
    piece = bytes(data[start : start + random.randrange(1, 40)])
    data[start:start] = piece * random.choice((1, 2, 30, _LONGEST_REPEAT // max(1, len(piece))))


def _splice(data: bytearray, random: Random, inputs: Sequence[bytes]) -> None:
    other = random.choice(inputs)
    start = random.randrange(len(other) + 1)
    data[_place(data, random) :] = other[start:]


_WAYS: tuple[Callable[[bytearray, Random, Sequence[bytes]], None], ...] = (
    _flip, _flip, _overwrite, _overwrite, _insert, _cut, _remove, _repeat, _splice,
)  # fmt: skip
