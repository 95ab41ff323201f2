"""A machine that only remembers: what the handlers of the API ask of the real one (`dozen.node.api.ports`)."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, NamedTuple

from dozen.engine.runtime import Runtime
from dozen.engine.store import Store
from dozen.node.configuration import Applied, Refusal
from dozen.node.events import Events
from dozen.node.logs import Logs
from dozen.node.services.supervisor import ServiceError

if TYPE_CHECKING:
    from dozen.machinery.plan import Effect
    from dozen.node.api.ports import Etcd
    from dozen.node.ending import Ending


class FakeVersion(NamedTuple):
    """A build."""

    tag: str = "v1.2.3"
    sha: str = "abc"
    built: str = "2026-01-01"
    os: str = "linux"
    arch: str = "amd64"


class FakePlatform(NamedTuple):
    """A place to run."""

    name: str = "metal"
    mode: str = "metal"


class FakeServiceEvent(NamedTuple):
    """A change of state."""

    message: str
    state: str
    timestamp: float


class FakeHealth(NamedTuple):
    """An answer about health."""

    unknown: bool = True
    healthy: bool = False
    last_message: str = ""
    last_change: float = 0.0


class FakeService(NamedTuple):
    """A service at one moment."""

    id: str
    state: str = "Running"
    events: tuple[FakeServiceEvent, ...] = ()
    health: FakeHealth = FakeHealth()


class FakeServices:
    """Remembers what was asked; ``refusal`` is raised instead when it is set."""

    def __init__(self) -> None:
        self.services = [FakeService("apid"), FakeService("containerd")]
        self.asked: list[tuple[str, str]] = []
        self.refusal = ""

    def list(self) -> list[FakeService]:
        return self.services

    async def start(self, id: str) -> None:
        self._ask("start", id)

    async def stop(self, id: str) -> None:
        self._ask("stop", id)

    async def restart(self, id: str) -> None:
        self._ask("restart", id)

    def _ask(self, verb: str, id: str) -> None:
        if self.refusal:
            raise ServiceError(self.refusal)
        self.asked.append((verb, id))


class FakeMeta:
    """META in memory; ``broken`` is raised by every access when it is set."""

    def __init__(self) -> None:
        self.values: dict[int, bytes] = {}
        self.broken: OSError | None = None

    async def set(self, key: int, value: bytes) -> None:
        if self.broken:
            raise self.broken
        self.values[key] = value

    async def delete(self, key: int) -> bool:
        if self.broken:
            raise self.broken
        return self.values.pop(key, None) is not None


async def _run_nothing(effect: object) -> None:
    raise AssertionError(f"a stand-in does nothing to the machine, yet was told {effect!r}")


class FakeConfigurations:
    """Remembers what was applied; ``refusal`` is raised instead when it is set."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, bool, float]] = []
        self.refusal: Refusal | None = None

    async def apply(self, text: str, mode: str, *, dry_run: bool = False, seconds: float = 60.0) -> Applied:
        if self.refusal is not None:
            raise self.refusal
        self.asked.append((text, mode, dry_run, seconds))
        return Applied("NO_REBOOT", "done", ("careful",))


class FakeMachine:
    """A configured machine with real logs and events; set attributes to make it something else."""

    def __init__(self) -> None:
        self.version = FakeVersion()
        self.platform = FakePlatform()
        self.config: object | None = object()
        self.store = Store()
        self.runtime = Runtime(self.store, _run_nothing, logging.getLogger("dozen.testing"))
        self.services = FakeServices()
        self.logs = Logs()
        self.events = Events()
        self.meta = FakeMeta()
        self.etcd: Etcd | None = None
        self.log = logging.getLogger("dozen.testing")
        self.configuration = FakeConfigurations()
        self.endings: list[Ending] = []
        self.effects: list[Effect] = []
        self.effect_error: Exception | None = None

    @property
    def maintenance(self) -> bool:
        return self.config is None

    async def run_effect(self, effect: Effect) -> None:
        if self.effect_error is not None:
            raise self.effect_error
        self.effects.append(effect)

    def request_ending(self, ending: Ending) -> bool:
        self.endings.append(ending)
        return len(self.endings) == 1
