"""Carries out the plans of one controller, over and over.

A round: take finalizers on inputs, make the plan, take its steps in order, sweep the outputs that it did not put, and
let go of inputs on their way out once all outputs that had to go are gone. A round starts when an input changes (all
changes since the last round together), when the plan asked for it (`Requeue`), or to try again after a failure:

* an effect that raises `Temporary` or anything unexpected is tried again after a back-off, or after the delay it names;
* one that raises `Permanent` is not tried again until an input changes;
* changes of inputs cut a back-off short, but leave at least `REST` seconds between failed rounds.

In a failed round the steps behind the failure and the sweep are left out.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from enum import StrEnum

import msgspec

from dozen.engine.backoff import delay_after, random_fraction
from dozen.engine.clock import Clock, Timer
from dozen.engine.outputs import Outputs
from dozen.engine.store import Store
from dozen.engine.view import Finalizers, StoreView
from dozen.engine.watch import AnyEvent
from dozen.machinery.plan import Controller, Effect, Permanent, Put, Remove, Requeue, Step, Temporary

REST = 0.1
RunEffect = Callable[[Effect], Awaitable[None]]


class Activity(StrEnum):
    """What a controller or watcher is doing."""

    IDLE = "idle"
    WORKING = "working"
    BACKING_OFF = "backing off"
    FAILED = "failed"  # until an input changes
    STOPPED = "stopped"


class Status(msgspec.Struct):
    """How a controller or watcher is getting on. ``retry_at`` is in seconds of the clock's ``monotonic``."""

    activity: Activity = Activity.IDLE
    rounds: int = 0
    failures: int = 0  # in a row
    last_plan: tuple[Step, ...] = ()
    last_error: str = ""
    last_finished: float = 0.0  # seconds since the epoch
    last_duration: float = 0.0
    retry_at: float | None = None


class Reconciler:
    """One controller with its inputs watched and its outputs owned; ``await run()`` until cancelled."""

    def __init__(
        self,
        controller: Controller,
        store: Store,
        run_effect: RunEffect,
        log: logging.Logger,
        clock: Clock,
        fraction: Callable[[], float] = random_fraction,
    ) -> None:
        self.controller = controller
        self.status = Status()
        self._run_effect = run_effect
        self._log = log
        self._clock = clock
        self._fraction = fraction
        self._view = StoreView(store, controller)
        self._finalizers = Finalizers(store, controller)
        self._due = True
        self._earliest = 0.0  # of a round after a failed one, in seconds of the clock's monotonic
        self._held_back = False  # a Remove, or inputs on their way out, wait for outputs that are still leaving
        self._wake: asyncio.Future[None] | None = None
        self._timer: Timer | None = None
        self._outputs = Outputs(store, controller.name, controller.outputs, self._gone)
        self._stop = [store.listen(each.kind, self._changed, each.id) for each in controller.inputs]

    @property
    def idle(self) -> bool:
        """Nothing to do until an input changes or a timer fires."""
        return self.status.activity is not Activity.WORKING and not self._due

    def trigger(self) -> None:
        """Start a round as soon as possible."""
        self._due = True
        if self._wake is not None and not self._wake.done():
            self._wake.set_result(None)

    async def run(self) -> None:
        """Carry out rounds until cancelled; the effect that is running then is cancelled too."""
        try:
            while True:
                await self._wait()
                await self._round()
        finally:
            self.status.activity = Activity.STOPPED
            for stop in self._stop:
                stop()
            self._outputs.close()
            self._cancel_timer()

    async def _wait(self) -> None:
        await asyncio.sleep(0)  # let other tasks run, and more changes come in, before the next round
        while not self._due:
            self._wake = asyncio.get_running_loop().create_future()
            await self._wake
            self._wake = None
        self._cancel_timer()

    async def _round(self) -> None:
        status = self.status
        status.activity = Activity.WORKING
        status.retry_at = None
        self._due = False
        started = self._clock.monotonic()
        try:
            requeue = await self._carry_out()
        except Exception as error:  # noqa: BLE001 - one failing controller must not stop the others
            self._failed(error)
        else:
            if status.failures:
                self._log.info("controller recovered name=%s after_failures=%d", self.controller.name, status.failures)
            status.activity, status.failures, status.last_error = Activity.IDLE, 0, ""
            if requeue is not None:
                self._later(requeue)
        status.rounds += 1
        status.last_finished = self._clock.time()
        status.last_duration = self._clock.monotonic() - started

    async def _carry_out(self) -> float | None:
        """Plan and take the steps. Returns when to plan again, if the plan says so."""
        leaving = self._finalizers.take()
        plan = tuple(self.controller.plan(self._view))
        self.status.last_plan = plan
        self._held_back = not await self._take_steps(plan)
        self._outputs.sweep((step.kind, step.id) for step in plan if isinstance(step, Put))
        if leaving and not self._held_back:
            if self._outputs.leaving:
                self._held_back = True
            else:
                self._finalizers.release(leaving)
        return min([step.seconds for step in plan if isinstance(step, Requeue)], default=None)

    async def _take_steps(self, plan: tuple[Step, ...]) -> bool:
        """Take the steps in order; False if a `Remove` has to wait."""
        for step in plan:
            if isinstance(step, Put):
                self._outputs.put(step.kind, step.id, step.spec, step.labels)
            elif isinstance(step, Remove):
                if not self._outputs.remove(step.kind, step.id):
                    return False
            elif isinstance(step, Effect):
                await self._take_effect(step)
        return True

    async def _take_effect(self, effect: Effect) -> None:
        started = self._clock.monotonic()
        await self._run_effect(effect)
        took = self._clock.monotonic() - started
        self._log.info('effect done controller=%s effect="%s" took=%.3fs', self.controller.name, effect, took)

    def _failed(self, error: Exception) -> None:
        status = self.status
        status.failures += 1
        status.last_error = str(error) or type(error).__name__
        delay: float | None = None
        if isinstance(error, Temporary) and error.delay is not None:
            delay = error.delay
        elif not isinstance(error, Permanent):
            delay = delay_after(status.failures, self._fraction)
        now = self._clock.monotonic()
        self._earliest = now + REST
        if self._due:  # an input changed during the round
            self._due, delay = False, REST if delay is None else min(delay, REST)
        status.activity = Activity.FAILED if delay is None else Activity.BACKING_OFF
        if delay is not None:
            status.retry_at = now + delay
            self._later(delay)
        self._log.warning(
            'controller failed name=%s failures=%d retry="%s" error="%s"',
            self.controller.name,
            status.failures,
            "when an input changes" if delay is None else f"{delay:.2f}s",
            status.last_error,
            exc_info=None if isinstance(error, Temporary | Permanent) else error,
        )

    def _later(self, seconds: float) -> None:
        self._cancel_timer()
        self._timer = self._clock.call_later(seconds, self.trigger)

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _changed(self, event: AnyEvent) -> None:
        old, new = event.old, event.resource
        if old is not None and new is not None and old.spec is new.spec:
            before, after = old.metadata, new.metadata
            if before.phase is after.phase and before.labels is after.labels:
                return  # only finalizers: nothing that a plan could see
        rest = self._earliest - self._clock.monotonic() if self.status.failures else 0.0
        if rest > 0 and self.status.activity is not Activity.WORKING:
            self._later(rest)
        else:
            self.trigger()

    def _gone(self) -> None:
        if self._held_back:
            self.trigger()
