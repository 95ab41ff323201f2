"""Wiping, on files in the place of disks."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from dozen.linux import block_kinds as words
from dozen.linux.block_outcomes import Outcomes
from dozen.linux.block_probe import Probe, probe
from dozen.linux.gpt import Wanted, lay_out, parse_table, render_table
from dozen.linux.wipe import run
from dozen.machinery.effects.mount import Unmount
from dozen.machinery.effects.wipe import DropPartition, WipeDevice
from dozen.machinery.plan import Effect, Permanent, Temporary

MIB = 1 << 20
SIZE = 64 * MIB
GUID = "0fc63daf-8483-4772-8e79-3d69d8477de4"


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    """Two partitions with something at both ends of each, and data in between that no format's marks are in."""
    path = tmp_path / "vdb"
    table = lay_out([Wanted("one", 16 * MIB), Wanted("two", None)], SIZE, 512, lambda: GUID, GUID)
    with path.open("wb") as file:
        file.truncate(SIZE)
        for offset, data in render_table(table):
            file.seek(offset)
            file.write(data)
        for each in table.partitions:
            for at in (each.first * 512, (each.last + 1) * 512 - 4096, each.first * 512 + 4 * MIB):
                file.seek(at)
                file.write(b"\xff" * 4096)
    return path


def look(path: Path, offset: int = 0, size: int = 0) -> Probe:
    with path.open("rb") as file:
        return probe(lambda at, length: os.pread(file.fileno(), length, offset + at), size or path.stat().st_size)


def carry_out(effect: Effect) -> words.OutcomeSpec:
    outcomes = Outcomes()
    try:
        asyncio.run(run(effect, outcomes))
    finally:
        carry_out.last = list(outcomes.specs.values())  # type: ignore[attr-defined]
    (outcome,) = outcomes.specs.values()
    return outcome


def test_marks_go_with_those_of_partitions(disk: Path) -> None:
    outcome = carry_out(WipeDevice(str(disk), 7))
    assert (outcome.device, outcome.action, outcome.result, outcome.generation) == ("vdb", "wipe", words.OK, 7)
    assert look(disk).content == words.BLANK
    # Made anew in the same places, the partitions do not come back with what they held.
    assert look(disk, MIB, 16 * MIB).content == words.BLANK
    assert look(disk, 17 * MIB, 46 * MIB).content == words.BLANK
    assert disk.read_bytes()[5 * MIB : 5 * MIB + 4096] == b"\xff" * 4096


def test_zeroes_leave_nothing(disk: Path) -> None:
    carry_out(WipeDevice(str(disk), zeroes=True))
    content = disk.read_bytes()
    assert len(content) == content.count(0) == SIZE


def test_copies_of_a_superblock_go_too(tmp_path: Path) -> None:
    """Otherwise a repair would make the file system again from them."""
    path = tmp_path / "vda3"
    with path.open("wb") as file:
        file.truncate(SIZE)
        file.seek(SIZE // 4)
        file.write(b"XFSB")
    assert look(path).content == words.XFS_REMAINS
    carry_out(WipeDevice(str(path)))
    assert look(path).content == words.BLANK


def test_a_partition_is_dropped_and_the_other_keeps_its_number(disk: Path) -> None:
    carry_out(DropPartition(str(disk), 1, 7))
    with disk.open("rb") as file:
        table = parse_table(lambda at, length: os.pread(file.fileno(), length, at), SIZE, 512)
    assert table is not None
    assert [(each.number, each.name) for each in table.partitions] == [(2, "two")]
    assert not table.damaged


def test_a_partition_that_is_not_there(disk: Path) -> None:
    with pytest.raises(Permanent, match="has no partition 3"):
        carry_out(DropPartition(str(disk), 3))
    (outcome,) = carry_out.last  # type: ignore[attr-defined]
    assert (outcome.action, outcome.result) == ("drop", words.FAILED)


def test_a_device_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(Temporary, match=r"cannot wipe .*No such file"):
        carry_out(WipeDevice(str(tmp_path / "absent")))


def test_other_effects_are_somebody_else_s() -> None:
    with pytest.raises(TypeError, match="not an effect that wipes"):
        asyncio.run(run(Unmount("/var")))
