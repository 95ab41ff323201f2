"""What a service is, as data: which program, how confined, what it waits for, how its health is asked.

The table of services is `dozen.node.services.catalogue`; the supervisor reads it and holds no knowledge of any one
service.
"""

from __future__ import annotations

import signal
from collections.abc import Awaitable, Callable
from enum import StrEnum
from typing import TYPE_CHECKING

import msgspec

from dozen.node.process import Confinement

if TYPE_CHECKING:
    from dozen.node.machine import Machine


def needs_own_kernel(machine: Machine) -> str | None:
    """A reason why a service is unavailable (`Service.unavailable`)."""
    return "needs a kernel of its own; this machine is a container" if machine.mode == "container" else None


def needs_control_plane(machine: Machine) -> str | None:
    """The same; a machine without a configuration may become a control plane yet."""
    if machine.config is not None and machine.config.is_complete and machine.config.machine_type != "controlplane":
        return "runs on control planes only; this machine is a worker"
    return None


class State(StrEnum):
    """A service's states, in the words of the machine API."""

    INITIALIZED = "Initialized"
    PREPARING = "Preparing"
    WAITING = "Waiting"
    STARTING = "Starting"
    RUNNING = "Running"
    STOPPING = "Stopping"
    FINISHED = "Finished"
    FAILED = "Failed"
    SKIPPED = "Skipped"


class Restart(StrEnum):
    """When a program that ended is started again."""

    ALWAYS = "always"
    NEVER = "never"


class Condition(msgspec.Struct, frozen=True):
    """Something a service waits for: what to call it, and the question asked until the answer is yes."""

    name: str
    met: Callable[[Machine], bool]


class Health(msgspec.Struct, frozen=True):
    """How a service's health is asked: ``check`` raises with the reason when it is bad. Seconds."""

    check: Callable[[Machine], Awaitable[None]]
    first_after: float = 0.2
    period: float = 5.0
    # While a service has not been healthy yet it is asked this often: others wait for the answer.
    starting_period: float = 0.25
    timeout: float = 3.0


class Mount(msgspec.Struct, frozen=True):
    """A mount into a container; ``options`` as in mount(8), with propagation among them (``rshared``, ``rslave``)."""

    source: str
    destination: str
    options: tuple[str, ...] = ("rbind", "rw")
    type: str = "bind"


class ContainerProgram(msgspec.Struct, frozen=True):
    """A service's program when it comes in an image: run by containerd, in the node's network.

    ``args`` is the whole command line; empty means the image's own. ``capabilities`` are names as in capabilities(7);
    a ``privileged`` container has all of them, all devices, and nothing hidden from it. ``host_pids`` lets it see every
    process. ``cgroup`` is a path below /sys/fs/cgroup. Two equal programs are the same: a service whose program changes
    is started again.
    """

    image: str
    args: tuple[str, ...] = ()
    env: tuple[tuple[str, str], ...] = ()
    mounts: tuple[Mount, ...] = ()
    uid: int = 0
    gid: int = 0
    capabilities: tuple[str, ...] = ()
    privileged: bool = False
    host_pids: bool = False
    read_only: bool = True
    # How mounts made in the container and on the node reach each other: "" (not at all), rslave or rshared.
    propagation: str = ""
    cgroup: str = ""
    oom: int = 0


class Service(msgspec.Struct, frozen=True):
    """One program that the node keeps running.

    ``needs`` are ids of services that must be running (and healthy, when they can say so) first. ``unavailable``
    answers with a reason why the service cannot run on this machine, or nothing. ``operations`` are what the API may
    do to it. A service that runs in a container has ``program`` instead of ``argv`` and ``confinement``: it is asked
    what to run, answers None as long as that is not known, and asked again now and then, as the answer may change.
    """

    id: str
    argv: tuple[str, ...] = ()
    confinement: Confinement = Confinement()
    needs: tuple[str, ...] = ()
    conditions: tuple[Condition, ...] = ()
    health: Health | None = None
    prepare: Callable[[Machine], None] | None = None
    unavailable: Callable[[Machine], str | None] | None = None
    restart: Restart = Restart.ALWAYS
    stop_signal: int = signal.SIGTERM
    # How long it gets to end by itself, seconds.
    stop_grace: float = 10.0
    operations: frozenset[str] = frozenset()
    program: Callable[[Machine], ContainerProgram | None] | None = None
    # What is waited for while there is nothing to run, for people.
    awaits: str = "its configuration"
    # Whether what runs has read all that there is to read; without an answer it is taken to have not.
    is_current: Callable[[Machine], bool] | None = None
