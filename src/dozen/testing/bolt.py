"""Reads databases of bbolt for those who want to see what was written, and knows nothing of the writer."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any

PAGE = 4096


def read_database(data: bytes) -> dict[bytes, Any]:
    """Buckets as dicts, with their sequence under the key None where it is not 0."""
    metas = [struct.unpack_from("<IIIIQQQQQQ", data, number * PAGE + 16) for number in range(2)]
    meta = max(metas, key=lambda each: each[8])
    assert meta[:3] == (0xED0CDAED, 2, PAGE)
    assert meta[7] * PAGE == len(data)
    assert meta[9] == fnv1a(data[(meta is metas[1]) * PAGE + 16 :][:56])
    return dict(read_page(data, data, meta[4] * PAGE))


def fnv1a(data: bytes) -> int:
    checksum = 0xCBF29CE484222325
    for byte in data:
        checksum = (checksum ^ byte) * 0x100000001B3 % (1 << 64)
    return checksum


def read_page(data: bytes, buffer: bytes, at: int) -> Iterator[tuple[bytes, Any]]:
    number, flags, count, overflow = struct.unpack_from("<QHHI", buffer, at)
    if buffer is data:
        assert number * PAGE == at
    last = b""
    for position in range(at + 16, at + 16 + 16 * count, 16):
        if flags == 1:
            offset, size, page = struct.unpack_from("<IIQ", buffer, position)
            key = buffer[position + offset :][:size]
            below = list(read_page(data, data, page * PAGE))
            assert below[0][0] == key
            yield from below
        else:
            assert flags == 2
            kind, offset, size, length = struct.unpack_from("<IIII", buffer, position)
            key, value = buffer[position + offset :][:size], buffer[position + offset + size :][:length]
            if buffer is data:
                assert position + offset + size + length <= at + (1 + overflow) * PAGE
            yield key, read_bucket(data, value) if kind else value
        assert key > last or not last
        last = key


def read_bucket(data: bytes, value: bytes) -> dict[Any, Any]:
    root, sequence = struct.unpack_from("<QQ", value)
    found: dict[Any, Any] = dict(read_page(data, value, 16) if root == 0 else read_page(data, data, root * PAGE))
    return {**found, None: sequence} if sequence else found
