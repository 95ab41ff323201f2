"""A clock that moves only when a test says so."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable
from itertools import count


class FakeTimer:
    """A call that is due at a moment of a `FakeClock`."""

    def __init__(self, call: Callable[[], None]) -> None:
        self.call: Callable[[], None] | None = call

    def cancel(self) -> None:
        self.call = None


class FakeClock:
    """Stands still until `advance`; satisfies `dozen.engine.clock.Clock`. Starts at a recognizable moment."""

    def __init__(self, epoch: float = 1_700_000_000.0) -> None:
        self.now = 0.0
        self._epoch = epoch
        self._timers: list[tuple[float, int, FakeTimer]] = []
        self._order = count()

    def time(self) -> float:
        return self._epoch + self.now

    def monotonic(self) -> float:
        return self.now

    def call_later(self, seconds: float, call: Callable[[], None]) -> FakeTimer:
        timer = FakeTimer(call)
        heapq.heappush(self._timers, (self.now + max(seconds, 0.0), next(self._order), timer))
        return timer

    @property
    def next_timer(self) -> float | None:
        """Seconds until the next call is due, or None."""
        while self._timers and self._timers[0][2].call is None:
            heapq.heappop(self._timers)
        return self._timers[0][0] - self.now if self._timers else None

    async def advance(self, seconds: float) -> None:
        """Let time pass, and everything happen that is due in it, in order."""
        end = self.now + seconds
        while (due := self.next_timer) is not None and self.now + due <= end:
            moment, _, timer = heapq.heappop(self._timers)
            self.now = moment
            if timer.call is not None:
                timer.call()
            await drain()
        self.now = end
        await drain()


async def drain(turns: int = 25) -> None:
    """Give every task that can run the chance to run; ``turns`` is how deep they may wait for each other."""
    for _ in range(turns):
        await asyncio.sleep(0)
