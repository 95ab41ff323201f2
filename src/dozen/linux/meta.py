"""META: small values that outlive upgrades and the loss of every file system, kept on a partition of their own.

A value has a key from 0 to 255 (6 is the upgrade's marker, 10 a network configuration…). The partition holds no file
system but two *slots*. Each slot is a whole set of values with a sequence number and checksums. A write goes to the
slot that is not in use, with the next number, and is complete when its checksum is; so whatever a loss of power leaves
of it, the other slot still holds the set from before. All integers are little-endian:

======  ====  ==========================================================================
offset  size  head of a slot
======  ====  ==========================================================================
0       8     ``DOZNMETA``
8       4     1, the version of this layout
12      8     sequence number
20      4     length of the values
24      4     CRC-32 of the values
28      4     CRC-32 of the 28 bytes before
32      …     the values: key (1 byte), length (4 bytes), content; ascending by key
======  ====  ==========================================================================

As long as the node has no META partition, values are kept in memory and written when one appears.
"""

from __future__ import annotations

import asyncio
import os
import struct
import zlib
from collections.abc import Callable, Mapping

import msgspec

MAGIC = b"DOZNMETA"
VERSION = 1
HEAD = struct.Struct("<8sIQII")
SUM = struct.Struct("<I")
ENTRY = struct.Struct("<BI")
SLOT_SIZE = 256 * 1024
# The slots are far apart: a drive that loses a larger stretch than it was told to write loses one of them at most.
SLOT_OFFSETS = (0, 512 * 1024)
PARTITION_SIZE = 1024 * 1024
HIGHEST_KEY = 255


class ValuesTooLarge(OSError):
    """The values do not fit into the partition."""


class Slot(msgspec.Struct, frozen=True):
    """A set of values that was read whole."""

    sequence: int
    values: dict[int, bytes]


def encode_slot(sequence: int, values: Mapping[int, bytes]) -> bytes:
    """The bytes of a slot; raises `ValuesTooLarge`."""
    body = b"".join(ENTRY.pack(key, len(values[key])) + values[key] for key in sorted(values))
    head = HEAD.pack(MAGIC, VERSION, sequence, len(body), zlib.crc32(body))
    slot = head + SUM.pack(zlib.crc32(head)) + body
    if len(slot) > SLOT_SIZE:
        raise ValuesTooLarge(f"the values of META take {len(slot)} bytes of the {SLOT_SIZE} that there are")
    return slot


def decode_slot(data: bytes) -> Slot | None:
    """The slot that the bytes hold, or None when it was never written or not written whole."""
    start = HEAD.size + SUM.size
    if len(data) < start:
        return None
    magic, version, sequence, length, body_sum = HEAD.unpack_from(data)
    (head_sum,) = SUM.unpack_from(data, HEAD.size)
    if magic != MAGIC or version != VERSION or zlib.crc32(data[: HEAD.size]) != head_sum:
        return None
    body = data[start : start + length]
    if len(body) != length or zlib.crc32(body) != body_sum:
        return None
    values = {}
    at = 0
    while at < length:
        if at + ENTRY.size > length:
            return None  # the sums are right, so somebody else than encode_slot() wrote this
        key, size = ENTRY.unpack_from(body, at)
        at += ENTRY.size
        values[key] = body[at : at + size]
        at += size
    return Slot(sequence, values) if at == length else None


def choose_slot(slots: tuple[bytes, bytes]) -> tuple[Slot, int]:
    """The newest whole set of values, and which of the two slots the next one goes to."""
    first, second = (decode_slot(data) for data in slots)
    if first is None and second is None:
        return Slot(0, {}), 0
    if second is None or (first is not None and first.sequence > second.sequence):
        assert first is not None
        return first, 1
    return second, 0


class MetaStore:
    """The values of META: read from memory, written through to the partition once there is one."""

    def __init__(self) -> None:
        self._values: dict[int, bytes] = {}
        self._changed_early: dict[int, bytes | None] = {}  # before there was a partition; None is a deletion
        self._path: str | None = None
        self._sequence = 0
        self._next_slot = 0
        self._writing = asyncio.Lock()
        self._listeners: list[Callable[[Mapping[int, bytes]], None]] = []

    @property
    def path(self) -> str | None:
        """The partition that the values are kept on, if there is one yet."""
        return self._path

    @property
    def values(self) -> Mapping[int, bytes]:
        return dict(self._values)

    def get(self, key: int) -> bytes | None:
        return self._values.get(key)

    def listen(self, listener: Callable[[Mapping[int, bytes]], None]) -> Callable[[], None]:
        """Call ``listener`` with all values now and after every change, until the returned function is called."""
        self._listeners.append(listener)
        listener(self.values)
        return lambda: self._listeners.remove(listener)

    async def attach(self, path: str) -> None:
        """Keep the values on this partition from now on; what was set before wins. Raises OSError."""
        async with self._writing:
            found, next_slot = choose_slot(await asyncio.to_thread(_read_slots, path))
            values = dict(found.values)
            for key, value in self._changed_early.items():
                _change(values, key, value)
            self._path, self._sequence, self._next_slot = path, found.sequence, next_slot
            if values != found.values:
                await self._write(values)
            self._changed_early.clear()
            self._accept(values)

    async def set(self, key: int, value: bytes) -> None:
        """Keep a value. Raises OSError when it cannot be written; then the old one stays."""
        if not 0 <= key <= HIGHEST_KEY:
            raise ValueError(f"META keys are 0 to {HIGHEST_KEY}, not {key}")
        async with self._writing:
            await self._commit(key, bytes(value))

    async def delete(self, key: int) -> bool:
        """Forget a value; False when there was none. Raises OSError."""
        async with self._writing:
            if key not in self._values:
                return False
            await self._commit(key, None)
            return True

    async def _commit(self, key: int, value: bytes | None) -> None:
        values = dict(self._values)
        _change(values, key, value)
        if self._path is None:
            encode_slot(0, values)  # so that what cannot be written later is refused now
            self._changed_early[key] = value
        else:
            await self._write(values)
        self._accept(values)

    async def _write(self, values: Mapping[int, bytes]) -> None:
        assert self._path is not None
        slot = encode_slot(self._sequence + 1, values)
        await asyncio.to_thread(_write_slot, self._path, SLOT_OFFSETS[self._next_slot], slot)
        self._sequence += 1
        self._next_slot = 1 - self._next_slot

    def _accept(self, values: dict[int, bytes]) -> None:
        self._values = values
        for listener in tuple(self._listeners):
            listener(self.values)


def _change(values: dict[int, bytes], key: int, value: bytes | None) -> None:
    if value is None:
        values.pop(key, None)
    else:
        values[key] = value


def _read_slots(path: str) -> tuple[bytes, bytes]:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        first, second = (os.pread(descriptor, SLOT_SIZE, offset) for offset in SLOT_OFFSETS)
    finally:
        os.close(descriptor)
    return first, second


def _write_slot(path: str, offset: int, slot: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        at = 0
        while at < len(slot):
            at += os.pwrite(descriptor, slot[at:], offset + at)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
