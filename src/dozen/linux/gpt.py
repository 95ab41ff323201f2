"""GUID partition tables: reading them from a disk, and the bytes that make one.

A disk with a GPT starts with a *protective MBR* (so that old tools see a full disk), then the primary header and the
array of entries; copies of entries and header are at the disk's end. Each header has a checksum of itself and of the
entries, so a table of which half was lost is still read from the other half. Layout: UEFI specification 2.10,
chapter 5. A *sector* is the disk's logical block, 512 or 4096 bytes; addresses (LBA) count sectors. No I/O: reading
goes through a function, and writing is a list of (offset, bytes).
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Sequence
from typing import NamedTuple

Read = Callable[[int, int], bytes]
"""``read(offset, length)``: bytes of the disk, fewer than asked for at its end."""

LINUX_DATA = "0fc63daf-8483-4772-8e79-3d69d8477de4"

SIGNATURE = b"EFI PART"
REVISION = 0x00010000
HEADER = struct.Struct("<8sIIIIQQQQ16sQIII")
ENTRY = struct.Struct("<16s16sQQQ72s")
ENTRY_COUNT = 128
NAME_CHARACTERS = 36
# Tables of others may have more or larger entries; beyond this a header is taken for damaged.
ENTRIES_BYTES_MAX = 1 << 20

MBR_SIGNATURE = b"\x55\xaa"
MBR_TABLE = 446
MBR_ENTRY = struct.Struct("<B3sB3sII")
MBR_PROTECTIVE = 0xEE

ALIGNMENT = 1 << 20  # bytes; what partition tools have used for years: a multiple of any erase block
NIL = bytes(16)


class TableDoesNotFit(ValueError):
    """The partitions asked for need more room than the disk has."""


class Partition(NamedTuple):
    """One entry. ``last`` is inclusive, as in the table; ``number`` counts from 1, as in device names."""

    number: int
    type: str
    guid: str
    first: int
    last: int
    name: str
    attributes: int = 0

    @property
    def sectors(self) -> int:
        return self.last - self.first + 1


class Table(NamedTuple):
    """A partition table. ``damaged`` says that only one of its two copies was good."""

    guid: str
    sector_size: int
    sectors: int
    partitions: tuple[Partition, ...]
    damaged: bool = False


class Wanted(NamedTuple):
    """A partition to lay out: ``size`` in bytes, None for all that is left."""

    name: str
    size: int | None
    type: str = LINUX_DATA


# -- GUIDs. The first three groups are little-endian in the table, the rest is not.


def parse_guid(data: bytes) -> str:
    """``c12a7328-f81f-…`` of the 16 bytes."""
    first, second, third = struct.unpack_from("<IHH", data)
    return f"{first:08x}-{second:04x}-{third:04x}-{data[8:10].hex()}-{data[10:16].hex()}"


def render_guid(text: str) -> bytes:
    """The 16 bytes of a GUID; raises ValueError."""
    first, second, third, fourth, fifth = text.split("-")
    return struct.pack("<IHH", int(first, 16), int(second, 16), int(third, 16)) + bytes.fromhex(fourth + fifth)


def guid_from_random(random: bytes) -> str:
    """A GUID (version 4, RFC 9562) of 16 random bytes."""
    data = bytearray(random[:16])
    data[7] = data[7] & 0x0F | 0x40
    data[8] = data[8] & 0x3F | 0x80
    return parse_guid(bytes(data))


# -- Reading.


def parse_table(read: Read, size: int, sector_size: int) -> Table | None:
    """The table of a disk of ``size`` bytes, or None when neither copy of one is whole."""
    sectors = size // sector_size
    if sectors < 2:
        return None
    primary = _parse_copy(read, 1, sector_size, sectors)
    backup = _parse_copy(read, sectors - 1, sector_size, sectors)
    table = primary or backup
    if table is None:
        return None
    return table._replace(damaged=primary is None or backup is None)


def _parse_copy(read: Read, lba: int, sector_size: int, sectors: int) -> Table | None:
    header = read(lba * sector_size, sector_size)
    if len(header) < HEADER.size or not header.startswith(SIGNATURE):
        return None
    _, _, length, checksum, _, own, _, _, _, guid, entries_at, count, entry_size, entries_sum = HEADER.unpack_from(
        header
    )
    if not HEADER.size <= length <= sector_size or own != lba:
        return None
    blanked = header[:16] + bytes(4) + header[20:length]
    total = count * entry_size
    if zlib.crc32(blanked) != checksum or entry_size < ENTRY.size or total > ENTRIES_BYTES_MAX:
        return None
    entries = read(entries_at * sector_size, total)
    if len(entries) != total or zlib.crc32(entries) != entries_sum:
        return None
    partitions = []
    for number in range(1, count + 1):
        partition = _parse_entry(number, entries[(number - 1) * entry_size : number * entry_size])
        if partition is not None and partition.first <= partition.last < sectors:
            partitions.append(partition)
    return Table(parse_guid(guid), sector_size, sectors, tuple(partitions))


def _parse_entry(number: int, data: bytes) -> Partition | None:
    type_, guid, first, last, attributes, name = ENTRY.unpack_from(data)
    if type_ == NIL:
        return None
    text = name.decode("utf-16-le", "replace").partition("\0")[0]
    return Partition(number, parse_guid(type_), parse_guid(guid), first, last, text, attributes)


# -- Writing.


def lay_out(
    wanted: Sequence[Wanted], size: int, sector_size: int, new_guid: Callable[[], str], disk_guid: str
) -> Table:
    """Partitions one after another, aligned to `ALIGNMENT`; at most the last may take what is left.

    Raises `TableDoesNotFit`.
    """
    sectors = size // sector_size
    step = ALIGNMENT // sector_size
    room_ends = sectors - 1 - _entries_sectors(sector_size)  # first sector of the backup entries
    at = step
    partitions = []
    for number, want in enumerate(wanted, 1):
        length = room_ends // step * step - at if want.size is None else -(-want.size // ALIGNMENT) * step
        if length <= 0 or at + length > room_ends:
            raise TableDoesNotFit(f"{want.name} does not fit on a disk of {size} bytes")
        partitions.append(Partition(number, want.type, new_guid(), at, at + length - 1, want.name))
        at += length
    return Table(disk_guid, sector_size, sectors, tuple(partitions))


def render_table(table: Table) -> list[tuple[int, bytes]]:
    """What to write where (offset in bytes), in this order: the backup first, the primary header last.

    Each header comes after the entries that it speaks for, so a write that is cut short leaves no table or a whole one.
    """
    sector_size = table.sector_size
    entries = _render_entries(table.partitions)
    padded = entries + bytes(-len(entries) % sector_size)
    last = table.sectors - 1
    backup_entries = last - len(padded) // sector_size
    return [
        (backup_entries * sector_size, padded),
        (last * sector_size, _render_header(table, last, 1, backup_entries, entries)),
        (0, _render_protective_mbr(table)),
        (2 * sector_size, padded),
        (sector_size, _render_header(table, 1, last, 2, entries)),
    ]


def _entries_sectors(sector_size: int) -> int:
    return -(-ENTRY_COUNT * ENTRY.size // sector_size)


def _render_entries(partitions: Sequence[Partition]) -> bytes:
    entries = bytearray(ENTRY_COUNT * ENTRY.size)
    for each in partitions:
        name = each.name[:NAME_CHARACTERS].encode("utf-16-le").ljust(2 * NAME_CHARACTERS, b"\0")
        fields = (render_guid(each.type), render_guid(each.guid), each.first, each.last, each.attributes, name)
        ENTRY.pack_into(entries, (each.number - 1) * ENTRY.size, *fields)
    return bytes(entries)


def _render_header(table: Table, own: int, other: int, entries_at: int, entries: bytes) -> bytes:
    room = _entries_sectors(table.sector_size)
    usable = (2 + room, table.sectors - 2 - room)
    guid = render_guid(table.guid)

    def pack(checksum: int) -> bytes:
        fields = (HEADER.size, checksum, 0, own, other, *usable, guid, entries_at, ENTRY_COUNT, ENTRY.size)
        return HEADER.pack(SIGNATURE, REVISION, *fields, zlib.crc32(entries))

    return pack(zlib.crc32(pack(0))).ljust(table.sector_size, b"\0")


def _render_protective_mbr(table: Table) -> bytes:
    # Cylinder, head and sector: from the second sector to "beyond what this can say" (UEFI 2.10, table 5.4).
    covered = min(table.sectors - 1, 0xFFFFFFFF)
    entry = MBR_ENTRY.pack(0, b"\x00\x02\x00", MBR_PROTECTIVE, b"\xff\xff\xff", 1, covered)
    sector = bytearray(table.sector_size)
    sector[MBR_TABLE : MBR_TABLE + len(entry)] = entry
    sector[510:512] = MBR_SIGNATURE
    return bytes(sector)
