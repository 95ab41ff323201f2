"""What is recognized on a device, and what may be called blank."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from dozen.linux import block_kinds as words
from dozen.linux.block_probe import EDGE, READERS, probe
from dozen.linux.gpt import Read, Wanted, lay_out, render_table

MIB = 1 << 20
SIZE = 64 * MIB
CASES = yaml.safe_load((Path(__file__).parents[2] / "cases/block/formats.yaml").read_text())
GUID = "11111111-2222-4333-8444-555555555555"


def device(size: int, pieces: dict[int, bytes]) -> Read:
    """A device that holds these bytes, and zeros elsewhere."""

    def read(offset: int, length: int) -> bytes:
        data = bytearray(max(0, min(length, size - offset)))
        for start, piece in pieces.items():
            low, high = max(start, offset), min(start + len(piece), offset + len(data))
            if low < high:
                data[low - offset : high - offset] = piece[low - start : high - start]
        return bytes(data)

    return read


def pieces_of(case: dict[str, Any]) -> dict[int, bytes]:
    return {offset: bytes.fromhex(text) for offset, text in case["pieces"].items()}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_formats_are_recognized(case: dict[str, Any]) -> None:
    found = probe(device(case["size"], pieces_of(case)), case["size"])
    assert found.content == words.RECOGNIZED
    assert {name: getattr(found, name) for name in case["expect"]} == case["expect"]


@pytest.mark.parametrize(
    ("name", "offset", "magic"),
    [
        ("luks", 0, b"LUKS\xba\xbe\x00\x02"),
        ("btrfs", 0x10040, b"_BHRfS_M"),
        ("linux_raid_member", 4096, b"\xfc\x4e\x2b\xa9"),
        ("linux_raid_member", 0, b"\xfc\x4e\x2b\xa9"),
        ("linux_raid_member", SIZE - 0x10000, b"\xfc\x4e\x2b\xa9"),
        ("linux_raid_member", SIZE - 8192, b"\xfc\x4e\x2b\xa9"),
        ("ceph_bluestore", 0, b"bluestore block device\n"),
        ("ntfs", 3, b"NTFS    "),
        ("exfat", 3, b"EXFAT   "),
        ("f2fs", 1024, b"\x10\x20\xf5\xf2"),
        ("zfs_member", 128 * 1024 + 5 * 1024, b"\x0c\xb1\xba\x00"),
        ("swap", 65536 - 10, b"SWAPSPACE2"),
    ],
)
def test_what_others_use_is_recognized_by_its_magic(name: str, offset: int, magic: bytes) -> None:
    found = probe(device(SIZE, {offset: magic}), SIZE)
    assert (found.content, found.name) == (words.RECOGNIZED, name)


@pytest.mark.parametrize("sector_size", [512, 4096])
def test_a_partition_table_is_recognized(sector_size: int) -> None:
    table = lay_out([Wanted("META", MIB)], SIZE, sector_size, lambda: GUID, GUID)
    found = probe(device(SIZE, dict(render_table(table))), SIZE, sector_size)
    assert (found.name, found.uuid, found.table) == ("gpt", GUID, table)


@pytest.mark.parametrize("size", [0, 512, 4096, EDGE, 3 * EDGE, SIZE])
def test_zeros_are_blank(size: int) -> None:
    assert probe(device(size, {}), size).content == words.BLANK


@pytest.mark.parametrize("offset", [0, 1, EDGE - 1, SIZE - EDGE, SIZE - 1])
def test_one_byte_at_either_end_is_not_blank(offset: int) -> None:
    assert probe(device(SIZE, {offset: b"\x01"}), SIZE).content == words.UNKNOWN


@given(st.integers(0, 255), st.integers(0, 300 * 1024 - 1), st.binary(max_size=2048))
def test_any_bytes_are_read_without_an_error_and_are_never_blank(first: int, offset: int, data: bytes) -> None:
    found = probe(device(SIZE, {offset: data}), SIZE)
    assert (found.content == words.BLANK) == (data.count(0) == len(data))


@given(st.binary(min_size=512, max_size=2048), st.sampled_from(READERS))
def test_no_reader_trips_over_any_bytes(data: bytes, reader: Any) -> None:
    reader(data.ljust(256 * 1024, b"\0"))


def xfs_pieces() -> dict[int, bytes]:
    return pieces_of(next(case for case in CASES if case["name"] == "xfs"))


def test_an_interrupted_mkfs_is_told_from_a_file_system() -> None:
    superblock = bytearray(xfs_pieces()[0])
    superblock[126] = 1
    assert probe(device(400 * MIB, {0: bytes(superblock)}), 400 * MIB).content == words.INTERRUPTED


@pytest.mark.parametrize("groups", [2, 4, 16])
@pytest.mark.parametrize("shift", [0, 4095])
def test_a_second_superblock_is_found_when_the_first_is_gone(groups: int, shift: int) -> None:
    """mkfs.xfs rounds a group's size up to whole blocks, so a group begins up to a block behind the even share."""
    size = 400 * MIB
    at = size // groups + shift
    assert probe(device(size, {at: xfs_pieces()[0]}), size).content == words.XFS_REMAINS


def test_groups_of_a_large_disk_are_a_tebibyte_apart() -> None:
    size = 20 << 40
    assert probe(device(size, {1 << 40: xfs_pieces()[0]}), size).content == words.XFS_REMAINS
    assert probe(device(size, {}), size).content == words.BLANK


def test_an_error_of_the_disk_is_passed_on() -> None:
    def read(offset: int, length: int) -> bytes:
        raise OSError(5, "Input/output error")

    with pytest.raises(OSError, match="Input/output"):
        probe(read, SIZE)
