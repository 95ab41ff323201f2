"""An independent implementation (grpclib, on the h2 library) as the other end."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from grpclib.client import Channel as OtherChannel
from grpclib.const import Cardinality, Handler, Status
from grpclib.encoding.base import CodecBase
from grpclib.exceptions import GRPCError
from grpclib.server import Server as OtherServer

from dozen.rpc.client import Channel
from dozen.rpc.server import serve
from dozen.rpc.status import Code, RpcError
from unit.rpc.ends import Service, echo_and_flood, run, until


class RawCodec(CodecBase):
    """Messages are bytes."""

    __content_subtype__ = "proto"

    def encode(self, message: Any, message_type: Any) -> bytes:
        assert isinstance(message, bytes)
        return message

    def decode(self, data: bytes, message_type: Any) -> Any:
        return data


@asynccontextmanager
async def our_server(tmp_path: Path, service: Service) -> AsyncIterator[OtherChannel]:
    server = await serve(service, path=str(tmp_path / "s"))
    channel = OtherChannel(path=str(tmp_path / "s"), codec=RawCodec())
    try:
        yield channel
    finally:
        channel.close()
        await server.close()
        assert server.limits.budget.used == 0


def request(channel: OtherChannel, method: str, **options: Any) -> Any:
    return channel.request(f"/t.T/{method}", Cardinality.STREAM_STREAM, bytes, bytes, **options)


async def ask(channel: OtherChannel, method: str, **options: Any) -> Any:
    """One empty message there, one back."""
    async with request(channel, method, **options) as stream:
        await stream.send_message(b"", end=True)
        return await stream.recv_message()


@pytest.mark.parametrize("size", [0, 1, 70_000, 3_000_000])
def test_their_client_echoes(tmp_path: Path, size: int) -> None:
    async def main() -> None:
        body = os.urandom(size)
        async with our_server(tmp_path, Service()) as channel, request(channel, "Echo") as stream:
            await stream.send_message(body, end=True)
            assert await stream.recv_message() == body
            assert await stream.recv_message() is None

    run(main())


def test_their_client_streams_both_ways(tmp_path: Path) -> None:
    async def main() -> None:
        async with our_server(tmp_path, Service()) as channel, request(channel, "Echo") as stream:
            for number in range(50):
                await stream.send_message(b"%d" % number)
                assert await stream.recv_message() == b"%d" % number
            await stream.end()
            assert await stream.recv_message() is None

    run(main())


def test_their_client_reads_a_flood(tmp_path: Path) -> None:
    async def main() -> None:
        async with our_server(tmp_path, Service()) as channel, request(channel, "Flood") as stream:
            await stream.send_message(b"100", end=True)
            numbers = [int.from_bytes(message[:4], "big") async for message in stream]
            assert numbers == list(range(100))

    run(main())


def test_their_client_reads_errors_and_metadata(tmp_path: Path) -> None:
    async def main() -> None:
        async with our_server(tmp_path, Service()) as channel:
            with pytest.raises(GRPCError) as caught:
                await ask(channel, "Fail")
            assert (caught.value.status, caught.value.message) == (Status.ABORTED, "100 % schlecht: ü")
            async with request(channel, "Meta", metadata={"x-bin": b"\0\xff", "a": "b"}) as stream:
                await stream.send_message(b"", end=True)
                told = await stream.recv_message()
                assert {"x-bin=AP8", "a=b"} <= set(told.decode().split("|"))
                assert await stream.recv_message() is None
                assert stream.initial_metadata["head-bin"] == b"\0\xff"
                await stream.recv_trailing_metadata()
                assert stream.trailing_metadata.getall("tail") == ["1", "2"]

    run(main())


def test_their_client_cancels_and_times_out(tmp_path: Path) -> None:
    async def main() -> None:
        service = Service()
        async with our_server(tmp_path, service) as channel:
            async with request(channel, "Sleep") as stream:
                await stream.send_message(b"", end=True)
                await until(lambda: service.running == 1)
                await stream.cancel()
            await until(lambda: service.cancelled == 1)
            with pytest.raises((GRPCError, asyncio.TimeoutError)):
                await ask(channel, "Sleep", timeout=0.05)
            await until(lambda: service.cancelled == 2)

    run(main())


class TheirService:
    """The same methods, served by the other implementation."""

    def __init__(self) -> None:
        self.cancelled = 0

    def __mapping__(self) -> dict[str, Handler]:
        methods = {"Echo": self.echo, "Flood": self.flood, "Fail": self.fail, "Meta": self.meta, "Sleep": self.sleep}
        return {
            f"/t.T/{name}": Handler(method, Cardinality.STREAM_STREAM, bytes, bytes) for name, method in methods.items()
        }

    async def echo(self, stream: Any) -> None:
        async for message in stream:
            await stream.send_message(message)

    async def flood(self, stream: Any) -> None:
        for number in range(int(await stream.recv_message())):
            await stream.send_message(number.to_bytes(4, "big") + bytes(65532))

    async def fail(self, stream: Any) -> None:
        await stream.recv_message()
        raise GRPCError(Status.ABORTED, "100 % schlecht: ü")

    async def meta(self, stream: Any) -> None:
        await stream.recv_message()
        await stream.send_initial_metadata(metadata={"head-bin": b"\0\xff"})
        await stream.send_message(f"{stream.metadata['a']}{stream.metadata['x-bin']!r}".encode())
        await stream.send_trailing_metadata(metadata={"tail": "1"})

    async def sleep(self, stream: Any) -> None:
        try:
            await asyncio.sleep(30)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise


@asynccontextmanager
async def their_server(tmp_path: Path) -> AsyncIterator[tuple[TheirService, Channel]]:
    service = TheirService()
    server = OtherServer([service], codec=RawCodec())
    await server.start(path=str(tmp_path / "s"))
    channel = Channel(f"unix:{tmp_path / 's'}")
    try:
        yield service, channel
    finally:
        await channel.close()
        server.close()
        await server.wait_closed()


@pytest.mark.parametrize("size", [0, 1, 70_000, 3_000_000])
def test_our_client_echoes(tmp_path: Path, size: int) -> None:
    async def main() -> None:
        body = os.urandom(size)
        async with their_server(tmp_path) as (_, channel):
            assert await channel.unary("/t.T/Echo", body, timeout=10) == body

    run(main())


def test_our_client_streams_and_floods(tmp_path: Path) -> None:
    async def main() -> None:
        async with their_server(tmp_path) as (_, channel):
            await echo_and_flood(channel, 100)

    run(main())


def test_our_client_reads_errors_and_metadata(tmp_path: Path) -> None:
    async def main() -> None:
        async with their_server(tmp_path) as (_, channel):
            with pytest.raises(RpcError) as caught:
                await channel.unary("/t.T/Fail", b"")
            assert (caught.value.code, caught.value.message) == (Code.ABORTED, "100 % schlecht: ü")
            with pytest.raises(RpcError) as caught:
                await channel.unary("/t.T/Absent", b"")
            assert caught.value.code is Code.UNIMPLEMENTED
            async with channel.call("/t.T/Meta", [("x-bin", b"\0\xff"), ("a", "b")]) as call:
                await call.send(b"", end=True)
                assert (await call.initial_metadata()).get_bytes("head-bin") == b"\0\xff"
                assert await call.recv() == b"bb'\\x00\\xff'"
                assert await call.recv() is None
                assert call.trailers.get("tail") == "1"

    run(main())


def test_our_client_cancels_and_times_out(tmp_path: Path) -> None:
    async def main() -> None:
        async with their_server(tmp_path) as (service, channel):
            with pytest.raises(RpcError) as caught:
                await channel.unary("/t.T/Sleep", b"", timeout=0.1)
            assert caught.value.code is Code.DEADLINE_EXCEEDED
            await until(lambda: service.cancelled == 1)
            async with channel.call("/t.T/Sleep") as call:
                await call.end()
                await asyncio.sleep(0.05)
            await until(lambda: service.cancelled == 2)
            assert await channel.unary("/t.T/Echo", b"alive") == b"alive"

    run(main())
