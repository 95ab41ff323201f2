"""Gives unused blocks of the system's volumes back to their disks, every so often, as FilesystemTrimConfig asks.

When that happens is derived from the machine and the volume, so that the nodes of a cluster, whose disks may be one
disk in truth, do not all do it at once; and it is the same after a reboot.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from dozen.machinery.resources import block, config, runtime
from dozen.node.configuration import parse

if TYPE_CHECKING:
    from dozen.engine.publisher import Publisher
    from dozen.engine.store import Store
    from dozen.node.problems import Problems

WEEK = 7 * 24 * 3600.0
NANOSECONDS = 1_000_000_000
MACHINE_ID = "/system/etc/machine-id"
FILE_SYSTEMS = ("xfs", "ext4", "btrfs")

log = logging.getLogger("dozen.trim")


class Trimmed(NamedTuple):
    """A volume that is trimmed: where it is mounted, its file system, every how many seconds, and when next (epoch)."""

    id: str
    mountpoint: str
    filesystem: str
    interval: float
    next: float


def next_time(identity: str, interval: float, now: float) -> float:
    """The next moment of an interval that is this identity's, in seconds since the epoch."""
    import hashlib

    share = int.from_bytes(hashlib.sha256(identity.encode()).digest()[:8], "big") / 2**64
    offset = share * interval
    return ((now - offset) // interval + 1) * interval + offset


def _trim(mountpoint: str) -> int:
    from dozen.linux.trim import trim

    return trim(mountpoint)


class TrimWatcher:
    """MachineConfig, VolumeStatus, MountStatus → volumes are trimmed → VolumeTrimSchedule."""

    name = "volume-trim"
    outputs = (block.VOLUME_TRIM_SCHEDULE,)

    def __init__(self, store: Store, problems: Problems, trim: Callable[[str], int] = _trim) -> None:
        self._store = store
        self._problems = problems
        self._trim = trim

    async def run(self, publish: Publisher) -> None:
        changed = asyncio.Event()
        kinds = (config.MACHINE_CONFIG, block.VOLUME_STATUS, runtime.MOUNT_STATUS)
        stops = [self._store.listen(kind, lambda _: changed.set()) for kind in kinds]
        done: dict[str, float] = {}
        try:
            while True:
                changed.clear()
                now = time.time()
                wanted = self._wanted(now)
                publish.replace(block.VOLUME_TRIM_SCHEDULE, {each.id: _spec(each) for each in wanted})
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(changed.wait(), min((each.next - now for each in wanted), default=None))
                for each in wanted:
                    if each.next <= time.time() and done.get(each.id) != each.next:
                        done[each.id] = each.next
                        await self._do(each)
        finally:
            for stop in stops:
                stop()

    def _wanted(self, now: float) -> list[Trimmed]:
        from dozen.machinery.config.effective import find_document

        active = self._store.find(config.MACHINE_CONFIG, config.ACTIVE)
        said = find_document(parse(active.spec.text), "FilesystemTrimConfig") if active is not None else None
        if said is None:
            return []
        interval, machine = said.interval or WEEK, _read(MACHINE_ID)
        mounted = {each.spec.source: each.spec.target for each in reversed(self._store.list(runtime.MOUNT_STATUS))}
        return [
            Trimmed(
                each.id,
                mounted[each.spec.location],
                each.spec.filesystem,
                interval,
                next_time(f"{machine}/{each.id}", interval, now),
            )
            for each in self._store.list(block.VOLUME_STATUS)
            if each.spec.phase == "ready" and each.spec.filesystem in FILE_SYSTEMS and each.spec.location in mounted
        ]

    async def _do(self, each: Trimmed) -> None:
        problem = f"trim-{each.id}"
        try:
            size = await asyncio.to_thread(self._trim, each.mountpoint)
        except OSError as error:
            if error.errno == errno.EOPNOTSUPP:
                log.info("volume=%s its disk takes no blocks back", each.id)
                return
            self._problems.report_problem(problem, f"volume {each.id} cannot be trimmed: {error.strerror or error}")
        else:
            log.info("volume=%s trimmed bytes=%d", each.id, size)
            self._problems.clear_problem(problem)


def _spec(each: Trimmed) -> block.VolumeTrimScheduleSpec:
    return block.VolumeTrimScheduleSpec(
        filesystem=each.filesystem,
        interval=round(each.interval * NANOSECONDS),
        next_trim=round(each.next) * NANOSECONDS,
    )


def _read(path: str) -> str:
    try:
        with open(path) as stream:
            return stream.read().strip()
    except OSError:
        return ""
