"""A call of the API without a network: what a handler reads from it and sends into it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from dozen.machinery.messages import method_types


class FakePeer:
    """Whoever calls; root unless said otherwise."""

    def __init__(self, uid: int | None = 0) -> None:
        self.uid = uid


class FakeMetadata:
    """Metadata by name."""

    def __init__(self, values: Mapping[str, Sequence[str]]) -> None:
        self._values = values

    def all(self, name: str) -> list[str]:
        return list(self._values.get(name, ()))

    def get(self, name: str, default: str | None = None) -> str | None:
        return next(iter(self.all(name)), default)


class FakeCall:
    """One call: ``requests`` are what the client sends (messages or bytes), ``sent`` is what it was answered.

    ``open_ended`` keeps the client's side open after its requests; `push` and `finish` go on with it.
    """

    def __init__(
        self,
        path: str,
        requests: Iterable[Any] = (),
        *,
        roles: Sequence[str] = (),
        uid: int | None = 0,
        open_ended: bool = False,
    ) -> None:
        self.path = path
        self.peer = FakePeer(uid)
        self.metadata = FakeMetadata({"talos-role": roles} if roles else {})
        self.sent: list[bytes] = []
        self.started = False
        self._requests: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._answered = asyncio.Event()
        for request in requests:
            self.push(request)
        if not open_ended:
            self.finish()

    def push(self, request: Any) -> None:
        """Another request of the client."""
        self._requests.put_nowait(request if isinstance(request, bytes) else request.SerializeToString())

    def finish(self) -> None:
        """The client has no more requests."""
        self._requests.put_nowait(None)

    async def recv(self) -> bytes | None:
        item = await self._requests.get()
        if item is None:
            self._requests.put_nowait(None)
        return item

    async def send(self, message: bytes) -> None:
        self.started = True
        self.sent.append(message)
        self._answered.set()

    def start(self) -> None:
        self.started = True

    @property
    def replies(self) -> list[Any]:
        """What was answered, as messages."""
        response = method_types(self.path).response
        return [response.FromString(data) for data in self.sent]

    async def wait_for_replies(self, count: int) -> list[Any]:
        """The replies, once there are that many."""
        while len(self.sent) < count:
            self._answered.clear()
            await self._answered.wait()
        return self.replies
