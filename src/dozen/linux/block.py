"""Carries out the effects on block devices: partition tables, making and repairing file systems.

Before anything is written the device is looked at again; when it no longer holds what the plan saw, the effect is
refused and planned anew. Every end of an effect is noted in `dozen.linux.block_outcomes`, from where it reaches the
next plan. Programs run through a function that is handed in, because starting processes is PID 1's own business.
"""

from __future__ import annotations

import asyncio
import fcntl
import logging
import os
from collections.abc import Awaitable, Callable, Sequence

from dozen.linux import block_kinds as words
from dozen.linux.block_outcomes import OUTCOMES, Outcomes
from dozen.linux.block_probe import EDGE, probe
from dozen.linux.gpt import Table, TableDoesNotFit, Wanted, guid_from_random, lay_out, render_table
from dozen.machinery.effects.block import FormatXFS, RepairXFS, WritePartitionTable
from dozen.machinery.plan import Effect, Permanent, Temporary

RunProgram = Callable[[Sequence[str], float], Awaitable[tuple[int, bytes]]]
"""``await run(argv, timeout)`` → exit code and output; raises OSError and TimeoutError."""

MKFS = "/sbin/mkfs.xfs"
REPAIR = "/sbin/xfs_repair"
FORMAT_TIMEOUT = 600.0
REPAIR_TIMEOUT = 6 * 3600.0
REPLAN = 0.5  # seconds until a refused effect is planned again; the watcher has looked at the device by then

# <linux/fs.h>
BLKRRPART = 0x125F
BLKSSZGET = 0x1268
# xfs_repair(8): "exit status 2 if the log is dirty and was not replayed".
REPAIR_DIRTY_LOG = 2

log = logging.getLogger("dozen.block")


async def run(effect: Effect, run_program: RunProgram, outcomes: Outcomes = OUTCOMES) -> None:
    """Carry out an effect on a block device.

    Raises `Temporary` or `Permanent` with a sentence, and TypeError for what is not about block devices.
    """
    match effect:
        case WritePartitionTable():
            await _write_partition_table(effect, outcomes)
        case FormatXFS():
            await _format(effect, run_program, outcomes)
        case RepairXFS():
            await _repair(effect, run_program, outcomes)
        case _:
            raise TypeError(f"not an effect on a block device: {effect!r}")


async def _write_partition_table(effect: WritePartitionTable, outcomes: Outcomes) -> None:
    name = os.path.basename(effect.device)
    try:
        await asyncio.to_thread(_partition, effect)
    except TableDoesNotFit as error:
        await outcomes.record(name, words.PARTITION, words.FAILED, str(error), effect.generation)
        raise Permanent(str(error)) from error
    except OSError as error:
        message = f"{effect.device} cannot be partitioned: {error.strerror or error}"
        await outcomes.record(name, words.PARTITION, words.FAILED, message, effect.generation)
        raise Temporary(message) from error
    await outcomes.record(name, words.PARTITION, words.OK, generation=effect.generation)


async def _format(effect: FormatXFS, run_program: RunProgram, outcomes: Outcomes) -> None:
    name = os.path.basename(effect.device)
    try:
        await asyncio.to_thread(_check_content, effect.device, effect.over)
        # -f: an interrupted attempt looks like a file system to mkfs.
        small = ("--unsupported",) if effect.small else ()
        command = [MKFS, "-q", "-f", *small, "-L", effect.label, effect.device]
        code, printed = await run_program(command, FORMAT_TIMEOUT)
        message = "" if code == 0 else f"mkfs.xfs ended with {code}: {_last_line(printed)}"
    except OSError as error:  # TimeoutError is one
        message = f"{effect.device} cannot be formatted: {_describe(error)}"
    await outcomes.record(name, words.FORMAT, words.FAILED if message else words.OK, message, effect.generation)
    if message:
        raise Temporary(message)


