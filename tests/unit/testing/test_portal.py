"""A test that is cut off leaves nothing running in the loop that all tests share."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from dozen.provider.cluster import Clusters
from dozen.provider.exclusive import exclusively
from dozen.testing.portal import Portal


class Interruption(BaseException):
    """What a signal's handler raises in the midst of a test, as an interrupt and pytest's limit of time do."""


@pytest.fixture
def portal() -> Iterator[Portal]:
    portal = Portal()
    yield portal
    portal.close()


@pytest.fixture
def interruption() -> Iterator[None]:
    """Makes `interrupt_soon` an interruption of the test, and of nothing else."""

    def interrupt(number: int, frame: object) -> None:
        raise Interruption

    before = signal.signal(signal.SIGALRM, interrupt)
    yield
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


def interrupt_soon() -> None:
    """Said in the loop: what is to be interrupted is under way, however slow the computer is."""
    signal.setitimer(signal.ITIMER_REAL, 0.2)


@pytest.mark.usefixtures("interruption")
def test_an_interrupted_coroutine_has_ended_when_the_interruption_goes_on(portal: Portal) -> None:
    ends: list[str] = []

    async def work() -> None:
        interrupt_soon()
        try:
            await asyncio.sleep(60)
        finally:
            await asyncio.sleep(0.1)
            ends.append("cleaned up")

    with pytest.raises(Interruption):
        portal.run(work())
    assert ends == ["cleaned up"]


@pytest.mark.usefixtures("interruption")
def test_a_cluster_can_be_destroyed_right_after_its_creation_was_interrupted(portal: Portal, tmp_path: Path) -> None:
    clusters = Clusters({"XDG_STATE_HOME": str(tmp_path), "HOME": str(tmp_path)})
    (clusters.folder / "kube").mkdir(parents=True)

    async def creation() -> None:
        with exclusively(clusters.folder / ".kube.lock", "kube"):
            interrupt_soon()
            await asyncio.sleep(60)

    with pytest.raises(Interruption):
        portal.run(creation())
    assert portal.run(clusters.destroy("kube", lambda step: None))
    assert not (clusters.folder / "kube").exists()
