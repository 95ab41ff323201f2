"""What ends a boot: which mounts are taken down, and that nothing keeps the machine from going down."""

from __future__ import annotations

import asyncio
import contextlib
import io
import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any, cast

import pytest

from dozen.engine.store import Store
from dozen.linux import sys as linux
from dozen.machinery.effects.wipe import WipeDevice
from dozen.machinery.plan import Temporary
from dozen.machinery.resources import etcd
from dozen.node.ending import Ending
from dozen.node.events import Event, Events
from dozen.node.tasks import stopping

MOUNTS = """\
21 1 0:20 / / ro,relatime - erofs /dev/vda ro
22 21 0:21 / /proc rw,nosuid - proc proc rw
23 21 0:22 / /system rw,nosuid - tmpfs tmpfs rw
24 21 8:3 / /var rw,nosuid shared:1 master:2 - xfs /dev/sda3 rw
25 24 0:23 / /var/lib/containers/a\\040b rw - overlay overlay rw,lowerdir=/x
26 24 8:3 /pods /var/lib/kubelet rw - xfs /dev/sda3 rw
"""


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the kernel is asked for; /var is busy."""
    found: list[str] = []

    def umount(target: str) -> None:
        found.append(f"umount {target}")
        if target == "/var":
            raise OSError(16, "busy")

    def mount(source: str, target: str, fstype: str, flags: int, options: str) -> None:
        assert flags == linux.MS_REMOUNT | linux.MS_RDONLY
        found.append(f"read-only {target}")

    monkeypatch.setattr(stopping, "open", lambda path: io.StringIO(MOUNTS), raising=False)
    monkeypatch.setattr(linux, "umount", umount)
    monkeypatch.setattr(linux, "mount", mount)
    return found


def machine(mode: str = "metal") -> Any:
    return SimpleNamespace(mode=mode, log=logging.getLogger("test"))


def test_what_has_a_disk_behind_it_is_unmounted_newest_first(asked: list[str]) -> None:
    asyncio.run(stopping.unmount_all(machine()))
    assert asked == [
        "umount /var/lib/kubelet",
        "umount /var/lib/containers/a b",
        "umount /var",
        "read-only /var",
    ]


def test_a_container_s_mounts_are_its_maker_s(asked: list[str]) -> None:
    asyncio.run(stopping.unmount_all(machine("container")))
    assert asked == []


@pytest.fixture
def blocked() -> Iterator[Callable[..., None]]:
    """Blocks whoever calls it, as a disk does that does not answer, until the test is over."""
    over = threading.Event()
    yield lambda *_: over.wait() and None
    over.set()


def test_a_disk_that_does_not_answer_keeps_nobody_from_going_down(
    blocked: Callable[..., None], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(stopping, "SYNC_BOUND", 0.1)
    monkeypatch.setattr(os, "sync", blocked)
    began = time.monotonic()
    asyncio.run(stopping.sync_disks(machine()))
    assert time.monotonic() - began < 5
    assert "sync did not end within 0.1 s" in caplog.text


def test_a_mount_that_does_not_come_off_leaves_time_for_the_others(
    asked: list[str], blocked: Callable[..., None], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    off = linux.umount

    def umount(target: str) -> None:
        if target == "/var/lib/kubelet":
            blocked()
        off(target)

    monkeypatch.setattr(linux, "umount", umount)
    monkeypatch.setattr(stopping, "MOUNT_BOUND", 0.1)
    asyncio.run(stopping.unmount_all(machine()))
    assert asked == ["umount /var/lib/containers/a b", "umount /var", "read-only /var"]
    assert "unmount=/var/lib/kubelet error=it did not end within 0.1 s" in caplog.text


def test_all_mounts_together_have_a_bound(
    asked: list[str], blocked: Callable[..., None], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(linux, "umount", blocked)
    monkeypatch.setattr(stopping, "UNMOUNT_BOUND", 0.1)
    asyncio.run(stopping.unmount_all(machine()))
    assert asked == []
    assert "unmount=/var error=no time is left for it" in caplog.text


def test_a_service_that_does_not_die_keeps_nobody_from_going_down(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """As one that was killed in a call that its disk does not answer, and a wait that cannot be cancelled either."""
    asked: list[tuple[str, ...]] = []

    async def stop_all(keep: tuple[str, ...]) -> None:
        asked.append(keep)
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
        await asyncio.Event().wait()

    services = SimpleNamespace(stop_all=stop_all, get=lambda _: SimpleNamespace(ready=False))
    for name in ("SERVICES_BOUND", "LAST_SERVICES_BOUND"):
        monkeypatch.setattr(stopping, name, 0.1)

    async def stop() -> None:
        await stopping.stop_all_services(cast("Any", SimpleNamespace(services=services, log=machine().log)))
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()

    asyncio.run(stop())
    assert asked == [("machined", "apid", "containerd"), ("machined", "apid")]
    assert caplog.text.count("services did not end within 0.1 s") == 2


def test_what_goes_wrong_within_its_bound_is_told() -> None:
    async def fail() -> None:
        raise OSError("no such luck")

    with pytest.raises(OSError, match="no such luck"):
        asyncio.run(stopping.ends_within(fail(), 1.0))


def test_controllers_end_before_what_they_watch_over() -> None:
    async def check() -> None:
        running = asyncio.create_task(asyncio.Event().wait(), name="engine")
        await asyncio.sleep(0)
        await stopping.stop_controllers(SimpleNamespace(background={running}))  # type: ignore[arg-type]
        assert running.cancelled()

    asyncio.run(check())


@pytest.mark.parametrize(
    ("asked", "command"),
    [
        (Ending("reboot", "actor"), 0x01234567),
        (Ending("shutdown", "actor"), 0x4321FEDC),
        (Ending("reset", "actor", restart=True), 0x01234567),
        (Ending("reset", "actor"), 0x4321FEDC),
    ],
)
def test_how_a_machine_ends_is_told_to_who_asked(asked: Ending, command: int) -> None:
    async def run() -> list[Event]:
        events = Events()

        async def ending() -> Ending:
            return asked

        await stopping.announce_restart(cast("Any", SimpleNamespace(events=events, ending=ending)))
        return events.history()

    (event,) = asyncio.run(run())
    assert (event.name, event.fields, event.actor_id) == ("RestartEvent", {"cmd": command}, "actor")


# -- Resets.


class Resetting:
    """A machine that is being reset, and remembers what is done to it."""

    def __init__(self, ending: Ending, mode: str = "metal") -> None:
        self.mode, self.log = mode, logging.getLogger("test")
        self.store, self.left, self.wiped = Store(), 0, list[str]()
        self.problems: list[tuple[str, str]] = []
        self._ending = ending
        self.etcd = self

    async def ending(self) -> Ending:
        return self._ending

    async def leave(self) -> None:
        self.left += 1

    async def run_effect(self, effect: WipeDevice) -> None:
        if effect.device == "/dev/broken":
            raise Temporary("cannot wipe /dev/broken: Input/output error")
        self.wiped.append(effect.device)

    def report_problem(self, id: str, text: str) -> None:
        self.problems.append((id, text))


@pytest.mark.parametrize(("force", "member", "left"), [(False, True, 1), (True, True, 0), (False, False, 0)])
def test_only_a_graceful_reset_leaves_etcd(force: bool, member: bool, left: int) -> None:
    machine: Any = Resetting(Ending("reset", force=force))
    if member:
        machine.store.put(etcd.ETCD_MEMBER, etcd.LOCAL, etcd.EtcdMemberSpec(member_id="1"), owner="test")
    asyncio.run(stopping.leave_cluster(machine))
    assert machine.left == left


def test_one_disk_that_cannot_be_wiped_keeps_no_other() -> None:
    wipes = (WipeDevice("/dev/vdb2"), WipeDevice("/dev/broken"), WipeDevice("/dev/vdb3"))
    machine: Any = Resetting(Ending("reset", wipes=wipes))
    asyncio.run(stopping.wipe_disks(machine))
    assert machine.wiped == ["/dev/vdb2", "/dev/vdb3"]
    assert machine.problems == [("reset", "cannot wipe /dev/broken: Input/output error")]
