"""A watchdog's timer is fed for as long as it is wanted, and disarmed then."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dozen.engine.outputs import Outputs
from dozen.engine.publisher import Publisher
from dozen.engine.store import Store
from dozen.linux import watchdog as linux
from dozen.machinery.config.generating import generate
from dozen.machinery.plan import Put
from dozen.machinery.resources import config
from dozen.machinery.resources import watchdog as kinds
from dozen.node.controllers.host import watchdog as module
from dozen.node.controllers.host.watchdog import PROBLEM, TIMER, WatchdogController, WatchdogWatcher
from dozen.testing.controllers import PlainView

WANTED = kinds.WatchdogTimerConfigSpec(device="/dev/watchdog0", timeout=30 * 10**9)


class Problems:
    def __init__(self) -> None:
        self.told: dict[str, str] = {}

    def report_problem(self, id: str, text: str) -> None:
        self.told[id] = text

    def clear_problem(self, id: str) -> None:
        self.told.pop(id, None)


class Timer:
    """Hardware that counts in steps of its own."""

    def __init__(self, real: int = 3) -> None:
        self.said: list[str] = []
        self.real = real

    def set_timeout(self, seconds: int) -> int:
        self.said.append(f"timeout {seconds}")
        return self.real

    def feed(self) -> None:
        self.said.append("feed")

    def disarm(self) -> None:
        self.said.append("disarm")


def test_what_the_configuration_asks_for() -> None:
    text = generate("c", "https://127.0.0.1:6443").worker
    view = PlainView((config.MACHINE_CONFIG, config.ACTIVE, config.MachineConfigSpec(text=text)))
    assert list(WatchdogController().plan(view)) == []
    text += "---\napiVersion: v1alpha1\nkind: WatchdogTimerConfig\ndevice: /dev/watchdog0\ntimeout: 30s\n"
    view.add(config.MACHINE_CONFIG, config.ACTIVE, config.MachineConfigSpec(text=text))
    assert list(WatchdogController().plan(view)) == [Put(kinds.WATCHDOG_TIMER_CONFIG, TIMER, WANTED)]


def run(scenario: Callable[[Store, Problems], Any], open_timer: Callable[[str], Any]) -> Problems:
    async def whole() -> Problems:
        store, problems = Store(), Problems()
        publish = Publisher(Outputs(store, "watchdog-timer", WatchdogWatcher.outputs))
        running = asyncio.create_task(WatchdogWatcher(store, problems, open_timer).run(publish))
        await asyncio.wait_for(scenario(store, problems), 5)
        running.cancel()
        await asyncio.wait([running])
        return problems

    return asyncio.run(whole())


async def until(met: Callable[[], bool]) -> None:
    while not met():
        await asyncio.sleep(0)


def test_it_is_fed_while_it_is_wanted_and_disarmed_then(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FEEDINGS", 3000)
    timer = Timer()

    async def scenario(store: Store, problems: Problems) -> None:
        store.put(kinds.WATCHDOG_TIMER_CONFIG, TIMER, WANTED, owner="test")
        await until(lambda: timer.said.count("feed") > 3)
        status = store.get(kinds.WATCHDOG_TIMER_STATUS, TIMER).spec
        assert status == kinds.WatchdogTimerStatusSpec(device="/dev/watchdog0", timeout=3 * 10**9, feed_interval=10**6)
        store.destroy(kinds.WATCHDOG_TIMER_CONFIG, TIMER, owner="test")
        await until(lambda: "disarm" in timer.said)
        assert store.find(kinds.WATCHDOG_TIMER_STATUS, TIMER) is None

    run(scenario, lambda device: timer)
    assert timer.said[0] == "timeout 30"
    assert timer.said[-1] == "disarm"


def test_the_end_of_the_node_disarms_it() -> None:
    timer = Timer()

    async def scenario(store: Store, problems: Problems) -> None:
        store.put(kinds.WATCHDOG_TIMER_CONFIG, TIMER, WANTED, owner="test")
        await until(lambda: "feed" in timer.said)

    run(scenario, lambda device: timer)
    assert timer.said == ["timeout 30", "feed", "disarm"]


def test_a_timer_that_is_not_there_is_told() -> None:
    def refuse(device: str) -> Any:
        raise FileNotFoundError(2, "No such file or directory", device)

    async def scenario(store: Store, problems: Problems) -> None:
        store.put(kinds.WATCHDOG_TIMER_CONFIG, TIMER, WANTED, owner="test")
        await until(lambda: bool(problems.told))

    told = run(scenario, refuse).told
    assert told == {PROBLEM: "the watchdog /dev/watchdog0 cannot be used: No such file or directory"}


def test_what_the_kernel_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import fcntl

    asked: list[tuple[int, int]] = []

    def ioctl(descriptor: int, request: int, data: bytes) -> bytes:
        asked.append((request, struct.unpack("i", data)[0]))
        return struct.pack("i", 25)

    monkeypatch.setattr(fcntl, "ioctl", ioctl)
    device = tmp_path / "watchdog"
    device.touch()
    timer = linux.Watchdog(str(device))
    assert timer.set_timeout(30) == 25
    timer.feed()
    timer.disarm()
    assert asked == [(linux.SET_TIMEOUT, 30), (linux.KEEPALIVE, 0)]
    assert device.read_text() == "V"
