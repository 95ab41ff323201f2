"""The effects on block devices, on files in the place of disks and a programme's answers in the place of programmes."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from pathlib import Path

import pytest

from dozen.linux import block_kinds as words
from dozen.linux.block import run
from dozen.linux.block_outcomes import Outcomes
from dozen.linux.block_probe import probe
from dozen.machinery.effects.block import FormatXFS, RepairXFS, WritePartitionTable
from dozen.machinery.effects.mount import Unmount
from dozen.machinery.plan import Effect, Permanent, Temporary

MIB = 1 << 20
LAYOUT = (("META", MIB), ("STATE", 100 * MIB), ("EPHEMERAL", 0))


class Programs:
    """Answers each command with what was prepared, and remembers them."""

    def __init__(self, *answers: tuple[int, bytes] | OSError) -> None:
        self.answers = list(answers)
        self.commands: list[list[str]] = []

    async def run(self, argv: Sequence[str], timeout: float) -> tuple[int, bytes]:
        self.commands.append(list(argv))
        answer = self.answers.pop(0)
        if isinstance(answer, OSError):
            raise answer
        return answer


def carry_out(
    effect: Effect, *answers: tuple[int, bytes] | OSError
) -> tuple[list[list[str]], dict[str, words.OutcomeSpec]]:
    programs, outcomes = Programs(*answers), Outcomes()
    try:
        asyncio.run(run(effect, programs.run, outcomes))
    finally:
        carry_out.last = outcomes.specs  # type: ignore[attr-defined]
    return programs.commands, outcomes.specs


def failed_outcome() -> words.OutcomeSpec:
    (spec,) = carry_out.last.values()  # type: ignore[attr-defined]
    assert isinstance(spec, words.OutcomeSpec)
    return spec


@pytest.fixture
def disk(tmp_path: Path) -> str:
    path = tmp_path / "vdb"
    with path.open("wb") as stream:
        stream.truncate(600 * MIB)
    return str(path)


def look(path: str) -> object:
    with open(path, "rb") as stream:
        return probe(lambda at, length: os.pread(stream.fileno(), length, at), os.path.getsize(path))


def test_a_blank_disk_gets_our_partitions(disk: str) -> None:
    _, outcomes = carry_out(WritePartitionTable(disk, 7, LAYOUT, words.BLANK))
    found = look(disk)
    assert [each.name for each in found.table.partitions] == ["META", "STATE", "EPHEMERAL"]  # type: ignore[attr-defined]
    assert outcomes["vdb/partition"].result == words.OK
    assert outcomes["vdb/partition"].generation == 7


def test_what_was_in_the_place_of_a_partition_is_gone(disk: str) -> None:
    """Otherwise an old file system there would look like content of ours."""
    with open(disk, "r+b") as stream:
        stream.seek(102 * MIB)
        stream.write(b"XFSB" + b"old" * 1000)
    carry_out(WritePartitionTable(disk, 7, LAYOUT, words.BLANK))
    with open(disk, "rb") as stream:
        stream.seek(102 * MIB)
        assert stream.read(MIB).count(0) == MIB


def test_a_disk_that_changed_since_it_was_planned_is_not_touched(disk: str) -> None:
    with open(disk, "r+b") as stream:
        stream.write(b"LUKS\xba\xbe\x00\x02")
    with pytest.raises(Temporary, match=f"{disk} was blank when this was planned and is luks now"):
        carry_out(WritePartitionTable(disk, 7, LAYOUT, words.BLANK))
    with open(disk, "rb") as stream:
        assert stream.read(MIB).rstrip(b"\0") == b"LUKS\xba\xbe\x00\x02"


def test_a_disk_that_is_too_small_is_no_use_trying_again(tmp_path: Path) -> None:
    path = tmp_path / "vdb"
    path.write_bytes(bytes(8 * MIB))
    with pytest.raises(Permanent, match="STATE does not fit"):
        carry_out(WritePartitionTable(str(path), 7, LAYOUT, words.BLANK))
    assert failed_outcome().result == words.FAILED


def test_a_missing_disk_is_an_outcome(tmp_path: Path) -> None:
    with pytest.raises(Temporary, match="cannot be partitioned: No such file or directory"):
        carry_out(WritePartitionTable(f"{tmp_path}/vdz", 7, LAYOUT, words.BLANK))
    assert (failed_outcome().device, failed_outcome().result) == ("vdz", words.FAILED)


def test_formatting(disk: str) -> None:
    commands, outcomes = carry_out(FormatXFS(disk, 7, "EPHEMERAL", words.BLANK), (0, b""))
    assert commands == [["/sbin/mkfs.xfs", "-q", "-f", "-L", "EPHEMERAL", disk]]
    assert outcomes["vdb/format"].result == words.OK


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ((1, b"usage\nsize too small\n\n"), "mkfs.xfs ended with 1: size too small"),
        ((1, b""), "mkfs.xfs ended with 1: it said nothing"),
        (FileNotFoundError(2, "No such file or directory"), "cannot be formatted: No such file or directory"),
        (TimeoutError(), "cannot be formatted: it took too long"),
    ],
)
def test_a_failed_format_says_why(disk: str, answer: tuple[int, bytes] | OSError, message: str) -> None:
    with pytest.raises(Temporary, match=message):
        carry_out(FormatXFS(disk, 7, "EPHEMERAL", words.BLANK), answer)
    assert failed_outcome().result == words.FAILED
    assert message in failed_outcome().message


def test_a_partition_with_content_is_not_formatted(disk: str) -> None:
    with open(disk, "r+b") as stream:
        stream.write(b"somebody's data")
    with pytest.raises(Temporary, match="is unknown now"):
        carry_out(FormatXFS(disk, 7, "EPHEMERAL", words.BLANK))


@pytest.mark.parametrize(
    ("zero_log", "answer", "result"),
    [
        (False, (0, b"done"), words.OK),
        (False, (2, b"ERROR: The filesystem has valuable metadata changes in a log"), words.DIRTY_LOG),
        (False, (1, b"Sorry, could not find valid secondary superblock\nExiting now.\n"), words.FAILED),
        (True, (0, b"done"), words.OK),
        (True, (2, b"still"), words.FAILED),
        (True, (139, b""), words.FAILED),
    ],
)
def test_what_a_repair_came_to_is_for_the_plan_to_weigh(zero_log: bool, answer: tuple[int, bytes], result: str) -> None:
    commands, outcomes = carry_out(RepairXFS("/dev/vdb3", 7, zero_log), answer)
    assert commands == [["/sbin/xfs_repair", "-L", "/dev/vdb3"] if zero_log else ["/sbin/xfs_repair", "/dev/vdb3"]]
    assert outcomes["vdb3/repair"].result == result


def test_discarding_the_log_is_said_loudly(caplog: pytest.LogCaptureFixture) -> None:
    carry_out(RepairXFS("/dev/vdb3", 7, zero_log=True), (0, b""))
    assert any(record.levelname == "ERROR" and "may be lost" in record.getMessage() for record in caplog.records)


def test_a_repair_that_could_not_run_is_tried_again() -> None:
    with pytest.raises(Temporary, match="it took too long"):
        carry_out(RepairXFS("/dev/vdb3", 7), TimeoutError())
    assert failed_outcome().result == words.FAILED


def test_other_effects_are_not_understood() -> None:
    with pytest.raises(TypeError, match="not an effect on a block device"):
        carry_out(Unmount("/var"))


def test_an_effect_ends_when_its_outcome_is_published() -> None:
    async def scenario() -> None:
        outcomes = Outcomes()
        seen: list[str] = []
        stop = outcomes.listen(seen.append)
        effect = asyncio.ensure_future(run(RepairXFS("/dev/vdb3", 7), Programs((0, b"")).run, outcomes))
        for _ in range(5):
            await asyncio.sleep(0)
        assert seen == ["vdb3"]
        assert not effect.done()
        outcomes.mark_published(outcomes.specs["vdb3/repair"].number)
        await effect
        stop()
        await outcomes.record("vdb3", words.MOUNT, words.OK)
        assert seen == ["vdb3"]

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("effect", "text"),
    [
        (
            WritePartitionTable("/dev/vdb", 7, LAYOUT, words.BLANK),
            "partition /dev/vdb (blank): META 1 MiB, STATE 100 MiB, EPHEMERAL the rest",
        ),
        (FormatXFS("/dev/vdb3", 7, "EPHEMERAL", words.BLANK), "format /dev/vdb3 (blank) as xfs, label EPHEMERAL"),
        (RepairXFS("/dev/vdb3", 7, zero_log=True), "repair /dev/vdb3, giving up its log"),
    ],
)
def test_effects_read_well(effect: Effect, text: str) -> None:
    assert str(effect) == text