async def _repair(effect: RepairXFS, run_program: RunProgram, outcomes: Outcomes) -> None:
    """Never raises for what the repair itself came to: that is for the next plan to weigh."""
    name = os.path.basename(effect.device)
    command = [REPAIR, *(("-L",) if effect.zero_log else ()), effect.device]
    log.warning('repair device=%s zero_log=%s command="%s"', effect.device, effect.zero_log, " ".join(command))
    if effect.zero_log:
        log.error(
            "device=%s: its log could not be replayed; it is being discarded, and the last changes to "
            "files before the unclean stop may be lost",
            effect.device,
        )
    try:
        code, printed = await run_program(command, REPAIR_TIMEOUT)
    except OSError as error:
        message = f"xfs_repair could not run: {_describe(error)}"
        await outcomes.record(name, words.REPAIR, words.FAILED, message, effect.generation)
        raise Temporary(message) from error
    result, message = words.OK, ""
    if code == REPAIR_DIRTY_LOG and not effect.zero_log:
        result, message = words.DIRTY_LOG, "the log holds changes that mounting did not replay"
    elif code != 0:
        result, message = words.FAILED, f"xfs_repair ended with {code}: {_last_line(printed)}"
    log.warning('repair device=%s result=%s message="%s"', effect.device, result, message)
    await outcomes.record(name, words.REPAIR, result, message, effect.generation)


def _describe(error: OSError) -> str:
    return "it took too long" if isinstance(error, TimeoutError) else error.strerror or str(error)


def _last_line(printed: bytes) -> str:
    lines = [line.strip() for line in printed.decode("utf-8", "replace").splitlines() if line.strip()]
    return lines[-1] if lines else "it said nothing"


# -- Writing to devices; all of this blocks.


def _check_content(path: str, expected: str) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        _refuse_surprise(descriptor, path, expected)
    finally:
        os.close(descriptor)


def _refuse_surprise(descriptor: int, path: str, expected: str) -> None:
    size = os.lseek(descriptor, 0, os.SEEK_END)
    found = probe(lambda at, length: os.pread(descriptor, length, at), size, _sector_size(descriptor))
    if found.content != expected:
        seen = found.name or found.content
        raise Temporary(f"{path} was {expected} when this was planned and is {seen} now", REPLAN)


def _partition(effect: WritePartitionTable) -> None:
    # O_EXCL on a block device: EBUSY when anything on it is mounted or otherwise in use (open(2)).
    descriptor = os.open(effect.device, os.O_RDWR | os.O_EXCL | os.O_CLOEXEC)
    try:
        _refuse_surprise(descriptor, effect.device, effect.over)
        sector_size = _sector_size(descriptor)
        size = os.lseek(descriptor, 0, os.SEEK_END)
        wanted = [Wanted(label, length or None) for label, length in effect.partitions]
        table = lay_out(wanted, size, sector_size, _new_guid, _new_guid())
        for offset, length in _edges(table):
            _write(descriptor, offset, bytes(length))
        for offset, data in render_table(table):
            _write(descriptor, offset, data)
        os.fsync(descriptor)
        _reread_partitions(descriptor)
    finally:
        os.close(descriptor)


def _edges(table: Table) -> list[tuple[int, int]]:
    """Both ends of each partition: what an earlier use of the disk left there must not look like content of ours."""
    edges = []
    for each in table.partitions:
        start, length = each.first * table.sector_size, each.sectors * table.sector_size
        edges.append((start, min(EDGE, length)))
        if length > EDGE:
            edges.append((start + max(EDGE, length - EDGE), min(EDGE, length - EDGE)))
    return edges


def _write(descriptor: int, offset: int, data: bytes) -> None:
    at = 0
    while at < len(data):
        at += os.pwrite(descriptor, data[at:], offset + at)


def _new_guid() -> str:
    return guid_from_random(os.urandom(16))


def _sector_size(descriptor: int) -> int:
    try:
        return int.from_bytes(fcntl.ioctl(descriptor, BLKSSZGET, bytes(4)), "little")
    except OSError:
        return 512  # a plain file, as in tests


def _reread_partitions(descriptor: int) -> None:
    try:
        fcntl.ioctl(descriptor, BLKRRPART)
    except OSError as error:
        # A plain file has no partitions to announce (ENOTTY); a device that refuses will be read at the next boot.
        log.warning('partition message="the kernel did not read the new table: %s"', error.strerror)
