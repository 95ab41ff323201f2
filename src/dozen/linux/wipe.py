"""Carries out the effects that make devices forget.

What counts as blank is what `dozen.linux.block_probe` takes for blank: a wiped device is looked at again, and a wipe
that left something recognizable has failed. The kernel zeroes large stretches itself (BLKZEROOUT), which drives that
can do so without moving data.
"""

from __future__ import annotations

import asyncio
import errno
import fcntl
import os
import struct
from array import array
from collections.abc import Callable, Iterator

from dozen.linux import block_kinds as words
from dozen.linux.block import BLKRRPART
from dozen.linux.block_outcomes import OUTCOMES, Outcomes
from dozen.linux.block_probe import EDGE, XFS_SEARCH, find_xfs_remains, probe
from dozen.linux.gpt import ENTRY_COUNT, parse_table, render_table
from dozen.machinery.effects.wipe import DropPartition, WipeDevice
from dozen.machinery.plan import Effect, EffectError, Permanent, Temporary

# <linux/fs.h>, <linux/blkpg.h>
BLKSSZGET = 0x1268
BLKZEROOUT = 0x127F
BLKPG = 0x1269
BLKPG_DEL_PARTITION = 2
# struct blkpg_partition: start, length, number, two names; struct blkpg_ioctl_arg: operation, flags, length, pointer.
BLKPG_PARTITION = struct.Struct("qqi64s64s4x")
BLKPG_ARGUMENT = struct.Struct("iiiP")
# So much is zeroed by one request; a request cannot be interrupted.
STRETCH = 256 << 20


async def run(effect: Effect, outcomes: Outcomes = OUTCOMES) -> None:
    """Carry out an effect. Raises `Temporary` or `Permanent` with a sentence, TypeError for what is none of these."""
    match effect:
        case WipeDevice():
            await _carry_out(effect, words.WIPE, lambda: wipe_device(effect), outcomes)
        case DropPartition():
            await _carry_out(effect, words.DROP, lambda: drop_partition(effect), outcomes)
        case _:
            raise TypeError(f"not an effect that wipes: {effect!r}")


async def _carry_out(
    effect: WipeDevice | DropPartition, action: str, work: Callable[[], None], outcomes: Outcomes
) -> None:
    failure: EffectError | None = None
    try:
        await asyncio.to_thread(work)
    except EffectError as error:
        failure = error
    except OSError as error:
        busy = error.errno == errno.EBUSY
        why = "something uses it" if busy else error.strerror or str(error)
        failure = (Permanent if busy else Temporary)(f"cannot {effect}: {why}")
        failure.__cause__ = error
    result = words.OK if failure is None else words.FAILED
    name = os.path.basename(effect.device)
    await outcomes.record(name, action, result, "" if failure is None else str(failure), effect.generation)
    if failure is not None:
        raise failure


# -- All of this blocks.


def wipe_device(effect: WipeDevice) -> None:
    """Raises OSError; EBUSY when the device is in use, which O_EXCL asks (open(2))."""
    flags = os.O_RDWR | os.O_CLOEXEC | (os.O_EXCL if effect.exclusive else 0)
    descriptor = os.open(effect.device, flags)
    try:
        size = os.lseek(descriptor, 0, os.SEEK_END)
        for offset, length in [(0, size)] if effect.zeroes else list(_marks(descriptor, size)):
            _zero(descriptor, offset, length)
        os.fsync(descriptor)
        _forget_partitions(descriptor)
        # From the device and not from the cache, as far as the kernel lets itself be told so.
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        found = probe(lambda at, length: os.pread(descriptor, length, at), size, _sector_size(descriptor))
        if found.content != words.BLANK:
            raise Permanent(f"{effect.device} still holds {found.name or 'data'} after it was wiped")
    finally:
        os.close(descriptor)


def _marks(descriptor: int, size: int) -> Iterator[tuple[int, int]]:
    """Where formats leave marks: both edges of the device and of each partition, and copies of XFS' superblock."""

    def read(at: int, length: int) -> bytes:
        return os.pread(descriptor, length, at)

    sector = _sector_size(descriptor)
    table = parse_table(read, size, sector)
    stretches = [(each.first * sector, each.sectors * sector) for each in table.partitions] if table else []
    for start, length in [*stretches, (0, size)]:
        for at in find_xfs_remains(lambda at, count, start=start: read(start + at, count), length):  # type: ignore[misc]
            yield start + at, min(XFS_SEARCH, length - at)
        yield start, min(EDGE, length)
        yield start + max(0, length - EDGE), min(EDGE, length)


def _zero(descriptor: int, offset: int, length: int) -> None:
    until = offset + length
    while offset < until:
        count = min(STRETCH, until - offset)
        try:
            fcntl.ioctl(descriptor, BLKZEROOUT, struct.pack("QQ", offset, count))
        except OSError as error:
            if error.errno not in (errno.ENOTTY, errno.EINVAL, errno.EOPNOTSUPP):
                raise
            count = os.pwrite(descriptor, bytes(min(count, EDGE)), offset)
        offset += count


def drop_partition(effect: DropPartition) -> None:
    """Rewrite the table without the partition, and tell the kernel. Raises OSError, `Permanent`."""
    descriptor = os.open(effect.device, os.O_RDWR | os.O_CLOEXEC)
    try:
        size, sector = os.lseek(descriptor, 0, os.SEEK_END), _sector_size(descriptor)
        table = parse_table(lambda at, length: os.pread(descriptor, length, at), size, sector)
        if table is None or all(each.number != effect.number for each in table.partitions):
            raise Permanent(f"the table of {effect.device} has no partition {effect.number}")
        if any(each.number > ENTRY_COUNT for each in table.partitions):
            raise Permanent(f"the table of {effect.device} is larger than this system writes")
        _tell_kernel(descriptor, effect.number)
        rest = tuple(each for each in table.partitions if each.number != effect.number)
        for offset, data in render_table(table._replace(partitions=rest)):
            os.pwrite(descriptor, data, offset)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _tell_kernel(descriptor: int, number: int) -> None:
    """Take one partition away, whatever the others are used for: a table is read anew only if all of it is idle."""
    # An array tells where its bytes are, which is what the request wants.
    partition = array("B", BLKPG_PARTITION.pack(0, 0, number, b"", b""))
    request = BLKPG_ARGUMENT.pack(BLKPG_DEL_PARTITION, 0, BLKPG_PARTITION.size, partition.buffer_info()[0])
    try:
        fcntl.ioctl(descriptor, BLKPG, request)
    except OSError as error:
        # A plain file has no partitions (ENOTTY), and one that the kernel never knew needs no telling (ENXIO).
        if error.errno not in (errno.ENOTTY, errno.ENXIO):
            raise


def _forget_partitions(descriptor: int) -> None:
    try:
        fcntl.ioctl(descriptor, BLKRRPART)
    except OSError as error:
        # Neither a plain file nor a partition has partitions; one in use keeps them for now.
        if error.errno not in (errno.ENOTTY, errno.EINVAL, errno.EBUSY):
            raise


def _sector_size(descriptor: int) -> int:
    try:
        return int.from_bytes(fcntl.ioctl(descriptor, BLKSSZGET, bytes(4)), "little")
    except OSError:
        return 512  # a plain file
