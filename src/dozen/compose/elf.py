"""Reads what is needed of ELF files: what they link, what they may load later, and who interprets them.

Own and small, because a build reads some hundreds of them: headers, the dynamic section, notes, named sections. Only
64-bit little-endian files, which is what the image is made of. Layouts: elf(5), and for ``.note.dlopen`` the note that
systemd's and other packages carry (owner ``FDO``, type 0x407c0c0a, a JSON list).
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator

import msgspec

from dozen.compose.errors import ComposeError

MAGIC = b"\x7fELF"
ET_EXEC, ET_DYN = 2, 3
PT_LOAD, PT_DYNAMIC, PT_INTERP, PT_NOTE = 1, 2, 3, 4
DT_NEEDED, DT_STRTAB, DT_SONAME, DT_RPATH, DT_RUNPATH, DT_FLAGS_1 = 1, 5, 14, 15, 29, 0x6FFFFFFB
DF_1_PIE = 0x08000000
NOTE_DLOPEN = 0x407C0C0A
NOTE_PVH_ENTRY = 18


class Optional(msgspec.Struct, frozen=True):
    """A library that a program may load while it runs: any of ``sonames``, for ``feature``."""

    sonames: tuple[str, ...]
    feature: str
    description: str
    priority: str


class Elf(msgspec.Struct, frozen=True):
    """One file's links. ``executable``: the kernel would run it as a program (it is not only a shared object)."""

    soname: str
    needed: tuple[str, ...]
    search: tuple[str, ...]
    optional: tuple[Optional, ...]
    interpreter: str
    executable: bool


class Segment(msgspec.Struct, frozen=True):
    type: int
    offset: int
    address: int
    size: int


def is_elf(data: bytes) -> bool:
    return data[:4] == MAGIC


def read_elf(data: bytes, name: str) -> Elf:
    """Raises ComposeError for a damaged file or one of another architecture."""
    try:
        return _read(data)
    except (struct.error, ValueError, LookupError, TypeError, OverflowError) as error:
        raise ComposeError(
            f"{name} is no 64-bit ELF file that can be read ({error}): see where it came from"
        ) from error


def _read(data: bytes) -> Elf:
    if data[:6] != MAGIC + b"\x02\x01":
        raise ValueError("not 64-bit little-endian")
    (kind,) = struct.unpack_from("<H", data, 16)
    segments = list(read_segments(data))
    tags = list(_dynamic(data, segments))
    strings = next((_to_offset(value, segments) for tag, value in tags if tag == DT_STRTAB), 0)

    def texts(*wanted: int) -> tuple[str, ...]:
        return tuple(_text(data, strings + value) for tag, value in tags if tag in wanted)

    flags = next((value for tag, value in tags if tag == DT_FLAGS_1), 0)
    interpreter = next((_text(data, part.offset) for part in segments if part.type == PT_INTERP), "")
    search = tuple(part for path in texts(DT_RPATH, DT_RUNPATH) for part in path.split(":") if part)
    # A library may carry an interpreter so that it can print its version; what makes a program is the PIE flag.
    executable = kind == ET_EXEC or bool(flags & DF_1_PIE)
    optional = tuple(_optional(data, segments))
    return Elf("".join(texts(DT_SONAME)), texts(DT_NEEDED), search, optional, interpreter, executable)


def read_segments(data: bytes) -> Iterator[Segment]:
    """The program headers."""
    (table,) = struct.unpack_from("<Q", data, 32)
    size, count = struct.unpack_from("<HH", data, 54)
    for number in range(count):
        kind, _flags, offset, address, _physical, length = struct.unpack_from("<IIQQQQ", data, table + number * size)
        yield Segment(kind, offset, address, length)


def read_notes(data: bytes) -> Iterator[tuple[bytes, int, bytes]]:
    """(owner, type, content) of every note in the note segments, or in the note sections where there are none."""
    yield from _notes(data, list(read_segments(data)))


def read_section(data: bytes, name: str) -> bytes:
    """The content of a named section, empty when there is none (kernel modules keep their ``.modinfo`` in one)."""
    (table,) = struct.unpack_from("<Q", data, 40)
    size, count, names = struct.unpack_from("<HHH", data, 58)
    headers = [struct.unpack_from("<IIQQQQ", data, table + number * size) for number in range(count)]
    if not headers:
        return b""
    base = headers[names][4]
    for label, _type, _flags, _address, offset, length in headers:
        if _text(data, base + label) == name:
            return data[offset : offset + length]
    return b""


def _dynamic(data: bytes, segments: list[Segment]) -> Iterator[tuple[int, int]]:
    for part in segments:
        if part.type == PT_DYNAMIC:
            for tag, value in struct.iter_unpack("<QQ", data[part.offset : part.offset + part.size]):
                if tag == 0:
                    return
                yield tag, value


def _to_offset(address: int, segments: list[Segment]) -> int:
    for part in segments:
        if part.type == PT_LOAD and 0 <= address - part.address < part.size:
            return address - part.address + part.offset
    raise ValueError(f"address {address:#x} is in no segment")


def _text(data: bytes, offset: int) -> str:
    return data[offset : data.index(b"\0", offset)].decode()


def _notes(data: bytes, segments: list[Segment]) -> Iterator[tuple[bytes, int, bytes]]:
    for part in segments:
        if part.type != PT_NOTE:
            continue
        offset, end = part.offset, part.offset + part.size
        while offset + 12 <= end:
            owner_size, size, kind = struct.unpack_from("<III", data, offset)
            offset += 12
            owner = data[offset : offset + owner_size].rstrip(b"\0")
            offset += -(-owner_size // 4) * 4
            yield owner, kind, data[offset : offset + size]
            offset += -(-size // 4) * 4


def _optional(data: bytes, segments: list[Segment]) -> Iterator[Optional]:
    for owner, kind, content in _notes(data, segments):
        if owner == b"FDO" and kind == NOTE_DLOPEN:
            for entry in json.loads(content.rstrip(b"\0")):
                yield Optional(
                    tuple(entry["soname"]),
                    entry.get("feature", ""),
                    entry.get("description", ""),
                    entry.get("priority", "recommended"),
                )
