"""The whole life of a machine as data: sequences of phases, and what each phase does.

Phases of a sequence run one after another; the tasks of a phase run together. A task that fails is logged and
remembered as a diagnostic, and the sequence goes on: a node that is up and can say what is wrong is worth more than
one that stopped.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

import msgspec

from dozen.node.tasks import connection, early, running, stopping

if TYPE_CHECKING:
    from dozen.node.machine import Machine

Task = Callable[["Machine"], Awaitable[None]]

log = logging.getLogger("dozen.sequence")

# Wire values of machine.SequenceEvent.Action, machine.PhaseEvent.Action and machine.TaskEvent.Action.
NOOP, START, STOP = 0, 1, 2
PHASE_START, PHASE_STOP = 0, 1


class Phase(msgspec.Struct, frozen=True):
    """Tasks that run together; the name is what operators see in ``dozenctl events``."""

    name: str
    tasks: tuple[Task, ...]


class Sequence(msgspec.Struct, frozen=True):
    """Phases in order; ``stage`` is what the machine calls itself meanwhile (MachineStatus)."""

    name: str
    stage: str
    phases: tuple[Phase, ...]


INITIALIZE = Sequence(
    "initialize",
    "booting",
    (
        Phase("systemRequirements", (early.mount_pseudo_filesystems,)),
        Phase("earlyServices", (early.open_console, early.start_loopback, early.create_cgroups, early.write_etc)),
        # apid runs already (`dozen.node.ahead`) and waits for its certificate by itself.
        Phase("services", (running.start_early_services,)),
        Phase("config", (early.load_config,)),
    ),
)
BOOT = Sequence(
    "boot",
    "booting",
    (
        Phase("api", (running.serve_machine_socket, running.start_controllers)),
        # One thing after the other from here, each as early as nothing more urgent wants the processors: somebody may
        # be waiting for the API, then for containerd. A disk that needs no driver has /var before udevd is started.
        Phase("serving", (running.prepare_first_answer, running.wait_for_api, connection.watch_connection)),
        Phase("volumes", (running.start_volume_controllers, running.wait_for_first_disks)),
        Phase("runtime", (running.start_runtime, running.wait_for_runtime)),
        Phase(
            "controllers",
            (
                running.start_services,
                running.serve_trust_socket,
                running.start_other_controllers,
                running.follow_configuration,
            ),
        ),
        Phase("devices", (running.start_device_services, running.coldplug)),
        Phase("ephemeral", (running.wait_for_ephemeral,)),
        Phase("startEverything", (running.start_last_services, running.report_ignored_settings)),
    ),
)
STOP_PHASES = (
    Phase("drain", (stopping.cordon_and_drain_node,)),
    Phase("stopPods", (stopping.stop_pods,)),
    Phase("leadership", (stopping.hand_over_leadership,)),
    Phase("stopAllServices", (stopping.stop_all_services,)),
    Phase("stopControllers", (stopping.announce_restart, stopping.stop_controllers)),
    Phase("killProcesses", (stopping.kill_processes,)),
    Phase("unmount", (stopping.unmount_all,)),
    Phase("sync", (stopping.sync_disks,)),
)
ENDINGS = {
    "reboot": Sequence("reboot", "rebooting", STOP_PHASES),
    "shutdown": Sequence("shutdown", "shutting down", STOP_PHASES),
    "reset": Sequence(
        "reset",
        "resetting",
        (
            *STOP_PHASES[:2],
            Phase("leave", (stopping.leave_cluster,)),
            *STOP_PHASES[2:-1],
            Phase("wipe", (stopping.wipe_disks,)),
            STOP_PHASES[-1],
        ),
    ),
}


async def run_sequence(machine: Machine, sequence: Sequence, actor_id: str = "") -> None:
    """Run all phases of a sequence; failures of tasks are reported, not raised."""
    machine.set_stage(sequence.stage)
    machine.events.publish("SequenceEvent", {"sequence": sequence.name, "action": START}, actor_id)
    began = time.monotonic()
    for phase in sequence.phases:
        await _run_phase(machine, sequence, phase, actor_id)
    machine.events.publish("SequenceEvent", {"sequence": sequence.name, "action": STOP}, actor_id)
    log.info("sequence=%s done seconds=%.2f", sequence.name, time.monotonic() - began)


async def _run_phase(machine: Machine, sequence: Sequence, phase: Phase, actor_id: str) -> None:
    machine.events.publish("PhaseEvent", {"phase": phase.name, "action": PHASE_START}, actor_id)
    log.info("sequence=%s phase=%s start", sequence.name, phase.name)
    began = time.monotonic()
    outcomes = await asyncio.gather(
        *(_run_task(machine, task, actor_id) for task in phase.tasks), return_exceptions=True
    )
    for task, outcome in zip(phase.tasks, outcomes, strict=True):
        if isinstance(outcome, BaseException):
            text = f"{task.__name__}: {outcome or type(outcome).__name__}"
            machine.report_problem(f"phase-{phase.name}", text, error=outcome)
    machine.events.publish("PhaseEvent", {"phase": phase.name, "action": PHASE_STOP}, actor_id)
    log.info("sequence=%s phase=%s done seconds=%.2f", sequence.name, phase.name, time.monotonic() - began)


async def _run_task(machine: Machine, task: Task, actor_id: str) -> None:
    name = _camel(task.__name__)
    machine.events.publish("TaskEvent", {"task": name, "action": PHASE_START}, actor_id)
    await task(machine)
    machine.events.publish("TaskEvent", {"task": name, "action": PHASE_STOP}, actor_id)


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)
