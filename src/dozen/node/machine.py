"""The machine that PID 1 looks after: everything that tasks, services and API calls share.

One `Machine` exists per boot. It owns the store of resources and the engine over it, the supervisor of services, the
logs, the events and the META values; it knows in which mode it runs and how it is asked to end. It decides nothing
itself.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

from dozen import __version__
from dozen.engine.runtime import Runtime
from dozen.engine.store import Store
from dozen.linux import meta as meta_store
from dozen.machinery.resources import block
from dozen.machinery.resources import runtime as kinds
from dozen.node.configuration import Configurations
from dozen.node.events import Events
from dozen.node.logs import Logs
from dozen.node.process import Confinement, Process, Reaper, find_mount_namespace
from dozen.node.services.definition import State
from dozen.node.services.supervisor import ServiceRunner, Supervisor
from dozen.node.stage import STAGE, StageSpec

if TYPE_CHECKING:
    from dozen.machinery.config import Config
    from dozen.node.ahead import Started
    from dozen.node.controllers.network.virtual import VirtualAddressWatcher
    from dozen.node.ending import Ending
    from dozen.node.etcd.member import EtcdMember
    from dozen.rpc.server import Server

MACHINE_SOCKET = "/system/run/machined/machine.sock"
OWNER = "machined"
# Wire values of machine.ServiceStateEvent.Action.
_STATE_ACTIONS = {
    State.INITIALIZED: 0,
    State.PREPARING: 1,
    State.WAITING: 2,
    State.RUNNING: 3,
    State.STOPPING: 4,
    State.FINISHED: 5,
    State.FAILED: 6,
    State.SKIPPED: 7,
    State.STARTING: 8,
}


class VersionInfo(msgspec.Struct, frozen=True):
    """What the Version call answers."""

    tag: str
    sha: str
    built: str
    os: str
    arch: str


class PlatformInfo(msgspec.Struct, frozen=True):
    """Where the machine runs; ``mode`` is metal, cloud or container."""

    name: str
    mode: str


class Machine:
    """What there is of the machine during this boot."""

    def __init__(self, mode: str, reaper: Reaper) -> None:
        self.mode = mode
        self.platform = PlatformInfo("container" if mode == "container" else "metal", mode)
        self.version = VersionInfo(f"v{__version__}", "", "", "linux", _go_arch(os.uname().machine))
        self.config: Config | None = None
        self.configuration = Configurations(self)
        self.log = logging.getLogger("dozen")
        self.reaper = reaper
        self.logs = Logs()
        self.events = Events()
        self.store = Store()
        self.services = Supervisor(self, logging.getLogger("dozen.services"))
        self.runtime = Runtime(self.store, self.run_effect, logging.getLogger("dozen.engine"))
        self.meta = meta_store.MetaStore()
        self.server: Server | None = None
        self.trust_server: Server | None = None
        # Whether containerd's store and the places that containers write to are there (`tasks.containers`).
        self.containers_prepared = False
        # There once the engine runs; see `dozen.node.registry`.
        self.etcd: EtcdMember | None = None
        self.virtual_addresses: VirtualAddressWatcher | None = None
        self.background: set[asyncio.Task[object]] = set()
        self.ahead: dict[str, Started] = {}
        self._stage = "booting"
        self._ending: asyncio.Future[Ending] = asyncio.get_running_loop().create_future()

    # -- The end.

    def request_ending(self, ending: Ending) -> bool:
        """Ask for the end of this boot; False when an end has been asked for already."""
        if self._ending.done():
            return False
        self._ending.set_result(ending)
        return True

    async def ending(self) -> Ending:
        """Until somebody asks for the end."""
        return await asyncio.shield(self._ending)

    @property
    def maintenance(self) -> bool:
        """Whether the machine waits for a configuration that says what it is to be."""
        return self.config is None or not self.config.is_complete

    @property
    def var_is_ready(self) -> bool:
        """Whether /var is there to be written: the volume is mounted, or the container's maker provided it."""
        if self.mode == "container":
            return True
        volume = self.store.find(block.VOLUME_STATUS, "EPHEMERAL")
        return volume is not None and volume.spec.phase == "ready"

    def variables(self) -> dict[str, str]:
        """What the configuration wants in the environment of a service that is started now."""
        if self.config is None:
            return {}
        from dozen.machinery.config.host import variables

        return variables(self.config)

    # -- Saying what happens.

    def set_stage(self, stage: str) -> None:
        """Say what the machine is busy with; readiness follows from it (see `dozen.node.controllers.status`)."""
        self._stage = stage
        self.store.put(STAGE, "machine", StageSpec(stage=stage), owner=OWNER)

    @property
    def stage(self) -> str:
        return self._stage

    def report_problem(self, id: str, text: str, *, error: BaseException | None = None) -> None:
        """Tell console, dmesg and API that something is wrong, and go on."""
        self.log.error("problem=%s %s", id, text, exc_info=error if self.log.isEnabledFor(logging.DEBUG) else None)
        self.store.put(kinds.DIAGNOSTIC, id, kinds.DiagnosticSpec(message=text), owner=OWNER)

    def clear_problem(self, id: str) -> None:
        """The problem is over."""
        if self.store.find(kinds.DIAGNOSTIC, id) is not None:
            self.store.destroy(kinds.DIAGNOSTIC, id, owner=OWNER)

    def service_changed(self, runner: ServiceRunner) -> None:
        """Publish a service's state as a resource and as an event."""
        running = runner.state is State.RUNNING
        spec = kinds.ServiceSpec(running=running, healthy=runner.health.healthy, unknown=runner.health.unknown)
        self.store.put(kinds.SERVICE, runner.id, spec, owner=OWNER)
        self._tell_process(runner)
        last = runner.events[-1]
        self.events.publish(
            "ServiceStateEvent",
            {"service": runner.id, "action": _STATE_ACTIONS[runner.state], "message": last.message},
        )

    def _tell_process(self, runner: ServiceRunner) -> None:
        """Publish which process a service is, as long as it runs."""
        if runner.state is State.RUNNING:
            # Only PID 1 itself is a service without a process that was started for it.
            pid = runner.process.pid if runner.process is not None else os.getpid()
            spec = kinds.ServicePIDSpec(pid=pid, mount_namespace=find_mount_namespace(pid))
            self.store.put(kinds.SERVICE_PID, runner.id, spec, owner=OWNER)
        elif self.store.find(kinds.SERVICE_PID, runner.id) is not None:
            self.store.destroy(kinds.SERVICE_PID, runner.id, owner=OWNER)

    # -- Doing.

    def spawn(self, argv: Sequence[str], confinement: Confinement, *, output: int) -> Process:
        """Start a program, confined as stated; in a container, cgroups and OOM scores are the host's to give."""
        if self.mode == "container":
            confinement = msgspec.structs.replace(confinement, cgroup="", oom=None)
        return self.reaper.spawn(argv, confinement, stdout=output, stderr=output)

    def take_over(self, pid: int, confinement: Confinement) -> Process:
        """Look after a program that runs already and has all of its confinement but the cgroup. Raises OSError."""
        process = self.reaper.adopt(pid)
        if self.mode != "container" and confinement.cgroup:
            from dozen.linux.cgroups import Hierarchy

            hierarchy = Hierarchy()
            hierarchy.create(confinement.cgroup)
            hierarchy.add(confinement.cgroup, pid)
        return process

    async def run_program(self, argv: Sequence[str], timeout: float) -> tuple[int, bytes]:
        """Run a program of the image to its end: exit code and all that it printed. Raises TimeoutError, OSError."""
        return await self.reaper.run(argv, timeout)

    async def run_effect(self, effect: object) -> None:
        """Carry out one step of a plan; only `dozen.linux` and `dozen.node.effects` know how."""
        from dozen.node.effects import run

        await run(self, effect)

    def keep(self, task: asyncio.Task[object]) -> None:
        """Hold on to a background task and report it when it fails: nobody else awaits it."""
        self.background.add(task)
        task.add_done_callback(self._background_ended)

    def _background_ended(self, task: asyncio.Task[object]) -> None:
        self.background.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self.report_problem(f"task-{task.get_name()}", f"{task.get_name()} ended: {error}", error=error)


def _go_arch(machine: str) -> str:
    return {"x86_64": "amd64", "aarch64": "arm64"}.get(machine, machine)
