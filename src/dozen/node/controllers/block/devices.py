"""Observes block devices: which there are, what they hold, and what came of the effects on them.

The kernel announces devices that come, change and go. After each burst of announcements sysfs is read again, and what
is new or changed is read itself, each device in a task of its own: a disk that does not answer holds up nobody else. An
effect on a device makes it be read again too, and its outcome is published only after that, so that a plan never sees
an outcome beside an old picture of the device.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterable
from contextlib import suppress
from typing import TYPE_CHECKING

from dozen.linux import block_kinds as words
from dozen.linux.block_devices import Device, pretty_size, probe_device, read_devices, read_links, root_device
from dozen.linux.block_outcomes import OUTCOMES, Outcomes
from dozen.linux.block_probe import Probe
from dozen.linux.gpt import Partition
from dozen.linux.uevent import KERNEL, UDEV, DeviceEvents, MissedEvents
from dozen.machinery.resources import block

if TYPE_CHECKING:
    from dozen.engine.publisher import Publisher

BURST = 0.02  # seconds in which announcements that belong together come
# Devices count as settled when udevd has been through them and nothing was announced for this long…
QUIET = 0.5
# …or, should udevd not run, after this long.
PATIENCE = 20.0
POLL = 0.1
SUBSYSTEMS = ("block",)
UDEV_CONTROL, UDEV_QUEUE, UDEV_DATA = "/run/udev/control", "/run/udev/queue", "/run/udev/data"

Stamp = tuple[int, int, int, int]
"""Tells whether a name still means the same device: generation, numbers, size."""


class BlockWatcher:
    """Publishes disks, devices, what is on them, which one the system runs from, and outcomes of effects."""

    name = "block-devices"
    outputs = (
        block.BLOCK_DEVICE,
        block.DISK,
        block.DISCOVERED_VOLUME,
        block.SYSTEM_DISK,
        block.BLOCK_SYMLINK,
        words.CONTENT,
        words.OUTCOME,
        words.SCAN,
    )

    def __init__(self, outcomes: Outcomes = OUTCOMES) -> None:
        self._outcomes = outcomes
        self._probes: dict[str, tuple[Stamp, Probe]] = {}
        self._stale: set[str] = set()  # devices to read again; until then what was read before stands
        self._reading: dict[str, asyncio.Task[None]] = {}
        self._devices: list[Device] = []
        self._woken = asyncio.Event()
        self._last_event = 0.0
        self._settled = False

    async def run(self, publish: Publisher) -> None:
        loop = asyncio.get_running_loop()
        started = self._last_event = loop.time()
        stop = self._outcomes.listen(self._after_effect)
        kernel, udev = DeviceEvents(KERNEL, SUBSYSTEMS), DeviceEvents(UDEV, SUBSYSTEMS)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._listen(kernel))
                group.create_task(self._listen(udev, links=True))
                while True:
                    await self._look(publish, group)
                    await self._until_woken(publish, started)
        finally:
            stop()
            self._reading.clear()
            kernel.close()
            udev.close()

    async def _look(self, publish: Publisher, group: asyncio.TaskGroup) -> None:
        """Read sysfs, have new devices read, and publish."""
        self._woken.clear()
        self._devices = await asyncio.to_thread(read_devices)
        self._read_new(self._devices, group)
        self._publish(publish, self._devices, await asyncio.to_thread(read_links))

    async def _until_woken(self, publish: Publisher, started: float) -> None:
        """Until there is a reason to look again; that all devices were found shows by there being none for a while."""
        while not self._woken.is_set():
            if not self._settled and self._has_settled(asyncio.get_running_loop().time(), started):
                self._settled = True
                publish.put(words.SCAN, words.DEVICES, words.ScanSpec(settled=True))
            with suppress(TimeoutError):
                await asyncio.wait_for(self._woken.wait(), None if self._settled else POLL)
        await asyncio.sleep(BURST)

    # -- What wakes it.

    async def _listen(self, events: DeviceEvents, *, links: bool = False) -> None:
        """``links``: these are udevd's events, after which only the links in /dev are new."""
        while True:
            try:
                event = await events.read()
            except MissedEvents:
                self._stale.update(self._probes, self._reading)
            else:
                if not links:
                    self._stale.add(os.path.basename(event.path))
            self._last_event = asyncio.get_running_loop().time()
            self._woken.set()

    def _after_effect(self, name: str) -> None:
        self._stale.update(each for each in (name, *self._probes, *self._reading) if each.startswith(name))
        self._woken.set()

    # -- Reading devices.

    def _read_new(self, devices: Iterable[Device], group: asyncio.TaskGroup) -> None:
        present = {device.name for device in devices}
        self._stale &= present
        for name in self._probes.keys() - present:
            del self._probes[name]
        for device in devices:
            if device.name not in self._reading and not self._is_known(device):
                self._stale.discard(device.name)
                self._reading[device.name] = group.create_task(self._read(device), name=f"read-{device.name}")

    def _is_known(self, device: Device) -> bool:
        known = self._probes.get(device.name)
        return known is not None and known[0] == _stamp(device) and device.name not in self._stale

    async def _read(self, device: Device) -> None:
        found = await asyncio.to_thread(probe_device, device)
        del self._reading[device.name]
        # Marked stale meanwhile, it stays so, and the next round reads it once more.
        self._probes[device.name] = (_stamp(device), found)
        self._woken.set()

    def _has_settled(self, now: float, started: float) -> bool:
        if now - started > PATIENCE:
            return True
        if self._reading or now - self._last_event < QUIET:
            return False
        if not os.path.exists(UDEV_CONTROL) or os.path.exists(UDEV_QUEUE):
            return False
        whole = (device for device in self._devices if not device.is_partition)
        return all(os.path.exists(f"{UDEV_DATA}/b{device.major}:{device.minor}") for device in whole)

    # -- Publishing.

    def _publish(self, publish: Publisher, devices: list[Device], links: dict[str, tuple[str, ...]]) -> None:
        found = {
            device.name: self._probes[device.name][1]
            for device in devices
            if device.name in self._probes and self._probes[device.name][0] == _stamp(device)
        }
        by_name = {device.name: device for device in devices}
        publish.replace(block.BLOCK_DEVICE, {device.name: describe_device(device, found) for device in devices})
        publish.replace(
            block.DISK,
            {each.name: describe_disk(each, links) for each in devices if each.is_disk or each.is_cdrom},
        )
        publish.replace(
            block.BLOCK_SYMLINK, {name: block.SymlinkSpec(paths=links[name]) for name in by_name.keys() & links}
        )
        publish.replace(
            block.DISCOVERED_VOLUME,
            {name: describe_volume(by_name[name], found) for name in found},
        )
        publish.replace(
            words.CONTENT,
            {
                name: words.ContentSpec(content=each.content, generation=by_name[name].generation, error=each.error)
                for name, each in found.items()
            },
        )
        root = root_device(devices)
        disk = None if root is None else root.parent or root.name
        system = {} if disk is None else {"system-disk": block.SystemDiskSpec(disk_id=disk, dev_path=f"/dev/{disk}")}
        publish.replace(block.SYSTEM_DISK, system)
        for id, outcome in self._outcomes.specs.items():
            affected = (each for each in devices if each.name.startswith(outcome.device))
            if all(self._is_known(each) and each.name not in self._reading for each in affected):
                publish.put(words.OUTCOME, id, outcome)
                self._outcomes.mark_published(outcome.number)


