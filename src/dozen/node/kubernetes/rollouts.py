"""Waits for what the manifests define, and says what their workloads wait for.

A kind of its own is served some moments after its definition was taken; objects of it that come too early are refused.
So definitions are waited for, by a watch and within a bound, before anything that comes behind them.

Workloads are not waited for: other things must not be held up by pods that cannot run. What they lack is in the log,
and after a while it is a problem of the node, because a cluster without its network or its names is of no use.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import aclosing
from typing import TYPE_CHECKING

from dozen.machinery.kubernetes.objects import Identity, Object, identity
from dozen.machinery.kubernetes.rollouts import WORKLOADS, defined_kinds, is_usable, rollout_problem, why_unusable
from dozen.node.kubernetes.errors import NotFound

if TYPE_CHECKING:
    from dozen.node.kubernetes.client import Client
    from dozen.node.problems import Problems

# How long a definition may take to become usable; it takes milliseconds where a cluster is well. Seconds.
DEFINITION_SECONDS = 30.0
FIRST_PAUSE, LONGEST_PAUSE = 0.05, 2.0
# How often workloads are looked at until all of them run, and how long they may take before that is a problem: as long
# as Kubernetes itself gives a Deployment (progressDeadlineSeconds). Seconds.
LOOK_EVERY, PATIENCE = 30.0, 600.0
PROBLEM = "rollout"


async def await_definitions(client: Client, applied: Iterable[Object]) -> list[str]:
    """Until objects that need these definitions may be sent; a sentence for each that did not become usable."""
    outcomes = await asyncio.gather(*(_await_definition(client, item) for item in applied))
    return [outcome for outcome in outcomes if outcome]


async def _await_definition(client: Client, item: Object) -> str:
    latest = item
    try:
        async with asyncio.timeout(DEFINITION_SECONDS):
            if not is_usable(item):
                async for latest in _versions(client, identity(item)):
                    if is_usable(latest):
                        break
            await _await_discovery(client, defined_kinds(item))
    except TimeoutError:
        reason = "it is not among the kinds that are served" if is_usable(latest) else why_unusable(latest)
        return f"{identity(item)} is not usable after {DEFINITION_SECONDS:.0f} s: {reason}"
    return ""


async def _versions(client: Client, who: Identity) -> AsyncIterator[Object]:
    """The object as it is now, and after each change."""
    found = client.follow(who.api_version, who.kind, who.namespace, field_selector=f"metadata.name={who.name}")
    async with aclosing(found) as states:  # type: ignore[type-var]
        async for items in states:
            for item in items.values():
                yield item


async def _await_discovery(client: Client, kinds: list[tuple[str, str]]) -> None:
    """A kind is served a moment before, or after, the server lists it, which no watch tells."""
    pause = FIRST_PAUSE
    for api_version, kind in kinds:
        while True:
            try:
                await client.path(api_version, kind)
                break
            except NotFound:
                await asyncio.sleep(pause)
                pause = min(2 * pause, LONGEST_PAUSE)


class Rollouts:
    """The workloads of the manifests, from when they were applied until they run."""

    def __init__(self, problems: Problems) -> None:
        self._problems = problems
        self._log = logging.getLogger("dozen.manifests")
        self._workloads: list[Identity] = []
        self._changed = asyncio.Event()

    def expect(self, items: Iterable[Object]) -> None:
        """Those of the objects that have pods are to be seen running, and no others."""
        self._workloads = [identity(item) for item in items if item.get("kind") in WORKLOADS]
        self._changed.set()

    async def run(self, client: Client) -> None:
        """For ever; raises KubernetesError when the server is lost."""
        while True:
            await self._changed.wait()
            await self._see_running(client)

    async def _see_running(self, client: Client) -> None:
        began, said = time.monotonic(), ""
        while True:
            if self._changed.is_set():
                self._changed.clear()
                began = time.monotonic()
            await asyncio.sleep(LOOK_EVERY)
            waits = "; ".join(await self._look(client))
            took = time.monotonic() - began
            if not waits:
                break
            if took >= PATIENCE:
                waits = f"workloads of the manifests do not come up: {waits}"
            if waits != said:
                said = waits
                self._tell(waits, is_late=took >= PATIENCE)
        self._problems.clear_problem(PROBLEM)
        if self._workloads:
            self._log.info("rollout done workloads=%d seconds=%.0f", len(self._workloads), took)

    def _tell(self, waits: str, *, is_late: bool) -> None:
        if is_late:
            self._problems.report_problem(PROBLEM, waits)
        else:
            self._log.info("rollout waits for %s", waits)

    async def _look(self, client: Client) -> list[str]:
        """What is missing now, a sentence for each workload; what somebody has removed is not waited for."""
        found = [await client.find(who.api_version, who.kind, who.name, who.namespace) for who in self._workloads]
        return [problem for item in found if item is not None and (problem := rollout_problem(item))]
