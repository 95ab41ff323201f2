"""Whom the time watcher asks, and when; the servers are made of data."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

import pytest

from dozen.linux import clock, ntp
from dozen.linux.ntp import KissOfDeath, NoAnswer, Sample
from dozen.machinery.resources.clock import TIME_MEASUREMENT
from dozen.machinery.resources.network import NODE_ADDRESS, TIME_SERVER_STATUS, NodeAddressSpec, TimeServerStatusSpec
from dozen.machinery.resources.settings import TIME, TIME_SETTINGS, TimeSettings
from dozen.machinery.resources.time import ADJTIME_STATUS, AdjtimeStatusSpec
from dozen.node.controllers.time import measure
from dozen.node.controllers.time.measure import TimeWatcher
from dozen.testing.controllers import Bench

GOOD = Sample(offset=0.02, delay=0.01, distance=0.001, stratum=2, leap=0)


class Servers:
    """Names, addresses and answers."""

    def __init__(self, **answers: Sample | Exception) -> None:
        self.answers = answers
        self.asked: list[str] = []

    async def resolve(self, name: str) -> list[str]:
        if name == "unknown":
            raise NoAnswer("unknown cannot be resolved")
        return [f"{name}_a", f"{name}_b"]

    async def ask(self, address: str) -> Sample:
        self.asked.append(address)
        answer = self.answers.get(address, NoAnswer("no answer"))
        if isinstance(answer, Exception):
            raise answer
        return answer


Scenario = Callable[[Bench, Servers], Awaitable[None]]


def play(monkeypatch: pytest.MonkeyPatch, servers: Servers, scenario: Scenario) -> None:
    monkeypatch.setattr(ntp, "resolve", servers.resolve)
    monkeypatch.setattr(ntp, "ask", servers.ask)
    # the watcher waits in real time: no wait may be longer than a test has patience for
    monkeypatch.setattr(measure, "FIRST_RETRY", 0.01)

    async def run() -> None:
        bench = Bench()
        bench.runtime.add_watcher(TimeWatcher(bench.store, logging.getLogger("test")))
        async with bench:
            await scenario(bench, servers)

    asyncio.run(run())


def know(bench: Bench, *servers: str, enabled: bool = True) -> None:
    bench.put(TIME_SETTINGS, TIME, TimeSettings(enabled=enabled))
    bench.put(TIME_SERVER_STATUS, "timeservers", TimeServerStatusSpec(time_servers=servers))
    bench.put(NODE_ADDRESS, "default", NodeAddressSpec(addresses=("10.0.2.15/24",)))


def test_servers_are_asked_in_order_until_one_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(bench: Bench, servers: Servers) -> None:
        know(bench, "unknown", "one", "two")
        await bench.settle()
        found = bench.store.get(TIME_MEASUREMENT, "last").spec
        assert (found.number, found.server, found.offset, found.error) == (1, "two", 0.02, 0.006)
        assert servers.asked == ["one_a", "one_b", "two_a"]

    play(monkeypatch, Servers(two_a=GOOD), scenario)


def test_nobody_is_asked_while_that_is_pointless(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(bench: Bench, servers: Servers) -> None:
        know(bench, "one", enabled=False)
        await bench.settle()
        assert servers.asked == []
        bench.put(TIME_SETTINGS, TIME, TimeSettings())
        bench.remove(NODE_ADDRESS, "default")
        await bench.settle()
        assert servers.asked == []
        bench.put(NODE_ADDRESS, "default", NodeAddressSpec(addresses=("10.0.2.15/24",)))
        await bench.settle()
        assert servers.asked == ["one_a"]

    play(monkeypatch, Servers(one_a=GOOD), scenario)


def test_other_servers_are_asked_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(bench: Bench, servers: Servers) -> None:
        know(bench, "one")
        await bench.settle()
        know(bench, "two")
        await bench.settle()
        assert servers.asked == ["one_a", "two_a"]
        assert bench.store.get(TIME_MEASUREMENT, "last").spec.number == 2

    play(monkeypatch, Servers(one_a=GOOD, two_a=GOOD), scenario)


def test_no_answer_is_asked_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(bench: Bench, servers: Servers) -> None:
        know(bench, "one")
        await asyncio.sleep(0.05)
        assert len(servers.asked) > 2
        servers.answers["one_a"] = GOOD
        await bench.store.wait_for(TIME_MEASUREMENT, "last", timeout=2)

    play(monkeypatch, Servers(), scenario)


def test_a_server_that_wants_to_be_left_alone_is(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(bench: Bench, servers: Servers) -> None:
        know(bench, "one")
        await asyncio.sleep(0.05)
        assert servers.asked.count("one_a") == 1
        assert servers.asked.count("one_b") > 1

    play(monkeypatch, Servers(one_a=KissOfDeath("DENY"), one_b=KissOfDeath("RATE")), scenario)


def test_the_state_of_the_clock_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    state = clock.Discipline(1000, 1.5, 2000, 3000, "STA_PLL", 7, True, "TIME_OK")
    monkeypatch.setattr(clock, "read_discipline", lambda: state)
    monkeypatch.setattr(measure, "SETTLE", 0.0)

    async def run() -> AdjtimeStatusSpec:
        bench = Bench()
        bench.runtime.add_watcher(measure.AdjtimeWatcher(bench.store))
        async with bench:
            return (await bench.store.wait_for(ADJTIME_STATUS, "node", lambda each: True)).spec

    assert asyncio.run(run()) == AdjtimeStatusSpec(
        offset=1000,
        frequency_adjustment_ratio=1.5,
        max_error=2000,
        est_error=3000,
        status="STA_PLL",
        constant=7,
        sync_status=True,
        state="TIME_OK",
    )
