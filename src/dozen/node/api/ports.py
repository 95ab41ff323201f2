"""What the handlers ask of the machine they speak for. `dozen.node.machine.Machine` offers it; tests bring a
stand-in.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Sequence
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from dozen.engine.runtime import Runtime
    from dozen.engine.store import Store
    from dozen.machinery.plan import Effect
    from dozen.node.ending import Ending
    from dozen.node.etcd.client import EtcdClient


class VersionInfo(Protocol):
    """A build: ``tag`` is a semantic version with a leading ``v``, ``arch`` in Go's words."""

    @property
    def tag(self) -> str: ...
    @property
    def sha(self) -> str: ...
    @property
    def built(self) -> str: ...
    @property
    def os(self) -> str: ...
    @property
    def arch(self) -> str: ...


class PlatformInfo(Protocol):
    """Where the machine runs; ``mode`` is metal, cloud or container."""

    @property
    def name(self) -> str: ...
    @property
    def mode(self) -> str: ...


class ServiceEvent(Protocol):
    """A change of state; ``timestamp`` in seconds since the epoch."""

    @property
    def message(self) -> str: ...
    @property
    def state(self) -> str: ...
    @property
    def timestamp(self) -> float: ...


class ServiceHealth(Protocol):
    """The outcome of the last health check; ``last_change`` in seconds since the epoch, 0 for never."""

    @property
    def unknown(self) -> bool: ...
    @property
    def healthy(self) -> bool: ...
    @property
    def last_message(self) -> str: ...
    @property
    def last_change(self) -> float: ...


class Service(Protocol):
    """A service as its supervisor sees it."""

    @property
    def id(self) -> str: ...
    @property
    def state(self) -> str: ...
    @property
    def events(self) -> Iterable[ServiceEvent]: ...
    @property
    def health(self) -> ServiceHealth: ...


class Services(Protocol):
    """The supervisor. The three verbs raise `dozen.node.services.supervisor.ServiceError` with a text for the
    caller.
    """

    def list(self) -> Sequence[Service]: ...
    async def start(self, id: str) -> None: ...
    async def stop(self, id: str) -> None: ...
    async def restart(self, id: str) -> None: ...


class LogBuffer(Protocol):
    """One log; a negative number of lines means all that are kept."""

    def read(self, lines: int) -> AsyncIterator[bytes]: ...
    def follow(self, lines: int) -> AsyncIterator[bytes]: ...


class Logs(Protocol):
    """Every log of the node; ``get`` raises KeyError."""

    def ids(self) -> Sequence[str]: ...
    def get(self, id: str) -> LogBuffer: ...


class Event(Protocol):
    """Something that happened; ``data`` is the encoded payload."""

    @property
    def id(self) -> str: ...
    @property
    def actor_id(self) -> str: ...
    @property
    def type_url(self) -> str: ...
    @property
    def data(self) -> bytes: ...


class Events(Protocol):
    """The node's history of events. ``subscribe`` gives the past that is asked for, then what comes, without a gap."""

    def new_id(self) -> str: ...
    def subscribe(
        self, *, tail: int = 0, since_id: str = "", since_seconds: float = 0.0, actor_id: str = ""
    ) -> AsyncIterator[Event]: ...


class Meta(Protocol):
    """Values that outlive upgrades. ``delete`` says whether there was one. All raise OSError without a place to keep
    them.
    """

    async def set(self, key: int, value: bytes) -> None: ...
    async def delete(self, key: int) -> bool: ...


class Applied(Protocol):
    """What came of applying a configuration."""

    @property
    def mode(self) -> str: ...
    @property
    def details(self) -> str: ...
    @property
    def warnings(self) -> Sequence[str]: ...


class Configurations(Protocol):
    """The machine's configurations. When ``apply`` raises `dozen.node.configuration.Refusal`, nothing has changed."""

    async def apply(self, text: str, mode: str, *, dry_run: bool = False, seconds: float = 60.0) -> Applied: ...


class Etcd(Protocol):
    """This node's member of etcd (`dozen.node.etcd.member`); None before the engine runs. All raise RpcError."""

    @property
    def local(self) -> EtcdClient: ...
    async def bootstrap(self, *, recover: bool = False, skip_hash_check: bool = False) -> None: ...
    async def receive_snapshot(self, chunks: AsyncIterator[bytes]) -> int: ...
    async def leave(self) -> None: ...
    async def hand_over(self) -> str: ...


class Machine(Protocol):
    """The node. ``config`` is None until the machine has one; in maintenance it has none that is complete."""

    @property
    def version(self) -> VersionInfo: ...
    @property
    def platform(self) -> PlatformInfo: ...
    @property
    def config(self) -> object | None: ...
    @property
    def configuration(self) -> Configurations: ...
    @property
    def maintenance(self) -> bool: ...
    @property
    def store(self) -> Store: ...
    @property
    def runtime(self) -> Runtime: ...
    @property
    def services(self) -> Services: ...
    @property
    def logs(self) -> Logs: ...
    @property
    def events(self) -> Events: ...
    @property
    def meta(self) -> Meta: ...
    @property
    def etcd(self) -> Etcd | None: ...

    def request_ending(self, ending: Ending) -> bool:
        """Begin to end; False when an end has begun already."""
        ...

    async def run_effect(self, effect: Effect) -> None:
        """Do something to the machine at once. Raises `dozen.machinery.plan.EffectError`."""
        ...
