"""A server that passes every call on to another."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from dozen.rpc.client import Channel
from dozen.rpc.limits import Limits
from dozen.rpc.proxy import forward, forwarded_fields
from dozen.rpc.server import Server, serve
from dozen.rpc.servercall import ServerCall
from dozen.rpc.status import Code, RpcError
from unit.rpc.ends import Service, echo_and_flood, run, until


@asynccontextmanager
async def chain(tmp_path: Path, service: Service) -> AsyncIterator[tuple[Channel, Server, Server]]:
    """Channel → proxy → service."""
    back = await serve(service, path=str(tmp_path / "back"))
    inner = Channel(f"unix:{tmp_path / 'back'}")

    async def proxy(call: ServerCall) -> None:
        await forward(call, inner, forwarded_fields(call, ("secret",), [("added", "1"), ("added", "2")]))

    front = await serve(proxy, path=str(tmp_path / "front"))
    outer = Channel(f"unix:{tmp_path / 'front'}")
    try:
        yield outer, front, back
    finally:
        await outer.close()
        await front.close()
        await inner.close()
        await back.close()
        assert front.limits.budget.used == back.limits.budget.used == 0


@pytest.mark.parametrize("size", [0, 1, 100_000, 5_000_000])
def test_unary(tmp_path: Path, size: int) -> None:
    async def main() -> None:
        body = os.urandom(size)
        async with chain(tmp_path, Service()) as (channel, _, _):
            assert await channel.unary("/t.T/Echo", body) == body

    run(main())


def test_streams_both_ways(tmp_path: Path) -> None:
    async def main() -> None:
        async with chain(tmp_path, Service()) as (channel, _, _):
            await echo_and_flood(channel, 200)

    run(main())


def test_fields_and_statuses_pass(tmp_path: Path) -> None:
    async def main() -> None:
        async with chain(tmp_path, Service()) as (channel, _, _):
            metadata = [("secret", "s"), ("kept", "k"), ("x-bin", b"\0\xff")]
            async with channel.call("/t.T/Meta", metadata) as call:
                await call.send(b"", end=True)
                assert (await call.initial_metadata()).get_bytes("head-bin") == b"\0\xff"
                assert await call.recv() == b"kept=k|x-bin=AP8|added=1|added=2"
                assert await call.recv() is None
                assert call.trailers.all("tail") == ["1", "2"]
            async with channel.call("/t.T/Fail") as call:
                await call.end()
                with pytest.raises(RpcError) as caught:
                    await call.recv()
                error = caught.value
                assert (error.code, error.message, error.details) == (Code.ABORTED, "100 % schlecht: ü", b"\x08\x0a")
                assert call.trailers.get("why") == "test"
                assert call.trailers_only
            async with channel.call("/t.T/Failing") as call:
                await call.end()
                assert await call.recv() == b"one"
                with pytest.raises(RpcError, match="behind a message"):
                    await call.recv()

    run(main())


def test_cancelling_reaches_the_service(tmp_path: Path) -> None:
    async def main() -> None:
        service = Service()
        async with chain(tmp_path, service) as (channel, _, _):
            async with channel.call("/t.T/Sleep"):
                await until(lambda: service.running == 1)
            await until(lambda: service.cancelled == 1)
            async with channel.call("/t.T/Echo") as call:
                await call.send(b"x")
                await call.recv()
                assert service.running == 1
            await until(lambda: service.running == 0)

    run(main())


def test_client_that_vanishes_reaches_the_service(tmp_path: Path) -> None:
    async def main() -> None:
        service = Service()
        async with chain(tmp_path, service) as (channel, _, _):
            call = asyncio.create_task(channel.unary("/t.T/Sleep", b""))
            await until(lambda: service.running == 1)
            await channel.close()
            await until(lambda: service.cancelled == 1)
            with pytest.raises(RpcError):
                await call

    run(main())


def test_service_that_vanishes_reaches_the_client(tmp_path: Path) -> None:
    async def main() -> None:
        service = Service()
        async with chain(tmp_path, service) as (channel, _, back):
            call = asyncio.create_task(channel.unary("/t.T/Sleep", b""))
            await until(lambda: service.running == 1)
            await back.close()
            with pytest.raises(RpcError) as caught:
                await call
            assert caught.value.code is Code.UNAVAILABLE
            with pytest.raises(RpcError, match="cannot connect") as caught:
                await channel.unary("/t.T/Echo", b"")
            assert caught.value.code is Code.UNAVAILABLE

    run(main())


def test_deadline_is_passed_on(tmp_path: Path) -> None:
    async def main() -> None:
        service = Service()
        async with chain(tmp_path, service) as (channel, _, _):
            with pytest.raises(RpcError) as caught:
                await channel.unary("/t.T/Sleep", b"", timeout=0.1)
            assert caught.value.code is Code.DEADLINE_EXCEEDED
            assert (service.calls[0].deadline or 0) > 0
            await until(lambda: service.cancelled == 1)

    run(main())


def test_slow_reader_holds_little_and_stops_nobody(tmp_path: Path) -> None:
    async def main() -> None:
        service = Service()
        async with chain(tmp_path, service) as (channel, _front, _back), channel.call("/t.T/Flood") as slow:
            await slow.send(b"1000", end=True)
            await slow.recv()
            await asyncio.sleep(0.2)
            assert await channel.unary("/t.T/Echo", b"fast") == b"fast"
            for number in range(1, 1000):
                message = await slow.recv()
                assert message is not None
                assert int.from_bytes(message[:4], "big") == number
            assert await slow.recv() is None

    run(main())


def test_slow_readers_are_let_go_when_memory_is_short(tmp_path: Path) -> None:
    async def main() -> None:
        service = Service()
        back = await serve(service, path=str(tmp_path / "back"))
        limits = Limits(stream_window=65535, unread_budget=300_000)
        inner = Channel(f"unix:{tmp_path / 'back'}", limits=limits)
        front = await serve(lambda call: forward(call, inner, forwarded_fields(call)), path=str(tmp_path / "front"))
        readers = [Channel(f"unix:{tmp_path / 'front'}", limits=Limits(stream_window=65535)) for _ in range(10)]
        calls = []
        for channel in readers:
            call = await channel.start("/t.T/Flood", [])
            await call.send(b"100", end=True)
            calls.append(call)
        await until(lambda: service.running <= 5)
        assert limits.budget.used <= 300_000
        async with Channel(f"unix:{tmp_path / 'front'}") as quick:
            assert await quick.unary("/t.T/Echo", b"x") == b"x"
        # Who was let go is told so, though it has not read; the others get everything.
        told = 0
        for call in calls:
            try:
                while await call.recv() is not None:
                    pass
            except RpcError as error:
                assert error.code is Code.RESOURCE_EXHAUSTED  # noqa: PT017
                told += 1
        assert 5 <= told < 10
        for channel in readers:
            await channel.close()
        await front.close()
        await inner.close()
        await back.close()
        assert limits.budget.used == front.limits.budget.used == 0

    run(main())
