"""The balancer in front of several control planes: turns, targets that accept and then say nothing, silence."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from dozen.provider import balancer
from dozen.provider.balancer import Balancer, command_line, read_services

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def echo(name: bytes) -> Serve:
    """A target that answers every line with its name and the line."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            writer.write(name + b":" + line)
        writer.close()

    return serve


async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """As the emulator's network does for a guest that listens to nothing."""
    writer.close()


async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        await reader.read()
    writer.close()


@asynccontextmanager
async def listening(*serves: Serve) -> AsyncIterator[list[int]]:
    servers = [await asyncio.start_server(serve, "127.0.0.1", 0) for serve in serves]
    try:
        yield [server.sockets[0].getsockname()[1] for server in servers]
    finally:
        for server in servers:
            server.close()


async def ask(port: int, *lines: bytes) -> list[bytes]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    answers = []
    for line in lines:
        writer.write(line)
        answers.append(await reader.readline())
    writer.close()
    return answers


def closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_connections_go_round_and_stay_where_they_are() -> None:
    async def work() -> None:
        async with listening(echo(b"a"), echo(b"b")) as targets, listening(Balancer(targets).serve) as (port,):
            assert [await ask(port, b"1\n", b"2\n") for _ in range(3)] == [
                [b"a:1\n", b"a:2\n"],
                [b"b:1\n", b"b:2\n"],
                [b"a:1\n", b"a:2\n"],
            ]

    asyncio.run(work())


@pytest.mark.parametrize("bad", [hang_up, say_nothing, None])
def test_a_target_that_does_not_answer_is_followed_by_the_next(
    bad: Serve | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(balancer, "FIRST_SECONDS", 0.2)

    async def work() -> None:
        async with listening(*filter(None, [bad]), echo(b"good")) as found:
            targets = found if bad else [closed_port(), *found]
            chooser = Balancer(targets)
            async with listening(chooser.serve) as (port,):
                assert await ask(port, b"hello\n", b"more\n") == [b"good:hello\n", b"good:more\n"]
                assert list(chooser.avoided) == [targets[0]]

    asyncio.run(work())


def test_with_nobody_there_the_client_is_told_at_once() -> None:
    async def work() -> None:
        async with listening(Balancer([closed_port()]).serve) as (port,):
            with contextlib.suppress(ConnectionResetError):
                assert await ask(port, b"hello\n") == [b""]

    asyncio.run(asyncio.wait_for(work(), 5))


def test_a_target_that_failed_is_asked_last_until_it_is_forgiven() -> None:
    chooser = Balancer([1, 2, 3], avoided={1: 100.0})
    assert chooser.order(50.0) == [2, 3, 1]
    chooser.turn = 0
    assert chooser.order(101.0) == [1, 2, 3]


def test_its_command_line_tells_one_cluster_s_from_another_s() -> None:
    services = {7000: [1, 2], 50001: [3]}
    words = command_line(services, Path("/c/one"))[1:]
    assert words == ["-m", "dozen.provider.balancer", "7000=1,2", "50001=3", "/c/one/balancer.pid"]
    assert read_services(words[2:-1]) == services
