"""Runs watchers: code that observes the machine and publishes what it sees, without deciding anything.

A *watcher* declares its outputs and has one coroutine, ``run(publish)``, which normally never returns. When it raises,
it is started again after a back-off; what it had published stays until it says otherwise, so a hiccup of netlink does
not look like the loss of every link.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Protocol

import msgspec

from dozen.engine.backoff import CAP, delay_after, random_fraction
from dozen.engine.clock import Clock, sleep
from dozen.engine.outputs import Outputs
from dozen.engine.reconciler import Activity, Status
from dozen.engine.store import Store
from dozen.machinery.plan import Output, Temporary
from dozen.machinery.resource import NO_LABELS, Kind, SpecT


class Publisher:
    """How a watcher says what it sees. It alone owns what it puts."""

    def __init__(self, outputs: Outputs) -> None:
        self._outputs = outputs

    def put(self, kind: Kind[SpecT], id: str, spec: SpecT, labels: Mapping[str, str] = NO_LABELS) -> None:
        """The thing is there, and looks like this."""
        self._outputs.put(kind, id, spec, labels)

    def remove(self, kind: Kind[msgspec.Struct], id: str) -> None:
        """The thing is gone; nothing happens if it was not there."""
        self._outputs.remove(kind, id)

    def replace(
        self, kind: Kind[SpecT], specs: Mapping[str, SpecT], labels: Mapping[str, Mapping[str, str]] | None = None
    ) -> None:
        """These things are there, and no others of this kind."""
        for id, spec in specs.items():
            self._outputs.put(kind, id, spec, (labels or {}).get(id, NO_LABELS))
        self._outputs.sweep(((kind, id) for id in specs), (kind,))


class Watcher(Protocol):
    """Observes and publishes. ``run`` may return when there is nothing more to see."""

    @property
    def name(self) -> str: ...

    @property
    def outputs(self) -> tuple[Output, ...]: ...

    async def run(self, publish: Publisher) -> None: ...


class WatcherLoop:
    """One watcher, started again whenever it fails; ``await run()`` until cancelled or the watcher returns."""

    def __init__(
        self,
        watcher: Watcher,
        store: Store,
        log: logging.Logger,
        clock: Clock,
        fraction: Callable[[], float] = random_fraction,
    ) -> None:
        self.watcher = watcher
        self.status = Status()
        self._log = log
        self._clock = clock
        self._fraction = fraction
        self._outputs = Outputs(store, watcher.name, watcher.outputs)

    async def run(self) -> None:
        status, publisher = self.status, Publisher(self._outputs)
        try:
            while True:
                started = self._clock.monotonic()
                status.activity, status.retry_at = Activity.WORKING, None
                status.rounds += 1
                try:
                    await self.watcher.run(publisher)
                except Exception as error:  # noqa: BLE001 - one failing watcher must not stop the others
                    await self._back_off(error, self._clock.monotonic() - started)
                else:
                    return
        finally:
            status.activity = Activity.STOPPED
            self._outputs.close()

    async def _back_off(self, error: Exception, lasted: float) -> None:
        status = self.status
        status.failures = 1 if lasted > CAP else status.failures + 1  # it had been well: begin anew
        status.last_error = str(error) or type(error).__name__
        status.last_finished, status.last_duration = self._clock.time(), lasted
        delay = error.delay if isinstance(error, Temporary) else None
        if delay is None:
            delay = delay_after(status.failures, self._fraction)
        status.activity, status.retry_at = Activity.BACKING_OFF, self._clock.monotonic() + delay
        self._log.warning(
            'watcher failed name=%s failures=%d retry="%.2fs" error="%s"',
            *(self.watcher.name, status.failures, delay, status.last_error),
            exc_info=None if isinstance(error, Temporary) else error,
        )
        await sleep(self._clock, delay)
