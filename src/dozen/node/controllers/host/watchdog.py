"""A watchdog timer, armed and fed as WatchdogTimerConfig asks: a node that hangs is reset by its hardware.

It is fed from the very loop that everything of machined runs in, so that a loop that stands still counts as hanging. An
orderly end disarms it: the next boot takes longer than some timers count.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from dozen.machinery.plan import Input, Put, Step, View
from dozen.machinery.resources import config
from dozen.machinery.resources import watchdog as kinds
from dozen.node.configuration import parse

if TYPE_CHECKING:
    from dozen.engine.publisher import Publisher
    from dozen.engine.store import Store
    from dozen.linux.watchdog import Watchdog
    from dozen.node.problems import Problems

TIMER = "timer"
PROBLEM = "watchdog"
# Seconds.
TIMEOUT, RETRY = 60.0, 30.0
# So often within the time that the timer counts.
FEEDINGS = 3
NANOSECONDS = 1_000_000_000

log = logging.getLogger("dozen.watchdog")


class WatchdogController:
    """MachineConfig → WatchdogTimerConfig."""

    name = "watchdog-config"
    inputs = (Input(config.MACHINE_CONFIG, config.ACTIVE),)
    outputs = (kinds.WATCHDOG_TIMER_CONFIG,)

    def plan(self, view: View) -> Iterable[Step]:
        from dozen.machinery.config.effective import find_document

        active = view.get(config.MACHINE_CONFIG, config.ACTIVE)
        said = find_document(parse(active.spec.text), "WatchdogTimerConfig") if active is not None else None
        if said is not None and said.device:
            timeout = round((said.timeout or TIMEOUT) * NANOSECONDS)
            yield Put(
                kinds.WATCHDOG_TIMER_CONFIG,
                TIMER,
                kinds.WatchdogTimerConfigSpec(device=said.device, timeout=timeout),
            )


def _open(device: str) -> Watchdog:
    from dozen.linux.watchdog import Watchdog

    return Watchdog(device)


class WatchdogWatcher:
    """WatchdogTimerConfig → the timer is fed → WatchdogTimerStatus."""

    name = "watchdog-timer"
    outputs = (kinds.WATCHDOG_TIMER_STATUS,)

    def __init__(self, store: Store, problems: Problems, open_timer: Callable[[str], Watchdog] = _open) -> None:
        self._store = store
        self._problems = problems
        self._open = open_timer
        self._told = ""

    async def run(self, publish: Publisher) -> None:
        changed = asyncio.Event()
        stop = self._store.listen(kinds.WATCHDOG_TIMER_CONFIG, lambda _: changed.set())
        try:
            while True:
                changed.clear()
                said = self._config()
                if said is None:
                    self._tell("")
                    await changed.wait()
                elif not await self._keep(said, publish, changed):
                    with contextlib.suppress(TimeoutError):
                        await asyncio.wait_for(changed.wait(), RETRY)
        finally:
            stop()

    def _tell(self, problem: str) -> None:
        """Once: it is tried again and again."""
        if problem and problem != self._told:
            self._problems.report_problem(PROBLEM, problem)
        elif not problem and self._told:
            self._problems.clear_problem(PROBLEM)
        self._told = problem

    def _config(self) -> kinds.WatchdogTimerConfigSpec | None:
        found = self._store.find(kinds.WATCHDOG_TIMER_CONFIG, TIMER)
        return found.spec if found is not None else None

    async def _keep(self, said: kinds.WatchdogTimerConfigSpec, publish: Publisher, changed: asyncio.Event) -> bool:
        """Feed the timer until something else is wanted; False when it cannot be done, and the reason is reported."""
        timer: Watchdog | None = None
        try:
            timer = self._open(said.device)
            timeout = timer.set_timeout(round(said.timeout / NANOSECONDS))
            pause = timeout / FEEDINGS
            log.info("watchdog=%s armed timeout=%d", said.device, timeout)
            self._tell("")
            publish.put(
                kinds.WATCHDOG_TIMER_STATUS,
                TIMER,
                kinds.WatchdogTimerStatusSpec(
                    device=said.device, timeout=timeout * NANOSECONDS, feed_interval=round(pause * NANOSECONDS)
                ),
            )
            while self._config() == said:
                timer.feed()
                changed.clear()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(changed.wait(), pause)
            return True
        except OSError as error:
            self._tell(f"the watchdog {said.device} cannot be used: {error.strerror or error}")
            return False
        finally:
            publish.remove(kinds.WATCHDOG_TIMER_STATUS, TIMER)
            if timer is not None:
                with contextlib.suppress(OSError):
                    timer.disarm()
