"""Ends a group of processes when memory is short, as OOMConfig says (`dozen.machinery.oom`).

A watcher, since it looks at the clock and at the kernel's counters several times a second. Without such a document
nothing of it is loaded, and the kernel alone decides.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from dozen.machinery.resources import config
from dozen.machinery.resources.oom import OOM_ACTION, OOMActionSpec
from dozen.node.configuration import parse

if TYPE_CHECKING:
    from dozen.engine.publisher import Publisher
    from dozen.engine.store import Store
    from dozen.linux.cgroups import Hierarchy
    from dozen.machinery.cel import Expression
    from dozen.machinery.config.documents.runtime import OOMConfig
    from dozen.machinery.oom import Group, Victim
    from dozen.node.problems import Problems

PRESSURE = "/proc/pressure/memory"
INTERVAL, SHORTEST = 0.5, 0.05  # seconds
KEPT = 30  # actions that are remembered
PROBLEM = "oom"

log = logging.getLogger("dozen.oom")


class Plan(NamedTuple):
    """What a document says, read."""

    trigger: Expression
    ranking: Expression
    strict: bool
    interval: float


class OomWatcher:
    """MachineConfig → OOMAction, and the end of whoever takes the most."""

    name = "oom-handler"
    outputs = (OOM_ACTION,)

    def __init__(
        self, store: Store, problems: Problems, hierarchy: Hierarchy | None = None, pressure: str = PRESSURE
    ) -> None:
        self._store = store
        self._problems = problems
        self._hierarchy = hierarchy
        self._pressure = pressure
        self._count = 0

    async def run(self, publish: Publisher) -> None:
        while True:
            active = await self._store.wait_for(config.MACHINE_CONFIG, config.ACTIVE, lambda it: _asks(it.spec.text))
            said = _said(active.spec.text)
            if said is not None:
                await self._guard(publish, read(said), active.spec.text)

    async def _guard(self, publish: Publisher, plan: Plan, text: str) -> None:
        """Until the configuration is another one."""
        from dozen.machinery import oom
        from dozen.machinery.celvalues import CelError

        last = time.monotonic()
        while (active := self._store.find(config.MACHINE_CONFIG, config.ACTIVE)) and active.spec.text == text:
            await asyncio.sleep(plan.interval)
            try:
                pressure = oom.parse_pressure(_read(self._pressure))
                now = time.monotonic()
                if oom.is_enough(plan.trigger, pressure, now - last):
                    last = now
                    victim = oom.choose(plan.ranking, self._groups(), strict=plan.strict)
                    if victim is not None:
                        self._end(publish, victim, pressure)
                self._problems.clear_problem(PROBLEM)
            except (OSError, CelError, ValueError) as error:
                self._problems.report_problem(PROBLEM, f"OOMConfig has no effect: {error}")
                await asyncio.sleep(plan.interval * 10)

    def _groups(self) -> Iterator[Group]:
        """Every group that may be ended and has processes."""
        from dozen.machinery.oom import PODS, RUNTIME, SYSTEM, Group, class_of

        hierarchy = self._found()
        for place in (f"{PODS}/besteffort", f"{PODS}/burstable", PODS, RUNTIME, SYSTEM):
            for name in hierarchy.children(place):
                path = f"{place}/{name}"
                if class_of(path) and hierarchy.populated(path):
                    limits = (hierarchy.number(path, f"memory.{what}") for what in ("max", "current", "peak"))
                    yield Group(path, *limits)

    def _end(self, publish: Publisher, victim: Victim, pressure: dict[str, float]) -> None:
        hierarchy = self._found()
        processes = tuple(_command(pid) for pid in hierarchy.processes_below(victim.path))
        hierarchy.kill(victim.path)
        self._count += 1
        context = " ".join(f"{name}={value:g}" for name, value in pressure.items())
        log.warning("group=%s score=%g processes=%d ended: %s", victim.path, victim.score, len(processes), context)
        spec = OOMActionSpec(trigger_context=f"{victim.path}: {context}", score=victim.score, processes=processes)
        publish.put(OOM_ACTION, str(self._count), spec)
        if self._count > KEPT:
            publish.remove(OOM_ACTION, str(self._count - KEPT))

    def _found(self) -> Hierarchy:
        if self._hierarchy is None:
            from dozen.linux.cgroups import Hierarchy

            self._hierarchy = Hierarchy()
        return self._hierarchy


def _said(text: str) -> OOMConfig | None:
    from dozen.machinery.config.effective import find_document

    found: OOMConfig | None = find_document(parse(text), "OOMConfig")
    return found


def _asks(text: str) -> bool:
    return _said(text) is not None


def read(said: OOMConfig) -> Plan:
    """A document as expressions; what it leaves out is as usual."""
    from dozen.machinery import cel
    from dozen.machinery.config import expressions as usual

    return Plan(
        cel.parse(said.trigger_expression or usual.DEFAULT_TRIGGER, usual.TRIGGER),
        cel.parse(said.cgroup_ranking_expression or usual.DEFAULT_RANKING, usual.RANKING),
        said.strict_cgroup_class_ordering is not False,
        max(float(said.sample_interval or INTERVAL), SHORTEST),
    )


def _read(path: str) -> str:
    with open(path) as file:
        return file.read()


def _command(pid: int) -> str:
    """A process as people know it: its number and its command line."""
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            words = file.read(4096).split(b"\0")
    except OSError:
        words = []
    return f"{pid} {b' '.join(words).decode(errors='replace').strip()}".strip()
