"""Writes databases of bbolt, which containerd keeps what it knows in: one file, made whole, the same bytes every time.

A database is a tree of buckets; a bucket maps keys to values and to further buckets. On disk it is pages of 4 KiB: two
*meta* pages that say where the root is, a list of free pages (none here), and for each bucket a B+ tree of *branch* and
*leaf* pages with the keys in order. A small bucket without buckets in it is kept *inline*, as the value of its own key.
The layout is documented in the sources of go.etcd.io/bbolt (page.go, bucket.go, db.go).
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import NamedTuple

PAGE = 4096
_MAGIC, _VERSION = 0xED0CDAED, 2
_BRANCH, _LEAF, _META, _FREE_LIST = 0x01, 0x02, 0x04, 0x10
_IS_BUCKET = 0x01
_PAGE_HEADER = struct.Struct("<QHHI")
_LEAF_ELEMENT = struct.Struct("<IIII")
_BRANCH_ELEMENT = struct.Struct("<IIQ")
_BUCKET = struct.Struct("<QQ")
# A quarter of a page, as bbolt has it.
_MOST_INLINE = PAGE // 4


class Bucket(NamedTuple):
    """``sequence`` is the last of the numbers that were given out in the bucket."""

    content: Mapping[bytes, bytes | Bucket]
    sequence: int = 0


class _Item(NamedTuple):
    key: bytes
    value: bytes
    flags: int = 0

    @property
    def size(self) -> int:
        return _LEAF_ELEMENT.size + len(self.key) + len(self.value)


def make_database(root: Mapping[bytes, bytes | Bucket]) -> bytes:
    pages = _Pages()
    top = pages.put_tree(_items(pages, root))
    return pages.finish(top)


class _Pages:
    """The pages after the two meta pages and the empty list of free ones."""

    FIRST = 3

    def __init__(self) -> None:
        self.data: list[bytes] = []

    def put(self, flags: int, count: int, body: bytes) -> int:
        """A page, with as many pages of overflow as it takes; gives its number."""
        number = self.FIRST + len(self.data)
        total = -(-(_PAGE_HEADER.size + len(body)) // PAGE)
        whole = (_PAGE_HEADER.pack(number, flags, count, total - 1) + body).ljust(total * PAGE, b"\0")
        self.data += [whole[at : at + PAGE] for at in range(0, len(whole), PAGE)]
        return number

    def put_tree(self, items: list[_Item]) -> int:
        """The B+ tree of a bucket; gives the number of its root page."""
        level = [(group[0].key if group else b"", self.put(_LEAF, len(group), _leaf(group))) for group in _fill(items)]
        while len(level) > 1:
            groups = _fill([_Item(key, number.to_bytes(8, "little")) for key, number in level])
            level = [(group[0].key, self.put(_BRANCH, len(group), _branch(group))) for group in groups]
        return level[0][1]

    def finish(self, root: int) -> bytes:
        end = self.FIRST + len(self.data)
        free = (_PAGE_HEADER.pack(2, _FREE_LIST, 0, 0)).ljust(PAGE, b"\0")
        metas = [_meta(number, root, end) for number in range(2)]
        return b"".join([*metas, free, *self.data])


def _items(pages: _Pages, content: Mapping[bytes, bytes | Bucket]) -> list[_Item]:
    items = []
    for key in sorted(content):
        if not key or len(key) > 32768:
            raise ValueError(f"a key has 1 to 32768 bytes, this one has {len(key)}: {key[:40]!r}")
        value = content[key]
        items.append(_Item(key, _bucket(pages, value), _IS_BUCKET) if isinstance(value, Bucket) else _Item(key, value))
    return items


def _bucket(pages: _Pages, bucket: Bucket) -> bytes:
    """What stands for a bucket: where its root page is, or all of it when it is small."""
    items = _items(pages, bucket.content)
    size = _PAGE_HEADER.size + sum(item.size for item in items)
    if size <= _MOST_INLINE and not any(item.flags & _IS_BUCKET for item in items):
        return _BUCKET.pack(0, bucket.sequence) + _PAGE_HEADER.pack(0, _LEAF, len(items), 0) + _leaf(items)
    return _BUCKET.pack(pages.put_tree(items), bucket.sequence)


def _fill(items: list[_Item]) -> list[list[_Item]]:
    """Items in groups that fit into a page each; at least one group, and at least two items in one where there are."""
    groups: list[list[_Item]] = [[]]
    room = PAGE - _PAGE_HEADER.size
    for item in items:
        if len(groups[-1]) >= 2 and item.size > room:
            groups.append([])
            room = PAGE - _PAGE_HEADER.size
        groups[-1].append(item)
        room -= item.size
    return groups


def _leaf(items: list[_Item]) -> bytes:
    elements, data = b"", b""
    for at, item in enumerate(items):
        # The position counts from the element itself.
        position = (len(items) - at) * _LEAF_ELEMENT.size + len(data)
        elements += _LEAF_ELEMENT.pack(item.flags, position, len(item.key), len(item.value))
        data += item.key + item.value
    return elements + data


def _branch(items: list[_Item]) -> bytes:
    elements, data = b"", b""
    for at, item in enumerate(items):
        position = (len(items) - at) * _BRANCH_ELEMENT.size + len(data)
        elements += _BRANCH_ELEMENT.pack(position, len(item.key), int.from_bytes(item.value, "little"))
        data += item.key
    return elements + data


def _meta(number: int, root: int, end: int) -> bytes:
    body = struct.pack("<IIIIQQQQQ", _MAGIC, _VERSION, PAGE, 0, root, 0, 2, end, number)
    checksum = 0xCBF29CE484222325
    for byte in body:
        checksum = (checksum ^ byte) * 0x100000001B3 & 0xFFFFFFFFFFFFFFFF
    return (_PAGE_HEADER.pack(number, _META, 0, 0) + body + struct.pack("<Q", checksum)).ljust(PAGE, b"\0")