def _stamp(device: Device) -> Stamp:
    return device.generation, device.major, device.minor, device.size


def _table_entry(device: Device, found: dict[str, Probe]) -> Partition | None:
    parent = found.get(device.parent)
    if parent is None or parent.table is None:
        return None
    return next((each for each in parent.table.partitions if each.number == device.number), None)


def describe_device(device: Device, found: dict[str, Probe]) -> block.BlockDeviceSpec:
    """The wire's BlockDevice."""
    entry = _table_entry(device, found)
    return block.BlockDeviceSpec(
        type="partition" if device.is_partition else "disk",
        major=device.major,
        minor=device.minor,
        partition_name=entry.name if entry is not None else device.partition_name,
        partition_number=device.number,
        device_path=device.path,
        generation=device.generation,
        parent=device.parent,
        secondaries=device.secondaries,
    )


def describe_disk(device: Device, links: dict[str, tuple[str, ...]]) -> block.DiskSpec:
    """The wire's Disk."""
    return block.DiskSpec(
        dev_path=device.path,
        size=device.size,
        pretty_size=pretty_size(device.size),
        io_size=device.io_size,
        sector_size=device.sector_size,
        readonly=device.read_only,
        cdrom=device.is_cdrom,
        model=device.model,
        firmware_version=device.firmware,
        serial=device.serial,
        modalias=device.modalias,
        wwid=device.wwid,
        uuid=device.uuid,
        bus_path=device.bus_path,
        sub_system="/sys/class/block",
        transport=device.transport,
        rotational=device.rotational,
        secondary_disks=device.secondaries,
        symlinks=links.get(device.name, ()),
    )


def describe_volume(device: Device, found: dict[str, Probe]) -> block.DiscoveredVolumeSpec:
    """The wire's DiscoveredVolume: what is on the device, and what its disk's table says about a partition."""
    probe, entry = found[device.name], _table_entry(device, found)
    return block.DiscoveredVolumeSpec(
        dev_path=device.path,
        type="partition" if device.is_partition else "disk",
        device_path=device.path,
        parent=device.parent,
        parent_dev_path=f"/dev/{device.parent}" if device.parent else "",
        offset=device.offset,
        size=device.size,
        pretty_size=pretty_size(device.size),
        sector_size=device.sector_size,
        io_size=device.io_size,
        name=probe.name,
        uuid=probe.uuid,
        label=probe.label,
        block_size=probe.block_size,
        filesystem_block_size=probe.block_size,
        probed_size=probe.size,
        partition_uuid=entry.guid if entry is not None else "",
        partition_type=entry.type if entry is not None else "",
        partition_label=entry.name if entry is not None else device.partition_name,
        partition_index=device.number,
    )
