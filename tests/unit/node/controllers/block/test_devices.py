"""What the API shows of block devices, and the watcher's promise: no outcome beside an old picture of its device."""

from __future__ import annotations

import asyncio
import functools
import threading
from collections.abc import Callable, Coroutine
from pathlib import Path

import pytest

from dozen.linux import block_kinds as words
from dozen.linux.block_devices import Device
from dozen.linux.block_outcomes import Outcomes
from dozen.linux.block_probe import Probe
from dozen.linux.gpt import LINUX_DATA, Partition, Table
from dozen.linux.uevent import Event
from dozen.machinery.resources import block
from dozen.node.controllers.block import devices
from dozen.node.controllers.block.devices import BlockWatcher, describe_device, describe_disk, describe_volume
from dozen.testing.controllers import Bench
from dozen.testing.store import assert_gone, assert_resource

GUID = "11111111-2222-4333-8444-555555555555"
MIB = 1 << 20
DISK = Device("vdb", 254, 16, 2048 * MIB, 7, serial="data-1", transport="virtio", sector_size=512)
PART = Device("vdb3", 254, 19, 1946 * MIB, 7, parent="vdb", number=3, offset=102 * MIB)
ROOT = Device("vda", 254, 0, 64 * MIB, 1, read_only=True)
TABLE = Table(GUID, 512, 4194304, (Partition(3, LINUX_DATA, GUID, 208896, 4194000, "EPHEMERAL"),))
FOUND = {
    "vdb": Probe(words.RECOGNIZED, "gpt", GUID, size=2048 * MIB, table=TABLE),
    "vdb3": Probe(words.RECOGNIZED, "xfs", "u-1", "EPHEMERAL", 4096, 1946 * MIB),
}


def test_a_partition_is_described_with_what_its_disks_table_says() -> None:
    device = describe_device(PART, FOUND)
    assert (device.type, device.parent, device.partition_name, device.partition_number) == (
        "partition",
        "vdb",
        "EPHEMERAL",
        3,
    )
    volume = describe_volume(PART, FOUND)
    assert (volume.name, volume.label, volume.uuid, volume.partition_label) == ("xfs", "EPHEMERAL", "u-1", "EPHEMERAL")
    assert (volume.partition_uuid, volume.partition_type, volume.partition_index) == (GUID, LINUX_DATA, 3)
    assert (volume.dev_path, volume.parent_dev_path, volume.offset) == ("/dev/vdb3", "/dev/vdb", 102 * MIB)
    assert volume.pretty_size == "2.0 GB"


def test_a_partition_whose_disk_was_not_read_goes_by_what_the_kernel_calls_it() -> None:
    assert describe_device(PART._replace(partition_name="STATE"), {}).partition_name == "STATE"


def test_a_disk_is_described() -> None:
    disk = describe_disk(DISK, {"vdb": ("/dev/disk/by-id/virtio-data-1",)})
    assert (disk.dev_path, disk.serial, disk.transport, disk.pretty_size) == ("/dev/vdb", "data-1", "virtio", "2.1 GB")
    assert disk.symlinks == ("/dev/disk/by-id/virtio-data-1",)


def in_loop(test: Callable[..., Coroutine[None, None, None]]) -> Callable[..., None]:
    """Let a coroutine be a test."""

    @functools.wraps(test)
    def run(**fixtures: object) -> None:
        asyncio.run(asyncio.wait_for(test(**fixtures), 20))

    return run


class FakeEvents:
    """Device events that the test announces."""

    all: list[FakeEvents]

    def __init__(self, group: int, subsystems: tuple[str, ...]) -> None:
        assert subsystems == ("block",)
        self.queue: asyncio.Queue[Event] = asyncio.Queue()
        FakeEvents.all.append(self)

    async def read(self) -> Event:
        return await self.queue.get()

    def close(self) -> None:
        pass

    @staticmethod
    def announce(name: str) -> None:
        FakeEvents.all[0].queue.put_nowait(Event("change", f"/devices/x/block/{name}", "block", {}))


