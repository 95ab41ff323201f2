"""Partition tables: what is written is read back, by us whatever happens to one of its copies."""

from __future__ import annotations

from itertools import count, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dozen.linux.gpt import (
    ALIGNMENT,
    LINUX_DATA,
    Partition,
    Read,
    Table,
    TableDoesNotFit,
    Wanted,
    guid_from_random,
    lay_out,
    parse_guid,
    parse_table,
    render_guid,
    render_table,
)

MIB = 1 << 20
OURS = (Wanted("META", MIB), Wanted("STATE", 100 * MIB), Wanted("EPHEMERAL", None))
DISK = "11111111-2222-4333-8444-555555555555"


def numbered_guids() -> object:
    numbers = count(1)
    return lambda: f"00000000-0000-4000-8000-{next(numbers):012x}"


def table_of(size: int, sector_size: int = 512, wanted: tuple[Wanted, ...] = OURS) -> Table:
    return lay_out(wanted, size, sector_size, numbered_guids(), DISK)  # type: ignore[arg-type]


class Image:
    """A sparse disk: what was written, zeros elsewhere."""

    def __init__(self, size: int, writes: list[tuple[int, bytes]]) -> None:
        self.size = size
        self.writes = writes

    def read(self, offset: int, length: int) -> bytes:
        data = bytearray(max(0, min(length, self.size - offset)))
        for start, written in self.writes:
            for at in range(max(start, offset), min(start + len(written), offset + len(data))):
                data[at - offset] = written[at - start]
        return bytes(data)


@pytest.mark.parametrize("sector_size", [512, 4096])
def test_a_table_is_read_back(sector_size: int) -> None:
    table = table_of(2048 * MIB, sector_size)
    assert parse_table(Image(2048 * MIB, render_table(table)).read, 2048 * MIB, sector_size) == table


def test_the_layout_is_aligned_and_takes_what_is_left() -> None:
    meta, state, ephemeral = table_of(2048 * MIB).partitions
    per = MIB // 512
    assert (meta.first, meta.sectors) == (per, per)
    assert (state.first, state.sectors) == (2 * per, 100 * per)
    assert (ephemeral.first, ephemeral.last) == (102 * per, 2047 * per - 1)
    assert {meta.type, state.type, ephemeral.type} == {LINUX_DATA}


@pytest.mark.parametrize("size", [0, 512, MIB, 102 * MIB, 103 * MIB])
def test_a_disk_that_is_too_small_is_refused(size: int) -> None:
    with pytest.raises(TableDoesNotFit, match="does not fit on a disk"):
        table_of(size)


@given(st.integers(104 * MIB, 1 << 45), st.sampled_from([512, 4096]))
def test_nothing_overlaps_on_a_disk_of_any_size(size: int, sector_size: int) -> None:
    table = table_of(size, sector_size)
    writes = sorted(render_table(table))
    for (start, data), (following, _) in pairwise(writes):
        assert start + len(data) <= following
    assert writes[-1][0] + len(writes[-1][1]) == size // sector_size * sector_size
    entries_end = writes[2][0] + len(writes[2][1])
    backup_start = writes[3][0]
    for partition in table.partitions:
        assert entries_end <= partition.first * sector_size
        assert (partition.last + 1) * sector_size <= backup_start
        assert partition.first * sector_size % ALIGNMENT == 0


@pytest.mark.parametrize("lost", range(5))
def test_one_of_the_copies_is_enough(lost: int) -> None:
    size = 512 * MIB
    table = table_of(size)
    writes = render_table(table)
    kept = [write for index, write in enumerate(writes) if index != lost]
    found = parse_table(Image(size, kept).read, size, 512)
    # The protective MBR (2) is for others; losing any other part costs one copy.
    assert found == table._replace(damaged=lost != 2)


@pytest.mark.parametrize("written", range(5))
def test_a_write_that_is_cut_short_leaves_no_table_or_a_whole_one(written: int) -> None:
    size = 512 * MIB
    table = table_of(size)
    found = parse_table(Image(size, render_table(table)[:written]).read, size, 512)
    assert found is None or found.partitions == table.partitions


@given(st.data())
def test_any_damaged_byte_of_both_headers_is_noticed(data: st.DataObject) -> None:
    size = 512 * MIB
    writes = render_table(table_of(size))
    damaged = []
    at = data.draw(st.integers(0, 91))
    for offset, content in writes:
        if content.startswith(b"EFI PART"):
            content = content[:at] + bytes([content[at] ^ data.draw(st.integers(1, 255))]) + content[at + 1 :]
        damaged.append((offset, content))
    assert parse_table(Image(size, damaged).read, size, 512) is None


@given(st.binary(max_size=4096), st.integers(0, 1 << 20))
def test_any_bytes_are_read_without_an_error(data: bytes, size: int) -> None:
    def read(offset: int, length: int) -> bytes:
        return (data * (length // max(1, len(data)) + 1))[:length] if data else b""

    checked: Read = read
    parse_table(checked, size, 512)


@given(st.binary(min_size=16, max_size=16))
def test_guids_are_read_back(data: bytes) -> None:
    assert render_guid(parse_guid(data)) == data


def test_a_guid_is_written_as_the_specification_says() -> None:
    # UEFI 2.10, appendix A: the EFI system partition's type.
    assert render_guid("c12a7328-f81f-11d2-ba4b-00a0c93ec93b").hex() == "28732ac11ff8d211ba4b00a0c93ec93b"


def test_a_random_guid_says_that_it_is_random() -> None:
    assert guid_from_random(bytes(16)) == "00000000-0000-4000-8000-000000000000"
    assert guid_from_random(b"\xff" * 16) == "ffffffff-ffff-4fff-bfff-ffffffffffff"


def test_names_are_cut_to_what_fits() -> None:
    size = 512 * MIB
    long = Partition(1, LINUX_DATA, DISK, 2048, 4095, "ü" * 50)
    table = Table(DISK, 512, size // 512, (long,))
    found = parse_table(Image(size, render_table(table)).read, size, 512)
    assert found is not None
    assert found.partitions == (long._replace(name="ü" * 36),)
