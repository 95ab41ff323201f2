"""Certificates of Kubernetes and etcd: made when what they are made from is there, again when it changes or half of
their life is over.

A `Job` says which: ``material`` reads all that goes into the certificates, or None while something is missing, and
``issue`` makes resources of it. Jobs hold no state (they are in `jobs`); `Issuer` is what runs one. No certificate is
made before the clock is right, because one from the future is worth nothing; but a node whose time servers are silent
goes on after a while: when they answer at last and the clock jumps, everything is made anew.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from dozen.machinery.resources import config
from dozen.machinery.resources.time import TIME_STATUS

if TYPE_CHECKING:
    from dozen.engine.publisher import Publisher
    from dozen.engine.store import Store
    from dozen.machinery.certificates import Keys
    from dozen.machinery.resource import Kind
    from dozen.node.problems import Problems

DAY = 24 * 3600.0
PATIENCE = 60.0  # seconds that silent time servers are waited for when the configuration sets no limit
LOOK_AGAIN = 30.0  # seconds: how late a renewal may be

Made = Iterable[tuple["Kind[Any]", str, msgspec.Struct]]


class Job(NamedTuple):
    """Which certificates, from what, for how long (seconds)."""

    name: str
    outputs: tuple[Kind[Any], ...]
    kinds: tuple[Kind[Any], ...]
    material: Callable[[Store], Any]
    issue: Callable[[Any, float], Made]
    lifetime: float = DAY


class Issuer:
    """Runs a job for as long as the node runs. ``keys`` makes and uses keys; None: the library."""

    def __init__(self, job: Job, store: Store, problems: Problems, keys: Keys | None = None) -> None:
        self.name = job.name
        self.outputs = job.outputs
        self._job = job
        self._store = store
        self._problems = problems
        self._keys = keys
        self._began = 0.0

    async def run(self, publish: Publisher) -> None:
        done: object = None
        renewal = 0.0
        self._began = asyncio.get_running_loop().time()
        changed = asyncio.Event()
        kinds = (*self._job.kinds, TIME_STATUS)
        with contextlib.ExitStack() as stack:
            for kind in kinds:
                stack.callback(self._store.listen(kind, lambda _: changed.set()))
            while True:
                changed.clear()
                material = self._job.material(self._store)
                epoch = self._clock_epoch() if material is not None else None
                if epoch is not None and ((material, epoch) != done or time.time() >= renewal):
                    done, renewal = (material, epoch), time.time() + self._job.lifetime / 2
                    self._issue(material, publish)
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(changed.wait(), LOOK_AGAIN)

    def _issue(self, material: Any, publish: Publisher) -> None:
        from dozen.machinery import certificates
        from dozen.machinery.pki import PkiError

        certificates.use(self._keys)
        try:
            for kind, id, spec in self._job.issue(material, self._job.lifetime):
                publish.put(kind, id, spec)
        except PkiError as error:
            # Only another configuration helps; that is a change of the material.
            self._problems.report_problem(self.name, str(error))
        else:
            self._problems.clear_problem(self.name)

    def _clock_epoch(self) -> int | None:
        """How often the clock has jumped, once it can be relied on."""
        status = self._store.find(TIME_STATUS, "node")
        if status is not None and (status.spec.synced or status.spec.sync_disabled):
            return status.spec.epoch
        waited = asyncio.get_running_loop().time() - self._began
        return -1 if waited >= self._patience() else None

    def _patience(self) -> float:
        from dozen.machinery.config import effective
        from dozen.node.configuration import parse

        active = self._store.find(config.MACHINE_CONFIG, config.ACTIVE)
        limit = effective.time_sync(parse(active.spec.text)).boot_timeout if active is not None else 0
        return float(limit or PATIENCE)
