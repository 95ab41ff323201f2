"""What a service is, as data: which program, how confined, what it waits for, how its health is asked.

The table of services is `dozen.node.services.catalogue`; the supervisor reads it and holds no knowledge of any one
service.
"""

from __future__ import annotations

import signal
from collections.abc import Awaitable, Callable
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

from dozen.node.process import Confinement

if TYPE_CHECKING:
    from dozen.node.machine import Machine


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


class Condition(NamedTuple):
    """Something a service waits for: what to call it, and the question asked until the answer is yes."""

    name: str
    met: Callable[[Machine], bool]


class Health(NamedTuple):
    """How a service's health is asked: ``check`` raises with the reason when it is bad. Seconds."""

    check: Callable[[Machine], Awaitable[None]]
    first_after: float = 0.2
    period: float = 5.0
    # While a service has not been healthy yet it is asked this often: others wait for the answer.
    starting_period: float = 0.25
    timeout: float = 3.0


class Service(NamedTuple):
    """One program that the node keeps running.

    ``needs`` are ids of services that must be running (and healthy, when they can say so) first. ``unavailable``
    answers with a reason why the service cannot run on this machine, or nothing. ``operations`` are what the API may
    do to it.
    """

    id: str
    argv: tuple[str, ...]
    confinement: Confinement
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
