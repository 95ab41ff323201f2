"""Everything that a node runs, together: names are their owners', and no two write the same kind."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from dozen.engine.runtime import EdgeType, Graph
from dozen.node import registry
from dozen.node.machine import Machine
from dozen.node.process import Reaper

# By whoever takes a configuration in, by sequences and by the supervisor of services.
WRITTEN_BY_THE_MACHINE = {"MachineConfig", "PlatformNetwork", "MachineStage", "Service"}
WAVES = (registry.add_first_wave, registry.add_second_wave, registry.add_third_wave)


def graph_of(mode: str) -> Graph:
    async def gather() -> Graph:
        machine = Machine(mode, Reaper())
        for add in WAVES:
            add(machine)  # raises DeclarationError for what does not fit together
        return machine.runtime.graph()

    return asyncio.run(gather())


@pytest.fixture(scope="module")
def graphs() -> dict[str, Graph]:
    return {mode: graph_of(mode) for mode in ("metal", "container")}


@pytest.mark.parametrize("mode", ["metal", "container"])
def test_a_name_is_that_of_one_controller_or_watcher(graphs: dict[str, Graph], mode: str) -> None:
    names = [*graphs[mode].controllers, *graphs[mode].watchers]
    assert len(set(names)) == len(names)


def test_a_container_runs_a_part_of_what_a_machine_runs(graphs: dict[str, Graph]) -> None:
    everything: Callable[[Graph], set[str]] = lambda graph: {*graph.controllers, *graph.watchers}  # noqa: E731
    assert everything(graphs["container"]) < everything(graphs["metal"])


def test_what_a_controller_reads_somebody_writes(graphs: dict[str, Graph]) -> None:
    edges: list[Any] = list(graphs["metal"].edges)
    inputs = {edge.kind.display for edge in edges if edge.type in (EdgeType.INPUT, EdgeType.FINALIZED_INPUT)}
    outputs = {edge.kind.display for edge in edges if edge.type in (EdgeType.EXCLUSIVE_OUTPUT, EdgeType.SHARED_OUTPUT)}
    assert inputs - outputs == WRITTEN_BY_THE_MACHINE
