"""A containerd that runs nothing: answers by table, remembers what it was asked, and can be away for a while.

It stands behind `dozen.rpc.client.Channel`'s place in `dozen.node.containers.Containerd`.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from typing import Any

from dozen.machinery.messages import message, method_types
from dozen.rpc.status import Code, RpcError

Answer = dict[str, Any] | RpcError | Callable[[Any], Any]


class FakeStream:
    """One side of a stream; what is put in at one is read at the other."""

    def __init__(self) -> None:
        self.to_server: asyncio.Queue[bytes | None] = asyncio.Queue()
        self.to_client: asyncio.Queue[bytes | None] = asyncio.Queue()

    async def send(self, data: bytes, end: bool = False) -> None:
        self.to_server.put_nowait(data)

    async def end(self) -> None:
        self.to_server.put_nowait(None)

    async def recv(self) -> bytes | None:
        return await self.to_client.get()


class FakeContainerd:
    """``answers``: path → fields of the reply, an error, or a function of the request that gives either.

    A list of answers is used up one by one; the last of it stays.
    """

    def __init__(self) -> None:
        self.answers: defaultdict[str, deque[Answer]] = defaultdict(lambda: deque([{}]))
        self.asked: list[tuple[str, Any]] = []
        self.metadata: list[dict[str, str]] = []
        self.blobs: dict[str, bytes] = {}
        self.streams: dict[str, FakeStream] = {}
        self._changed = asyncio.Event()

    def answer(self, path: str, *answers: Answer) -> None:
        """What to answer from now on."""
        self.answers[path] = deque(answers)

    def requests(self, path: str) -> list[Any]:
        """What was asked on one path."""
        return [request for asked, request in self.asked if asked == path]

    @property
    def methods(self) -> list[str]:
        """``Service/Method`` of every question, in order."""
        return [path.rpartition(".")[2] for path, _ in self.asked]

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until something that was asked, or a stream that was opened, makes the condition true."""
        while not condition():
            self._changed.clear()
            await self._changed.wait()

    async def unary(
        self, path: str, request: Any, response: Any, metadata: Iterable[tuple[str, str]], timeout: float | None
    ) -> Any:
        self.asked.append((path, request))
        self.metadata.append(dict(metadata))
        self._changed.set()
        answers = self.answers[path]
        answer = answers.popleft() if len(answers) > 1 else answers[0]
        if callable(answer):
            answer = answer(request)
            if asyncio.iscoroutine(answer):
                answer = await answer
        if isinstance(answer, RpcError):
            raise answer
        return response(**answer)

    async def server_stream(
        self, path: str, request: Any, response: Any, metadata: Iterable[tuple[str, str]], timeout: float | None
    ) -> AsyncIterator[Any]:
        """Content/Read, in two parts."""
        self.asked.append((path, request))
        data = self.blobs.get(request.digest)
        if data is None:
            raise RpcError(Code.NOT_FOUND, f"content digest {request.digest}: not found")
        half = len(data) // 2
        for offset, part in ((0, data[:half]), (half, data[half:])):
            yield method_types(path).response(offset=offset, data=part)

    @asynccontextmanager
    async def call(self, path: str, metadata: Iterable[tuple[str, str]]) -> AsyncIterator[FakeStream]:
        """Streaming/Stream; the greeting is answered when it comes."""
        stream = FakeStream()
        stream.to_client.put_nowait(b"")
        yield_task = asyncio.ensure_future(self._register(stream))
        try:
            yield stream
        finally:
            yield_task.cancel()

    async def _register(self, stream: FakeStream) -> None:
        greeting = await stream.to_server.get()
        packed = message("google.protobuf.Any").FromString(greeting)
        init = message("containerd.services.streaming.v1.StreamInit").FromString(packed.value)
        self.streams[init.id] = stream
        self._changed.set()
