"""Sequences: phases in order, their tasks together, and on in spite of failures."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from dozen.node.sequences import BOOT, ENDINGS, INITIALIZE, Phase, Sequence, run_sequence

ALL = (INITIALIZE, BOOT, *ENDINGS.values())


class Watched:
    """As much of a machine as a sequence asks for; it remembers what it was told."""

    def __init__(self) -> None:
        self.stages: list[str] = []
        self.told: list[tuple[str, dict[str, Any], str]] = []
        self.problems: list[tuple[str, str]] = []
        self.done: list[str] = []
        self.events = self

    def set_stage(self, stage: str) -> None:
        self.stages.append(stage)

    def publish(self, name: str, fields: dict[str, Any], actor_id: str = "") -> None:
        self.told.append((name, fields, actor_id))

    def report_problem(self, id: str, text: str, *, error: BaseException) -> None:
        self.problems.append((id, text))


def run(sequence: Sequence, actor_id: str = "") -> Watched:
    machine = Watched()
    asyncio.run(asyncio.wait_for(run_sequence(machine, sequence, actor_id), 10))  # type: ignore[arg-type]
    return machine


async def write_first(machine: Any) -> None:
    machine.done.append("first")


async def write_second(machine: Any) -> None:
    machine.done.append("second")


async def refuse_to_work(machine: Any) -> None:
    raise OSError("no such disk")


def test_phases_run_one_after_another() -> None:
    async def yield_then_write(machine: Any) -> None:
        await asyncio.sleep(0)
        machine.done.append("zeroth")

    phases = (Phase("a", (yield_then_write,)), Phase("b", (write_first,)), Phase("c", (write_second,)))
    machine = run(Sequence("s", "busy", phases))
    assert machine.done == ["zeroth", "first", "second"]
    assert machine.stages == ["busy"]


def test_tasks_of_a_phase_run_together() -> None:
    met = asyncio.Barrier(2)

    async def wait_for_one(machine: Any) -> None:
        await met.wait()

    async def wait_for_other(machine: Any) -> None:
        await met.wait()

    # One after the other they would wait for ever.
    assert run(Sequence("s", "busy", (Phase("a", (wait_for_one, wait_for_other)),))).problems == []


def test_a_task_that_fails_is_reported_and_holds_up_nothing() -> None:
    phases = (Phase("a", (refuse_to_work, write_first)), Phase("b", (write_second,)))
    machine = run(Sequence("s", "busy", phases))
    assert machine.problems == [("phase-a", "refuse_to_work: no such disk")]
    assert machine.done == ["first", "second"]


def test_an_operator_sees_each_step_and_who_asked_for_it() -> None:
    machine = run(Sequence("s", "busy", (Phase("a", (write_first,)),)), "request-1")
    assert machine.told == [
        ("SequenceEvent", {"sequence": "s", "action": 1}, "request-1"),
        ("PhaseEvent", {"phase": "a", "action": 0}, "request-1"),
        ("TaskEvent", {"task": "writeFirst", "action": 0}, "request-1"),
        ("TaskEvent", {"task": "writeFirst", "action": 1}, "request-1"),
        ("PhaseEvent", {"phase": "a", "action": 1}, "request-1"),
        ("SequenceEvent", {"sequence": "s", "action": 2}, "request-1"),
    ]


def test_a_boot_that_is_called_off_takes_its_tasks_along() -> None:
    ended: list[str] = []

    async def wait_for_ever(machine: Any) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("task")

    async def call_off() -> None:
        sequence = Sequence("s", "busy", (Phase("a", (wait_for_ever,)), Phase("b", (write_first,))))
        machine = Watched()
        boot = asyncio.create_task(run_sequence(machine, sequence))  # type: ignore[arg-type]
        await asyncio.sleep(0.01)
        boot.cancel()
        with pytest.raises(asyncio.CancelledError):
            await boot
        assert machine.done == []

    asyncio.run(call_off())
    assert ended == ["task"]


@pytest.mark.parametrize("sequence", ALL, ids=lambda sequence: sequence.name)
def test_phases_can_be_told_apart(sequence: Sequence) -> None:
    names = [phase.name for phase in sequence.phases]
    assert len(set(names)) == len(names)
    assert all(phase.tasks for phase in sequence.phases)


# What each step needs of those before: pods are sent elsewhere while kubelet and API server can still see to it; what
# is left of them ends before the member that serves their API gives its part up; leadership goes while etcd runs;
# services let go of the disks, which are unmounted when nobody has a file open, and written out last.
GOING_DOWN = {
    "drain": ["cordon_and_drain_node"],
    "stopPods": ["stop_pods"],
    "leadership": ["hand_over_leadership"],
    "stopAllServices": ["stop_all_services"],
    "stopControllers": ["announce_restart", "stop_controllers"],
    "killProcesses": ["kill_processes"],
    "unmount": ["unmount_all"],
    "sync": ["sync_disks"],
}


@pytest.mark.parametrize("kind", ["reboot", "shutdown"])
def test_a_node_goes_down_in_this_order(kind: str) -> None:
    phases = ENDINGS[kind].phases
    assert [phase.name for phase in phases] == list(GOING_DOWN)
    assert {phase.name: [task.__name__ for task in phase.tasks] for phase in phases} == GOING_DOWN


def test_a_node_that_is_reset_leaves_its_cluster_before_its_services_stop() -> None:
    names = [phase.name for phase in ENDINGS["reset"].phases]
    at = names.index("stopPods") + 1
    assert names == [*list(GOING_DOWN)[:at], "leave", *list(GOING_DOWN)[at:-1], "wipe", "sync"]


def test_there_is_an_ending_for_whatever_may_be_asked_for() -> None:
    assert set(ENDINGS) == {"reboot", "shutdown", "reset"}
    names = {kind: [phase.name for phase in ending.phases] for kind, ending in ENDINGS.items()}
    assert names["reboot"][-1] == names["shutdown"][-1] == "sync"
    # Disks are wiped when nothing is mounted and nobody mounts anything, and what was wiped is written out.
    assert names["reset"][-3:] == ["unmount", "wipe", "sync"]
    assert [name for name in names["reset"] if name in names["reboot"]] == names["reboot"]
