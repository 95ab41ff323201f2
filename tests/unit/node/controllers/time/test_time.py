"""The clock: what a measurement leads to, and how often there is one."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dozen.engine.outputs import Outputs
from dozen.engine.publisher import Publisher
from dozen.engine.store import Store
from dozen.machinery.effects.time import SlewClock, StepClock
from dozen.machinery.plan import Effect, Put
from dozen.machinery.resources.clock import (
    CLOCK_ADJUSTMENT,
    CLOCK_PATIENCE,
    TIME_MEASUREMENT,
    ClockAdjustment,
    ClockPatience,
    TimeMeasurement,
)
from dozen.machinery.resources.settings import TIME, TIME_SETTINGS, TimeSettings
from dozen.machinery.resources.time import NTP_STATUS, TIME_STATUS, NTPStatusSpec, TimeStatusSpec
from dozen.node.controllers.time.discipline import LAST, NODE, ClockController, decide
from dozen.node.controllers.time.measure import LONGEST_POLL, SHORTEST_POLL, next_poll
from dozen.node.controllers.time.patience import BOOT, PatienceWatcher
from dozen.testing.controllers import Bench, PlainView


def measured(number: int, offset: float) -> TimeMeasurement:
    return TimeMeasurement(number=number, server="t.example", offset=offset)


def test_nothing_was_measured_yet() -> None:
    assert list(ClockController().plan(PlainView())) == [Put(TIME_STATUS, NODE, TimeStatusSpec())]


@pytest.mark.parametrize(
    ("offset", "effect", "epoch"),
    [
        (0.01, SlewClock(0.01), 0),
        (-0.5, SlewClock(-0.5), 0),
        (0.6, StepClock(0.6), 1),
        (-1e9, StepClock(-1e9), 1),
    ],
)
def test_the_first_measurement_is_believed(offset: float, effect: Effect, epoch: int) -> None:
    steps = list(ClockController().plan(PlainView((TIME_MEASUREMENT, LAST, measured(1, offset)))))
    action = "step" if epoch else "slew"
    assert steps == [
        effect,
        Put(CLOCK_ADJUSTMENT, LAST, ClockAdjustment(number=1, action=action, offset=offset, steps=epoch)),
        Put(NTP_STATUS, NODE, NTPStatusSpec()),
        Put(TIME_STATUS, NODE, TimeStatusSpec(synced=True, epoch=epoch)),
    ]


def test_a_measurement_is_acted_upon_once() -> None:
    view = PlainView((TIME_MEASUREMENT, LAST, measured(3, 9.0)))
    view.add(CLOCK_ADJUSTMENT, LAST, ClockAdjustment(number=3, action="step", offset=9.0, steps=1))
    steps = list(ClockController().plan(view))
    assert [step for step in steps if isinstance(step, Effect)] == []
    assert steps[-1] == Put(TIME_STATUS, NODE, TimeStatusSpec(synced=True, epoch=1))


@pytest.mark.parametrize("view", [PlainView((TIME_SETTINGS, TIME, TimeSettings(enabled=False))), PlainView()])
def test_a_clock_that_is_not_ours_counts_as_right(view: PlainView) -> None:
    view.add(TIME_MEASUREMENT, LAST, measured(1, 5.0))
    managed = bool(view.list(TIME_SETTINGS))
    status = TimeStatusSpec(synced=True, sync_disabled=True)
    assert list(ClockController(managed).plan(view)) == [Put(TIME_STATUS, NODE, status)]


def test_a_large_error_later_needs_to_be_seen_again() -> None:
    state, actions = ClockAdjustment(), []
    for number, offset in enumerate([0.1, 5.0, 0.0, 5.0, 5.0, 5.0, 0.0], 1):
        state = decide(measured(number, offset), state)
        actions.append((state.action, state.spikes))
    assert actions == [("slew", 0), ("none", 1), ("slew", 0), ("none", 1), ("none", 2), ("step", 0), ("slew", 0)]


@given(st.lists(st.floats(-100, 100), max_size=30))
def test_steps_are_counted_and_small_errors_never_jump(offsets: list[float]) -> None:
    state, steps = ClockAdjustment(), 0
    for number, offset in enumerate(offsets, 1):
        state = decide(measured(number, offset), state)
        steps += state.action == "step"
        assert state.steps == steps
        assert (state.action == "slew") is (abs(offset) <= 0.5)


async def fail_once() -> list[Effect]:
    """An adjustment that fails is tried again, and is not taken for done meanwhile."""
    async with Bench(ClockController()) as bench:
        bench.recorded.prepare(StepClock, OSError(1, "not permitted"))
        bench.put(TIME_MEASUREMENT, LAST, measured(1, 9.0))
        await bench.settle()
        assert bench.store.get(TIME_STATUS, NODE).spec == TimeStatusSpec()
        await bench.advance(60)
        assert bench.store.get(TIME_STATUS, NODE).spec.synced
        return bench.effects


def test_an_adjustment_that_failed_is_tried_again() -> None:
    assert asyncio.run(fail_once()) == [StepClock(9.0)]


def test_the_better_the_clock_the_rarer_the_questions() -> None:
    poll, polls = SHORTEST_POLL, []
    for offset in (0.3, 0.001, 0.001, 0.001, 0.001, 0.001, 0.001, 0.02, 0.02, 3.0):
        poll = next_poll(poll, offset)
        polls.append(poll)
    assert polls == [32, 64, 128, 256, 512, 1024, LONGEST_POLL, 512, 256, SHORTEST_POLL]


def test_after_long_enough_a_clock_that_nobody_compared_has_to_do() -> None:
    view = PlainView((CLOCK_PATIENCE, BOOT, ClockPatience(waited=1)))
    assert list(ClockController().plan(view)) == [Put(TIME_STATUS, NODE, TimeStatusSpec(synced=True))]

    async def scenario() -> None:
        uptime, store = [5.0], Store()
        publish = Publisher(Outputs(store, "time-patience", PatienceWatcher.outputs))
        watcher = PatienceWatcher(store, lambda: uptime[0])

        def look(timeout: int) -> tuple[float | None, bool]:
            store.put(TIME_SETTINGS, TIME, TimeSettings(boot_timeout=timeout * 10**9), owner="test")
            return watcher._look(publish), store.find(CLOCK_PATIENCE, BOOT) is not None

        assert look(0) == (None, False)
        assert look(9) == (4.0, False)
        uptime[0] = 10.0
        assert look(8) == (None, True)
        assert look(0) == (None, False)

    asyncio.run(scenario())
