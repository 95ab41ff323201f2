"""The fakes that tests of controllers trust."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable
from dataclasses import dataclass
from typing import Any

import pytest

from dozen.engine.clock import sleep
from dozen.machinery.plan import Effect, Input, Output, Put, Step, View
from dozen.machinery.resource import Kind, Phase
from dozen.machinery.resources.spec import Spec
from dozen.testing import store as assertions
from dozen.testing.clock import FakeClock
from dozen.testing.controllers import Bench, PlainView, RecordedEffects


class ThingSpec(Spec):
    size: int = 0


THING = Kind("Things.test.dev", "test", ThingSpec, "Thing")
OTHER = Kind("Others.test.dev", "test", ThingSpec, "Other")


@dataclass(frozen=True, slots=True)
class Push(Effect):
    name: str


def run(coroutine: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(coroutine, 20))


def test_clock_fires_in_order_and_at_the_right_moments() -> None:
    async def check() -> None:
        clock, fired = FakeClock(), []
        for delay in (3.0, 1.0, 2.0):
            clock.call_later(delay, lambda delay=delay: fired.append((delay, clock.monotonic())))
        clock.call_later(1.5, lambda: None).cancel()
        assert clock.next_timer == 1.0
        await clock.advance(2.5)
        assert fired == [(1.0, 1.0), (2.0, 2.0)]
        assert (clock.monotonic(), clock.next_timer) == (2.5, 0.5)
        assert clock.time() == 1_700_000_002.5

    run(check())


def test_clock_wakes_sleepers_and_what_they_start() -> None:
    async def check() -> None:
        clock, woken = FakeClock(), []

        async def doze() -> None:
            for _ in range(3):
                await sleep(clock, 10)
                woken.append(clock.monotonic())

        task = asyncio.create_task(doze())
        await clock.advance(0)
        await clock.advance(25)
        assert woken == [10.0, 20.0]
        task.cancel()
        await asyncio.wait([task])
        assert clock.next_timer is None, "a cancelled sleeper leaves no timer"

    run(check())


def test_recorded_effects_do_as_prepared() -> None:
    async def check() -> None:
        effects, heard = RecordedEffects(), []
        effects.prepare(Push, OSError("no"), heard.append, None)
        with pytest.raises(OSError, match="no"):
            await effects.run(Push("a"))
        for name in "bcd":
            await effects.run(Push(name))
        assert heard == [Push("b")]
        assert effects.tried == [Push(name) for name in "abcd"]
        assert effects.done == [Push(name) for name in "bcd"]

    run(check())


def test_plain_view_serves_a_plan() -> None:
    view = PlainView((THING, "b", ThingSpec(size=2)), (OTHER, "x", ThingSpec()))
    view.add(THING, "a", ThingSpec(size=1), Phase.TEARING_DOWN)
    assert [(each.id, each.spec.size, each.metadata.phase) for each in view.list(THING)] == [
        ("a", 1, Phase.TEARING_DOWN),
        ("b", 2, Phase.RUNNING),
    ]
    assert view.get(THING, "c") is None


class Copier:
    name = "copier"
    inputs = (Input(THING),)
    outputs: tuple[Output, ...] = (OTHER,)

    def plan(self, view: View) -> Iterable[Step]:
        for thing in view.list(THING):
            yield Put(OTHER, thing.id, thing.spec)


def test_bench_carries_a_controller() -> None:
    async def check() -> None:
        async with Bench(Copier()) as bench:
            bench.put(THING, "a", ThingSpec(size=1))
            found = await assertions.assert_resource(
                bench.store, OTHER, "a", lambda other: other.spec.size == 1, size=1
            )
            assert found.metadata.owner == "copier"
            bench.store.add_finalizer(THING, "a", "somebody")
            bench.remove(THING, "a")
            await assertions.assert_gone(bench.store, OTHER, "a")
            assert bench.store.get(THING, "a").metadata.phase is Phase.TEARING_DOWN
            bench.store.remove_finalizer(THING, "a", "somebody")
            await assertions.assert_gone(bench.store, THING, "a")

    run(check())


def test_bench_notices_controllers_that_never_rest() -> None:
    class Restless:
        def __init__(self, name: str, source: Kind[ThingSpec], target: Kind[ThingSpec]) -> None:
            self.name, self.inputs, self.outputs = name, (Input(source),), (target,)
            self.source, self.target = source, target

        def plan(self, view: View) -> Iterable[Step]:
            found = view.get(self.source, "n")
            yield Put(self.target, "n", ThingSpec(size=(found.spec.size if found else 0) + 1))

    async def check() -> None:
        with pytest.raises(AssertionError, match="keep each other busy"):
            async with Bench(Restless("one", THING, OTHER), Restless("two", OTHER, THING)):
                pass

    run(check())


def test_assertions_fail_with_what_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(assertions, "PATIENCE", 0.0)

    async def check() -> None:
        bench = Bench()
        bench.store.put(THING, "a", ThingSpec(size=1))
        with pytest.raises(AssertionError, match=r"'a' did not become \{'size': 2\}; there is .*size=1"):
            await assertions.assert_resource(bench.store, THING, "a", size=2)
        with pytest.raises(AssertionError, match=r"'b' did not become as expected; there is \['a'\]"):
            await assertions.assert_resource(bench.store, THING, "b")
        with pytest.raises(AssertionError, match="is still there"):
            await assertions.assert_gone(bench.store, THING, "a")

    run(check())
