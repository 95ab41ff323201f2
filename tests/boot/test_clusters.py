"""Clusters on this computer: an interrupted creation goes on, machines reach each other, nothing is left behind."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from dozen.provider.cluster import Clusters, Options
from dozen.provider.machines import BootImage, Step, StepState
from dozen.testing.kubecluster import KubeCluster
from dozen.testing.portal import Portal
from dozen.testing.toolbox import Toolbox

SMALL = {"memory_mib": 1024, "disk_mib": 4096, "kubernetes": False}


@pytest.fixture(scope="module")
def clusters(tmp_path_factory: pytest.TempPathFactory) -> Clusters:
    return Clusters({**os.environ, "XDG_STATE_HOME": str(tmp_path_factory.mktemp("clusters"))})


@pytest.fixture(scope="module")
def pair(clusters: Clusters, image: BootImage, portal: Portal) -> Iterator[KubeCluster]:
    """A cluster whose creation was cut off while its machine booted, then made whole, then made bigger."""
    cluster = KubeCluster(clusters, "pair", image.kernel.parent, portal)
    try:
        portal.run(cut_off(clusters, image.kernel.parent), 120)
        began = clusters.show("pair")
        assert began
        assert [node.state for node in began.nodes] == ["running"]
        made = cluster.create(**SMALL)
        assert made.nodes[0].machine
        assert began.nodes[0].machine
        assert made.nodes[0].machine.pid == began.nodes[0].machine.pid
        cluster.create(control_planes=2, **SMALL)
        yield cluster
    finally:
        cluster.destroy()


async def cut_off(clusters: Clusters, image: Path) -> None:
    """Cancels the creation as soon as the machine runs, as an interrupt from the keyboard does."""
    running = asyncio.Event()

    def note(step: Step) -> None:
        if step.name.endswith("API") and step.state is StepState.STARTED:
            running.set()

    creation = asyncio.create_task(clusters.create("pair", image, note, Options(**SMALL)))
    await running.wait()
    creation.cancel()
    with pytest.raises(asyncio.CancelledError):
        await creation


def test_a_machine_that_was_added_reaches_the_first(pair: KubeCluster, archive: bytes) -> None:
    first, second = pair.nodes.values()
    assert first.call("Hostname").messages[0].hostname == "pair-controlplane-1"
    assert second.call("Hostname").messages[0].hostname == "pair-controlplane-2"
    second.until_healthy("containerd")
    toolbox = Toolbox(second)
    toolbox.install(archive)
    toolbox.check("ping -c 1 -W 10 10.0.2.15")
    # Connections, too: nobody on the way takes them for its own and refuses them.
    toolbox.check("for _ in $(seq 10); do nc -w 10 10.0.2.15 50001 </dev/null || exit 1; done")


def test_creating_it_once_more_changes_nothing(pair: KubeCluster) -> None:
    before = {name: node.boot_id() for name, node in pair.nodes.items()}
    pair.create(**SMALL)
    assert {name: node.boot_id() for name, node in pair.nodes.items()} == before


def test_nothing_is_left_of_a_destroyed_cluster(pair: KubeCluster, clusters: Clusters, portal: Portal) -> None:
    folder = clusters.folder / "pair"
    assert processes_of(folder)
    pair.destroy()
    assert processes_of(folder) == []
    assert not folder.exists()
    assert portal.run(clusters.destroy("pair", lambda step: None)) is False


def processes_of(folder: Path) -> list[int]:
    """Processes that name the folder on their command line."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if os.fsencode(folder) in path.read_bytes():
                found.append(int(path.parent.name))
        except OSError:
            continue
    return found
