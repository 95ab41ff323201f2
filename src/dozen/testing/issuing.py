"""A node's certificates in a test: the node's own issuers, upon the store of a bench that begins after them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from dozen.node.controllers.trust.issuers import Issuer, Job
from dozen.node.controllers.trust.jobs import JOBS
from dozen.node.problems import Problems

if TYPE_CHECKING:
    from dozen.engine.publisher import Publisher
    from dozen.engine.store import Store


class LateIssuer:
    """An issuer that asks for the store when it runs."""

    def __init__(self, job: Job, store: Callable[[], Store], problems: Problems) -> None:
        self.name, self.outputs = job.name, job.outputs
        self._job, self._store, self._problems = job, store, problems

    async def run(self, publish: Publisher) -> None:
        await Issuer(self._job, self._store(), self._problems).run(publish)


class Told:
    """Problems that were told and are not over."""

    def __init__(self) -> None:
        self.problems: dict[str, str] = {}

    def report_problem(self, id: str, text: str) -> None:
        self.problems[id] = text

    def clear_problem(self, id: str) -> None:
        self.problems.pop(id, None)


def late_issuers(store: Callable[[], Store], problems: Problems) -> Iterator[LateIssuer]:
    """Every job of a node."""
    for job in JOBS:
        yield LateIssuer(job, store, problems)