class FakeMachine:
    """The devices there are, what reading them shows, and which of them do not answer."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        self.devices = [ROOT, DISK]
        self.probes = {"vda": Probe(words.RECOGNIZED, "erofs"), "vdb": Probe(words.BLANK)}
        self.silent: dict[str, threading.Event] = {}
        self.reads: list[str] = []
        self.looks = self.questions = 0
        self.udev = tmp_path
        FakeEvents.all = []
        monkeypatch.setattr(devices, "DeviceEvents", FakeEvents)
        monkeypatch.setattr(devices, "read_devices", self.look)
        monkeypatch.setattr(devices, "read_links", dict)
        monkeypatch.setattr(devices, "root_device", lambda found: next(each for each in found if each.name == "vda"))
        monkeypatch.setattr(devices, "probe_device", self.probe)
        has_settled = BlockWatcher._has_settled

        def count(watcher: BlockWatcher, now: float, started: float) -> bool:
            self.questions += 1
            return has_settled(watcher, now, started)

        monkeypatch.setattr(BlockWatcher, "_has_settled", count)
        for name in ("BURST", "QUIET", "POLL"):
            monkeypatch.setattr(devices, name, 0.005)
        for name in ("CONTROL", "QUEUE", "DATA"):
            monkeypatch.setattr(devices, f"UDEV_{name}", str(tmp_path / name))

    def look(self) -> list[Device]:
        self.looks += 1
        return list(self.devices)

    async def until_asked_again(self) -> None:
        """Until the watcher has asked itself at least once from here whether all devices were found."""
        seen = self.questions
        while self.questions < seen + 2:
            await asyncio.sleep(0)

    def probe(self, device: Device) -> Probe:
        self.reads.append(device.name)
        if device.name in self.silent:
            self.silent[device.name].wait(5)
        return self.probes[device.name]

    def udev_is_done(self) -> None:
        (self.udev / "CONTROL").write_text("")
        (self.udev / "DATA").mkdir()
        for device in self.devices:
            (self.udev / f"DATA/b{device.major}:{device.minor}").write_text("")


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> FakeMachine:
    return FakeMachine(monkeypatch, tmp_path)


@in_loop
async def test_links_of_devices_that_are_there_are_published(
    machine: FakeMachine, monkeypatch: pytest.MonkeyPatch
) -> None:
    links = {"vdb": ("/dev/disk/by-id/data",), "gone": ("/dev/disk/by-id/gone",)}
    monkeypatch.setattr(devices, "read_links", lambda: links)
    async with Bench(watchers=[BlockWatcher(Outcomes())]) as bench:
        await assert_resource(bench.store, block.BLOCK_SYMLINK, "vdb", paths=links["vdb"])
        assert [each.id for each in bench.store.list(block.BLOCK_SYMLINK)] == ["vdb"]


@in_loop
async def test_devices_are_published_read_and_followed(machine: FakeMachine) -> None:
    async with Bench(watchers=[BlockWatcher(Outcomes())]) as bench:
        store = bench.store
        await assert_resource(store, words.CONTENT, "vdb", content=words.BLANK, generation=7)
        await assert_resource(store, block.DISK, "vdb", serial="data-1")
        await assert_resource(store, block.SYSTEM_DISK, "system-disk", disk_id="vda")
        machine.probes |= FOUND
        machine.devices.append(PART)
        FakeEvents.announce("vdb")
        await assert_resource(store, block.DISCOVERED_VOLUME, "vdb3", name="xfs", partition_label="EPHEMERAL")
        machine.devices.remove(PART)
        FakeEvents.announce("vdb3")
        for kind in (block.DISCOVERED_VOLUME, block.BLOCK_DEVICE, words.CONTENT):
            await assert_gone(store, kind, "vdb3")


@in_loop
async def test_nothing_is_read_twice_without_a_reason(machine: FakeMachine) -> None:
    async with Bench(watchers=[BlockWatcher(Outcomes())]) as bench:
        await assert_resource(bench.store, words.CONTENT, "vdb")
        await assert_resource(bench.store, words.CONTENT, "vda")
        machine.probes["vdb"] = Probe(words.UNKNOWN)
        FakeEvents.announce("vdb")
        await assert_resource(bench.store, words.CONTENT, "vdb", content=words.UNKNOWN)
        assert sorted(machine.reads) == ["vda", "vdb", "vdb"]


@in_loop
async def test_another_disk_under_the_same_name_is_read_anew(machine: FakeMachine) -> None:
    async with Bench(watchers=[BlockWatcher(Outcomes())]) as bench:
        await assert_resource(bench.store, words.CONTENT, "vdb", generation=7)
        machine.devices[1] = DISK._replace(generation=8)
        machine.probes["vdb"] = Probe(words.RECOGNIZED, "ext4")
        FakeEvents.announce("vda")  # even if the event of vdb itself was lost
        await assert_resource(bench.store, words.CONTENT, "vdb", generation=8, content=words.RECOGNIZED)


@in_loop
async def test_a_disk_that_does_not_answer_holds_up_no_other(machine: FakeMachine) -> None:
    machine.silent["vdb"] = threading.Event()
    try:
        async with Bench(watchers=[BlockWatcher(Outcomes())]) as bench:
            await assert_resource(bench.store, words.CONTENT, "vda", content=words.RECOGNIZED)
            await assert_resource(bench.store, block.DISK, "vdb")
            assert bench.store.find(words.CONTENT, "vdb") is None
            machine.silent["vdb"].set()
            await assert_resource(bench.store, words.CONTENT, "vdb")
    finally:
        machine.silent["vdb"].set()


@in_loop
async def test_an_outcome_is_published_with_a_fresh_look_at_its_device(machine: FakeMachine) -> None:
    outcomes = Outcomes()
    async with Bench(watchers=[BlockWatcher(outcomes)]) as bench:
        await assert_resource(bench.store, words.CONTENT, "vdb", content=words.BLANK)
        machine.probes |= FOUND
        machine.devices.append(PART)
        await outcomes.record("vdb", words.PARTITION, words.OK, generation=7)
        # At this very moment, with no event from the kernel at all, a plan sees all of it together.
        found = bench.store.find(words.OUTCOME, "vdb/partition")
        assert found is not None
        assert found.spec.result == words.OK
        assert bench.store.get(words.CONTENT, "vdb").spec.content == words.RECOGNIZED
        assert bench.store.get(block.DISCOVERED_VOLUME, "vdb3").spec.name == "xfs"


@in_loop
async def test_devices_have_settled_when_udevd_has_been_through_all(machine: FakeMachine) -> None:
    async with Bench(watchers=[BlockWatcher(Outcomes())]) as bench:
        await assert_resource(bench.store, words.CONTENT, "vdb")
        await machine.until_asked_again()
        assert bench.store.find(words.SCAN, words.DEVICES) is None
        (machine.udev / "QUEUE").write_text("")
        machine.udev_is_done()
        await machine.until_asked_again()
        assert bench.store.find(words.SCAN, words.DEVICES) is None
        looks = machine.looks
        (machine.udev / "QUEUE").unlink()
        await assert_resource(bench.store, words.SCAN, words.DEVICES, settled=True)
        assert machine.looks == looks, "looking at all devices takes a while, and nothing had been announced"


@in_loop
async def test_without_udevd_patience_ends(machine: FakeMachine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "PATIENCE", 0.05)
    async with Bench(watchers=[BlockWatcher(Outcomes())]) as bench:
        await assert_resource(bench.store, words.SCAN, words.DEVICES, settled=True)
