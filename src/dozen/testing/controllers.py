"""Running controllers in a test: the real engine, a clock turned by hand, and effects that are written down.

    async with Bench(MyController()) as bench:
        bench.put(LINK_STATUS, "eth0", LinkStatusSpec(...))
        await bench.settle()
        assert bench.effects == [LinkUp("eth0")]

A plan alone needs none of this: ``list(MyController().plan(PlainView(...)))`` is all.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from types import TracebackType

import msgspec

from dozen.engine.outputs import Outputs
from dozen.engine.publisher import Watcher
from dozen.engine.runtime import Runtime
from dozen.engine.store import Store
from dozen.machinery.plan import Controller, Effect, Input, Output, Step, View
from dozen.machinery.resource import NO_LABELS, Kind, Metadata, Phase, Resource, SpecT
from dozen.testing.clock import FakeClock, drain

Outcome = BaseException | Callable[[Effect], object] | None


class RecordedEffects:
    """Runs no effect, but writes it down; ``outcomes`` says what shall happen instead, by type of effect."""

    def __init__(self) -> None:
        self.done: list[Effect] = []
        self.tried: list[Effect] = []
        self._outcomes: dict[type[Effect], list[Outcome]] = {}

    def prepare(self, effect: type[Effect], *outcomes: Outcome) -> None:
        """What the next effects of this type lead to, one after another: an exception, a call, or None for success."""
        self._outcomes.setdefault(effect, []).extend(outcomes)

    async def run(self, effect: Effect) -> None:
        self.tried.append(effect)
        waiting = self._outcomes.get(type(effect))
        outcome = waiting.pop(0) if waiting else None
        if isinstance(outcome, BaseException):
            raise outcome
        if outcome is not None:
            outcome(effect)
        await asyncio.sleep(0)
        self.done.append(effect)


class PlainView:
    """A view of the resources given, for calling ``plan`` by itself."""

    def __init__(self, *resources: tuple[Kind[msgspec.Struct], str, msgspec.Struct]) -> None:
        self._resources: dict[tuple[str, str], Resource[msgspec.Struct]] = {}
        for kind, id, spec in resources:
            self.add(kind, id, spec)

    def add(self, kind: Kind[SpecT], id: str, spec: SpecT, phase: Phase = Phase.RUNNING, owner: str = "") -> PlainView:
        """Add a resource, or replace it."""
        metadata = Metadata(kind.namespace, kind.name, id, 1, owner, phase, 0.0, 0.0)
        self._resources[kind.name, id] = Resource(metadata, spec)
        return self

    def get(self, kind: Kind[SpecT], id: str) -> Resource[SpecT] | None:
        return self._resources.get((kind.name, id))  # type: ignore[return-value]

    def list(self, kind: Kind[SpecT]) -> tuple[Resource[SpecT], ...]:
        found = sorted(key for key in self._resources if key[0] == kind.name)
        return tuple(self._resources[key] for key in found)  # type: ignore[misc]


class Planned:
    """A controller whose plan is any function."""

    def __init__(
        self,
        name: str,
        plan: Callable[[View], Iterable[Step]],
        inputs: tuple[Input, ...] = (),
        outputs: tuple[Output, ...] = (),
    ) -> None:
        self.name, self.inputs, self.outputs, self._plan = name, inputs, outputs, plan

    def plan(self, view: View) -> Iterable[Step]:
        return self._plan(view)


class Bench:
    """Controllers and watchers upon the real engine, with a fake clock and recorded effects."""

    def __init__(self, *controllers: Controller, watchers: Iterable[Watcher] = ()) -> None:
        self.clock = FakeClock()
        self.store = Store(self.clock.time)
        self.recorded = RecordedEffects()
        log = logging.getLogger("dozen.test.engine")
        self.runtime = Runtime(self.store, self.recorded.run, log, self.clock, fraction=lambda: 0.0)
        for controller in controllers:
            self.runtime.add(controller)
        for watcher in watchers:
            self.runtime.add_watcher(watcher)
        self._task: asyncio.Task[None] | None = None
        self._others: dict[tuple[Kind[msgspec.Struct], str], Outputs] = {}

    async def __aenter__(self) -> Bench:
        self._task = asyncio.create_task(self.runtime.run())
        await self.settle()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._task is not None
        self._task.cancel()
        await asyncio.wait([self._task])
        if not self._task.cancelled():
            await self._task

    @property
    def effects(self) -> list[Effect]:
        """The effects that succeeded, in order."""
        return self.recorded.done

    def put(self, kind: Kind[SpecT], id: str, spec: SpecT, owner: str = "test") -> Resource[SpecT]:
        """Put a resource from outside, as a watcher would."""
        self._outside(kind, owner).put(kind, id, spec, NO_LABELS)
        return self.store.get(kind, id)

    def remove(self, kind: Kind[msgspec.Struct], id: str, owner: str = "test") -> None:
        """Tear a resource down; it is destroyed as soon as nobody holds it."""
        self._outside(kind, owner).remove(kind, id)

    def _outside(self, kind: Kind[msgspec.Struct], owner: str) -> Outputs:
        outputs = self._others.get((kind, owner))
        if outputs is None:
            outputs = self._others[kind, owner] = Outputs(self.store, owner, (kind,))
        return outputs

    async def settle(self) -> None:
        """Until no controller has anything left to do at this moment. Fails if they keep each other busy."""
        for _ in range(200):
            await drain()
            if self.runtime.idle:
                return
        busy = {name: status.last_plan for name, status in self.runtime.statuses().items() if status.rounds > 100}
        raise AssertionError(f"controllers keep each other busy: {busy}")

    async def advance(self, seconds: float) -> None:
        """Let time pass, then settle."""
        await self.clock.advance(seconds)
        await self.settle()
