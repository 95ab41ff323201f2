"""Real servers and channels over Unix sockets, and handlers to call."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

from dozen.rpc.client import Channel
from dozen.rpc.limits import Limits
from dozen.rpc.server import Handler, Server, serve
from dozen.rpc.servercall import ServerCall
from dozen.rpc.status import Code, RpcError

ResultT = TypeVar("ResultT")


def run(main: Coroutine[Any, Any, ResultT], timeout: float = 20.0) -> ResultT:
    async def bounded() -> ResultT:
        return await asyncio.wait_for(main, timeout)

    return asyncio.run(bounded())


@asynccontextmanager
async def ends(
    tmp_path: Path, handler: Handler, *, limits: Limits | None = None, client_limits: Limits | None = None
) -> AsyncIterator[tuple[Server, Channel]]:
    """A server and a channel to it."""
    path = str(tmp_path / "s")
    server = await serve(handler, path=path, limits=limits)
    channel = Channel(f"unix:{path}", limits=client_limits)
    try:
        yield server, channel
    finally:
        await channel.close()
        await server.close()
        await asyncio.wait_for(server.wait_closed(), 5)
        # Every byte that was received was used or given up.
        assert server.limits.budget.used == 0


async def until(condition: Callable[[], bool], timeout: float = 5.0) -> None:
    """Wait for something that a peer causes."""
    end = asyncio.get_running_loop().time() + timeout
    while not condition():
        assert asyncio.get_running_loop().time() < end, "condition not met in time"
        await asyncio.sleep(0.005)


async def echo_and_flood(channel: Channel, count: int) -> None:
    """A talk both ways, message by message, and then ``count`` messages one way."""
    async with channel.call("/t.T/Echo") as call:
        for number in range(50):
            await call.send(b"%d" % number)
            assert await call.recv() == b"%d" % number
        await call.end()
        assert await call.recv() is None
    numbers = [int.from_bytes(m[:4], "big") async for m in channel.server_stream("/t.T/Flood", b"%d" % count)]
    assert numbers == list(range(count))


class Service:
    """Methods by the last part of the path; remembers who was cancelled."""

    def __init__(self) -> None:
        self.running = 0
        self.cancelled = 0
        self.calls: list[ServerCall] = []
        self.release = asyncio.Event()

    async def __call__(self, call: ServerCall) -> None:
        self.running += 1
        self.calls.append(call)
        method: Callable[[ServerCall], Awaitable[None]] = getattr(self, call.path.rpartition("/")[2].lower())
        try:
            await method(call)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        finally:
            self.running -= 1

    async def echo(self, call: ServerCall) -> None:
        while (message := await call.recv()) is not None:
            await call.send(message)

    async def sleep(self, call: ServerCall) -> None:
        await self.release.wait()

    async def flood(self, call: ServerCall) -> None:
        """As many chunks as the request says, of 64 KiB."""
        request = await call.recv()
        assert request is not None
        for number in range(int(request)):
            await call.send(number.to_bytes(4, "big") + bytes(65532))

    async def count(self, call: ServerCall) -> None:
        total = 0
        while (message := await call.recv()) is not None:
            total += len(message)
        await call.send(str(total).encode())

    async def fail(self, call: ServerCall) -> None:
        call.set_trailing("why", "test")
        raise RpcError(Code.ABORTED, "100 % schlecht: ü", b"\x08\x0a")

    async def failing(self, call: ServerCall) -> None:
        await call.send(b"one")
        raise RpcError(Code.DATA_LOSS, "behind a message")

    async def crash(self, call: ServerCall) -> None:
        raise ZeroDivisionError("a fault of the handler")

    async def meta(self, call: ServerCall) -> None:
        await call.recv()
        call.set_initial("head", "h")
        call.set_initial("head-bin", b"\0\xff")
        call.set_trailing("tail", "1")
        call.set_trailing("tail", "2")
        told = "|".join(f"{name}={value}" for name, value in call.metadata if name not in ("user-agent",))
        await call.send(told.encode())

    async def nothing(self, call: ServerCall) -> None:
        await call.recv()
