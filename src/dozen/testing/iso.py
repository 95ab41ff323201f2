"""A small ISO 9660 file system with a few files in its root, as tests attach it to machines (ECMA-119)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

SECTOR = 2048
_ROOT, _FIRST_FILE = 18, 19  # 16 and 17 are the volume descriptors


def write_iso(path: Path, label: str, files: Mapping[str, bytes]) -> None:
    """``files`` by name; names are shortened and written in capitals, as ISO 9660 without extensions has them."""
    at = _FIRST_FILE
    records = _record(b"\0", _ROOT, SECTOR, folder=True) + _record(b"\1", _ROOT, SECTOR, folder=True)
    body = b""
    for name, content in sorted(files.items(), key=lambda item: iso_name(item[0])):
        records += _record(iso_name(name).encode(), at, len(content))
        padded = content + bytes(-len(content) % SECTOR)
        body += padded
        at += len(padded) // SECTOR
    volume = bytearray(SECTOR)
    volume[:7] = b"\x01CD001\x01"
    volume[8:40] = b"".ljust(32)
    volume[40:72] = label.encode().ljust(32)
    volume[80:88] = _both(at, 4)
    volume[120:124], volume[124:128], volume[128:132] = _both(1, 2), _both(1, 2), _both(SECTOR, 2)
    volume[156:190] = _record(b"\0", _ROOT, SECTOR, folder=True)
    volume[881] = 1
    end = b"\xffCD001\x01".ljust(SECTOR, b"\0")
    path.write_bytes(bytes(16 * SECTOR) + bytes(volume) + end + records.ljust(SECTOR, b"\0") + body)


def iso_name(name: str) -> str:
    """``user-data`` is ``USER_DAT.;1``, ``config.yaml`` is ``CONFIG.YAM;1``."""
    stem, _, suffix = name.upper().replace("-", "_").partition(".")
    return f"{stem[:8]}.{suffix[:3]};1"


def _both(number: int, size: int) -> bytes:
    """A number in both byte orders, as ECMA-119, 7.2.3 and 7.3.3 have it."""
    return number.to_bytes(size, "little") + number.to_bytes(size, "big")


def _record(name: bytes, at: int, size: int, *, folder: bool = False) -> bytes:
    """A directory record (9.1)."""
    length = 33 + len(name) + (len(name) + 1) % 2
    fixed = bytes([length, 0]) + _both(at, 4) + _both(size, 4) + bytes(7) + bytes([2 if folder else 0, 0, 0])
    return (fixed + _both(1, 2) + bytes([len(name)]) + name).ljust(length, b"\0")
