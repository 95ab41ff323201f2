"""What bounds a server besides windows: connections, those of one address, calls; and how a client lives with it."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from dozen.rpc.client import Channel
from dozen.rpc.frames import PREFACE, settings_frame
from dozen.rpc.limits import Limits
from dozen.rpc.server import serve
from dozen.rpc.status import RpcError
from unit.rpc.ends import Service, ends, run, until


def test_a_burst_of_calls_spreads_over_connections_before_the_first_has_answered(tmp_path: Path) -> None:
    async def main() -> None:
        service = Service()
        path = str(tmp_path / "s")
        server = await serve(service, path=path, limits=Limits(max_streams=150))
        channel = Channel(f"unix:{path}", max_connections=4)
        calls = [asyncio.create_task(channel.unary("/t.T/Sleep", b"")) for _ in range(500)]
        await until(lambda: service.running == 500)
        assert server.connections == 4
        service.release.set()
        answers = await asyncio.gather(*calls, return_exceptions=True)
        assert {type(answer) for answer in answers} == {RpcError}, (
            "a handler that sends nothing is an error to a client"
        )
        await channel.close()
        await server.close()

    run(main())


def test_more_calls_than_a_server_takes_are_refused_as_not_begun(tmp_path: Path) -> None:
    async def main() -> None:
        service = Service()
        async with ends(tmp_path, service, limits=Limits(max_calls=3)) as (_, channel):
            calls = [await channel.start("/t.T/Sleep", []) for _ in range(4)]
            for call in calls:
                await call.send(b"", end=True)
            with pytest.raises(RpcError):
                await calls[3].recv()
            assert calls[3].unprocessed
            assert service.running == 3
            for call in calls:
                call.cancel()

    run(main())


def test_a_connection_without_a_call_is_closed_after_a_while(tmp_path: Path) -> None:
    async def main() -> None:
        limits = Limits(handshake_timeout=0.1, unused_timeout=0.2)
        async with ends(tmp_path, Service(), limits=limits) as (server, channel):
            assert await channel.unary("/t.T/Echo", b"used") == b"used"
            reader, writer = await asyncio.open_unix_connection(str(tmp_path / "s"))
            writer.write(PREFACE + settings_frame({}))
            said = await reader.read()
            assert b"no call came" in said
            writer.close()
            assert server.connections == 1, "the one that had a call stays"

    run(main())


def test_an_address_with_many_connections_makes_room_for_itself_only() -> None:
    async def main() -> None:
        server = await serve(Service(), host="127.0.0.1", limits=Limits(max_connections=4, max_per_address=2))
        host, port = server.addresses[0][:2]  # type: ignore[index]
        other = [await greeted(host, port, "127.0.0.2") for _ in range(2)]
        many = [await greeted(host, port, "127.0.0.1") for _ in range(5)]
        assert server.connections == 4
        assert [await is_over(reader) for reader, _ in many] == [True, True, True, False, False]
        assert not any([await is_over(reader) for reader, _ in other])
        for _, writer in [*other, *many]:
            writer.close()
        await server.close()

    run(main())


async def greeted(host: str, port: int, local: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """An idle connection, from an address of the loopback, that the server has greeted."""
    reader, writer = await asyncio.open_connection(host, port, local_addr=(local, 0))
    writer.write(PREFACE + settings_frame({}))
    await reader.readexactly(20)
    return reader, writer


async def is_over(reader: asyncio.StreamReader) -> bool:
    """Whether the server has closed a connection; one that it closes has been closed by now."""
    try:
        async with asyncio.timeout(0.2):
            await reader.read()
    except TimeoutError:
        return False
    return True
