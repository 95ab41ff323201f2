"""Runs all controllers and watchers of a node upon one store.

Each controller is a task that carries out its plans one after another (`dozen.engine.reconciler`), each watcher a task
that publishes (`dozen.engine.publisher`); they know each other only through the store. Adding checks what they declare:
an output kind belongs to one of them, unless all that claim it declare it `Shared`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from enum import StrEnum
from typing import Any

import msgspec

from dozen.engine.backoff import random_fraction
from dozen.engine.clock import Clock, SystemClock
from dozen.engine.errors import DeclarationError
from dozen.engine.outputs import kind_of
from dozen.engine.publisher import Watcher, WatcherLoop
from dozen.engine.reconciler import Activity, Reconciler, RunEffect, Status
from dozen.engine.store import Store
from dozen.machinery.plan import Controller, Output, Shared
from dozen.machinery.resource import Kind


class EdgeType(StrEnum):
    """How a controller or watcher and a kind are connected."""

    INPUT = "input"
    FINALIZED_INPUT = "finalized input"
    EXCLUSIVE_OUTPUT = "exclusive output"
    SHARED_OUTPUT = "shared output"


class Edge(msgspec.Struct, frozen=True):
    """A connection in the graph of dependencies; ``id`` "" stands for all resources of the kind."""

    name: str
    type: EdgeType
    kind: Kind[msgspec.Struct]
    id: str = ""


class Graph(msgspec.Struct, frozen=True):
    """Who depends on what: a picture of the whole node."""

    controllers: tuple[str, ...]
    watchers: tuple[str, ...]
    kinds: tuple[Kind[msgspec.Struct], ...]
    edges: tuple[Edge, ...]


class Runtime:
    """The controllers and watchers of a node. ``run_effect`` does what an effect says; it may raise anything."""

    def __init__(
        self,
        store: Store,
        run_effect: RunEffect,
        log: logging.Logger,
        clock: Clock | None = None,
        fraction: Callable[[], float] = random_fraction,
    ) -> None:
        self.store = store
        self._run_effect = run_effect
        self._log = log
        self._clock = clock or SystemClock()
        self._fraction = fraction
        self._reconcilers: dict[str, Reconciler] = {}
        self._watchers: dict[str, WatcherLoop] = {}
        self._claims: dict[Kind[msgspec.Struct], tuple[str, bool]] = {}
        self._group: asyncio.TaskGroup | None = None

    def add(self, controller: Controller) -> None:
        """Add a controller; it starts at once if the runtime runs. Raises DeclarationError."""
        exclusive = {output for output in controller.outputs if not isinstance(output, Shared)}
        for each in controller.inputs:
            if each.kind in exclusive:
                raise DeclarationError(f"{controller.name} has {each.kind.display} both as input and as output")
        self._claim(controller.name, controller.outputs)
        loop = Reconciler(controller, self.store, self._run_effect, self._log, self._clock, self._fraction)
        self._reconcilers[controller.name] = loop
        self._start(loop.run, controller.name)

    def add_watcher(self, watcher: Watcher) -> None:
        """Add a watcher; it starts at once if the runtime runs. Raises DeclarationError."""
        self._claim(watcher.name, watcher.outputs)
        loop = WatcherLoop(watcher, self.store, self._log, self._clock, self._fraction)
        self._watchers[watcher.name] = loop
        self._start(loop.run, watcher.name)

    async def run(self) -> None:
        """Run everything until cancelled. When this has returned, no effect runs any more."""
        async with asyncio.TaskGroup() as group:
            self._group = group
            try:
                for name, reconciler in self._reconcilers.items():
                    self._start(reconciler.run, name)
                for name, watcher in self._watchers.items():
                    self._start(watcher.run, name)
                await asyncio.get_running_loop().create_future()  # for ever
            finally:
                self._group = None

    def status(self, name: str) -> Status:
        """How a controller or watcher is getting on. Raises KeyError."""
        reconciler = self._reconcilers.get(name)
        return self._watchers[name].status if reconciler is None else reconciler.status

    def statuses(self) -> dict[str, Status]:
        """The status of every controller and watcher by name."""
        found = {name: reconciler.status for name, reconciler in self._reconcilers.items()}
        return found | {name: watcher.status for name, watcher in self._watchers.items()}

    @property
    def idle(self) -> bool:
        """No controller has anything to do until an input changes or a timer fires."""
        return all(each.idle or each.status.activity is Activity.STOPPED for each in self._reconcilers.values())

    def graph(self) -> Graph:
        """Who depends on what, as declared."""
        edges: list[Edge] = []
        for name, reconciler in self._reconcilers.items():
            for each in reconciler.controller.inputs:
                type_ = EdgeType.FINALIZED_INPUT if each.finalize else EdgeType.INPUT
                edges.append(Edge(name, type_, each.kind, each.id or ""))
            edges.extend(_output_edges(name, reconciler.controller.outputs))
        for name, watcher in self._watchers.items():
            edges.extend(_output_edges(name, watcher.watcher.outputs))
        kinds = tuple(dict.fromkeys(edge.kind for edge in edges))
        return Graph(tuple(self._reconcilers), tuple(self._watchers), kinds, tuple(edges))

    def _claim(self, name: str, outputs: tuple[Output, ...]) -> None:
        if name in self._reconcilers or name in self._watchers:
            raise DeclarationError(f"there is already a controller or watcher named {name}")
        for output in outputs:
            kind, shared = kind_of(output), isinstance(output, Shared)
            other, other_shared = self._claims.get(kind, (name, shared))
            if other != name and not (shared and other_shared):
                raise DeclarationError(
                    f"{name} and {other} both have {kind.display} as output; declare it Shared in both"
                )
        for output in outputs:
            self._claims[kind_of(output)] = (name, isinstance(output, Shared))
            self.store.register(kind_of(output))

    def _start(self, run: Callable[[], Coroutine[Any, Any, None]], name: str) -> None:
        if self._group is not None:
            self._group.create_task(run(), name=name)


def _output_edges(name: str, outputs: tuple[Output, ...]) -> list[Edge]:
    types = {False: EdgeType.EXCLUSIVE_OUTPUT, True: EdgeType.SHARED_OUTPUT}
    return [Edge(name, types[isinstance(output, Shared)], kind_of(output)) for output in outputs]
