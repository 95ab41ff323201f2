"""Calls between our own two ends."""

from __future__ import annotations

import asyncio
import functools
import logging
import os
import socket
from pathlib import Path

import pytest

from dozen.rpc.client import Channel, split_address
from dozen.rpc.frames import ErrorCode
from dozen.rpc.limits import Limits
from dozen.rpc.server import serve
from dozen.rpc.servercall import ServerCall
from dozen.rpc.status import Code, RpcError
from unit.rpc.ends import Service, ends, run, until
from unit.rpc.pairs import RESPONSE, TRAILERS, ServerSide, output


@pytest.mark.parametrize("size", [0, 1, 16384, 65536, 1 << 20, 5 << 20])
def test_unary(tmp_path: Path, size: int) -> None:
    async def main() -> None:
        body = os.urandom(size)
        async with ends(tmp_path, Service()) as (_, channel):
            assert await channel.unary("/t.T/Echo", body) == body

    run(main())


def test_many_calls_share_a_connection(tmp_path: Path) -> None:
    async def main() -> None:
        async with ends(tmp_path, Service(), limits=Limits(max_streams=20)) as (server, channel):
            bodies = [os.urandom(number * 10) for number in range(200)]
            replies = await asyncio.gather(*(channel.unary("/t.T/Echo", body, timeout=10) for body in bodies))
            assert replies == bodies
            assert server.connections == 1

    run(main())


def test_bidirectional_stream(tmp_path: Path) -> None:
    async def main() -> None:
        async with ends(tmp_path, Service()) as (_, channel), channel.call("/t.T/Echo") as call:
            for number in range(100):
                await call.send(b"%d" % number)
                assert await call.recv() == b"%d" % number
            await call.end()
            assert await call.recv() is None

    run(main())


def test_client_stream(tmp_path: Path) -> None:
    async def main() -> None:
        async with ends(tmp_path, Service()) as (_, channel), channel.call("/t.T/Count") as call:
            for _ in range(50):
                await call.send(bytes(100_000))
            await call.end()
            assert await call.recv() == b"5000000"
            assert await call.recv() is None

    run(main())


def test_server_stream_in_order(tmp_path: Path) -> None:
    async def main() -> None:
        async with ends(tmp_path, Service()) as (_, channel):
            numbers = [int.from_bytes(m[:4], "big") async for m in channel.server_stream("/t.T/Flood", b"100")]
            assert numbers == list(range(100))

    run(main())


def test_errors_carry_code_text_details_and_trailers(tmp_path: Path) -> None:
    async def main() -> None:
        async with ends(tmp_path, Service()) as (_, channel), channel.call("/t.T/Fail") as call:
            await call.end()
            with pytest.raises(RpcError) as caught:
                await call.recv()
            error = caught.value
            assert (error.code, error.message, error.details) == (Code.ABORTED, "100 % schlecht: ü", b"\x08\x0a")
            assert call.trailers.get("why") == "test"
            assert call.trailers_only

    run(main())


def test_error_behind_a_message(tmp_path: Path) -> None:
    async def main() -> None:
        async with ends(tmp_path, Service()) as (_, channel), channel.call("/t.T/Failing") as call:
            await call.end()
            assert await call.recv() == b"one"
            with pytest.raises(RpcError, match="behind a message"):
                await call.recv()

    run(main())


def test_fault_of_a_handler_ends_one_call(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        async with ends(tmp_path, Service()) as (_, channel):
            with pytest.raises(RpcError) as caught:
                await channel.unary("/t.T/Crash", b"")
            assert (caught.value.code, caught.value.message) == (Code.INTERNAL, "internal error")
            assert await channel.unary("/t.T/Echo", b"still there") == b"still there"

    with caplog.at_level(logging.ERROR):
        run(main())
    assert "path=/t.T/Crash" in caplog.text
    assert "a fault of the handler" in caplog.text


def test_metadata_both_ways(tmp_path: Path) -> None:
    async def main() -> None:
        async with ends(tmp_path, Service()) as (_, channel):
            metadata = [("node", "a"), ("node", "b"), ("x-bin", b"\0\xff")]
            async with channel.call("/t.T/Meta", metadata) as call:
                await call.send(b"", end=True)
                assert (await call.initial_metadata()).get("head") == "h"
                assert (await call.initial_metadata()).get_bytes("head-bin") == b"\0\xff"
                assert await call.recv() == b"node=a|node=b|x-bin=AP8"
                assert await call.recv() is None
                assert call.trailers.all("tail") == ["1", "2"]

    run(main())


def test_reply_that_is_missing_is_an_error(tmp_path: Path) -> None:
    async def main() -> None:
        async with ends(tmp_path, Service()) as (_, channel):
            with pytest.raises(RpcError, match="without a reply"):
                await channel.unary("/t.T/Nothing", b"")
            assert [reply async for reply in channel.server_stream("/t.T/Nothing", b"")] == []

    run(main())


def test_deadline_is_kept_by_both_sides(tmp_path: Path) -> None:
    async def main() -> None:
        service = Service()
        async with ends(tmp_path, service) as (_, channel):
            with pytest.raises(RpcError) as caught:
                await channel.unary("/t.T/Sleep", b"", timeout=0.05)
            assert caught.value.code is Code.DEADLINE_EXCEEDED
            await until(lambda: service.running == 0)
            assert service.cancelled == 1
            assert service.calls[0].time_left == 0.0

    run(main())


def test_server_enforces_a_deadline_by_itself(tmp_path: Path) -> None:
    async def main() -> None:
        service = Service()
        async with ends(tmp_path, service) as (_, channel):
            call = await channel.start("/t.T/Sleep", [(b"grpc-timeout", b"50m")])
            with pytest.raises(RpcError) as caught:
                await call.recv()
            assert caught.value.code is Code.DEADLINE_EXCEEDED
            assert service.calls[0].expired
            await until(lambda: service.cancelled == 1)

    run(main())


def test_leaving_a_call_cancels_its_handler(tmp_path: Path) -> None:
    async def main() -> None:
        service = Service()
        async with ends(tmp_path, service) as (_, channel):
            async with channel.call("/t.T/Sleep"):
                await until(lambda: service.running == 1)
            await until(lambda: service.cancelled == 1)
            assert service.running == 0

    run(main())


def test_leaving_a_stream_early_stops_its_sender(tmp_path: Path) -> None:
    async def main() -> None:
        service = Service()
        async with ends(tmp_path, service) as (_, channel):
            stream = channel.server_stream("/t.T/Flood", b"100000")
            await anext(stream)
            await stream.aclose()  # type: ignore[attr-defined]
            await until(lambda: service.running == 0)

    run(main())


def test_slow_reader_slows_the_sender(tmp_path: Path) -> None:
    async def main() -> None:
        sent = 0

        async def handler(call: ServerCall) -> None:
            nonlocal sent
            for _ in range(1000):
                await call.send(bytes(10_000))
                sent += 1

        async with ends(tmp_path, handler) as (_, channel), channel.call("/t.T/X") as call:
            await call.end()
            await until(lambda: sent >= 26)
            await asyncio.sleep(0.05)
            # The client's window of 256 KiB and one message that waits.
            assert sent <= 27
            for _ in range(1000):
                assert await call.recv() is not None
            assert await call.recv() is None

    run(main())


def test_slow_handler_slows_the_client(tmp_path: Path) -> None:
    async def main() -> None:
        service = Service()
        async with ends(tmp_path, service) as (server, channel), channel.call("/t.T/Sleep") as call:
            sender = asyncio.create_task(call.send(bytes(10 << 20)))
            await until(lambda: server.limits.budget.used == 256 * 1024)
            await asyncio.sleep(0.05)
            assert not sender.done()
            assert server.limits.budget.used == 256 * 1024
            service.release.set()
            # The handler returns without reading; the sender is let go.
            await sender
            assert await call.recv() is None

    run(main())


def test_message_limit(tmp_path: Path) -> None:
    async def main() -> None:
        limits = Limits(max_message=1000)
        async with ends(tmp_path, Service(), limits=limits, client_limits=limits) as (_, channel):
            assert await channel.unary("/t.T/Echo", bytes(1000)) == bytes(1000)
            with pytest.raises(RpcError, match="message of 1001 bytes") as caught:
                await channel.unary("/t.T/Echo", bytes(1001))
            assert caught.value.code is Code.RESOURCE_EXHAUSTED
            with pytest.raises(RpcError, match="message of 65536 bytes"):
                await channel.unary("/t.T/Flood", b"1")

    run(main())


def test_closing_server_lets_calls_end(tmp_path: Path) -> None:
    async def main() -> None:
        service = Service()
        async with ends(tmp_path, service) as (server, channel):
            call = asyncio.create_task(channel.unary("/t.T/Sleep", b""))
            await until(lambda: service.running == 1)
            closing = asyncio.create_task(server.close(grace=5))
            await asyncio.sleep(0.05)
            assert not closing.done()
            with pytest.raises(RpcError, match="cannot connect"):
                await channel.unary("/t.T/Echo", b"")
            service.release.set()
            with pytest.raises(RpcError, match="without a reply"):
                await call
            await closing

    run(main())


def test_closing_server_ends_calls_after_its_grace(tmp_path: Path) -> None:
    async def main() -> None:
        service = Service()
        async with ends(tmp_path, service) as (server, channel):
            call = asyncio.create_task(channel.unary("/t.T/Sleep", b""))
            await until(lambda: service.running == 1)
            await server.close(grace=0.05)
            with pytest.raises(RpcError) as caught:
                await call
            assert caught.value.code is Code.UNAVAILABLE
            assert service.cancelled == 1

    run(main())


def test_channel_connects_again(tmp_path: Path) -> None:
    async def main() -> None:
        path = str(tmp_path / "s")
        channel = Channel(f"unix:{path}")
        with pytest.raises(RpcError) as caught:
            await channel.unary("/t.T/Echo", b"")
        assert caught.value.code is Code.UNAVAILABLE
        assert path in caught.value.message
        for _ in range(3):
            server = await serve(Service(), path=path)
            assert await channel.unary("/t.T/Echo", b"x") == b"x"
            await server.close()
            await server.wait_closed()
        await channel.close()
        with pytest.raises(RpcError, match="closed"):
            await channel.unary("/t.T/Echo", b"")

    run(main())


def test_channel_waits_for_a_server_that_starts_later(tmp_path: Path) -> None:
    async def main() -> None:
        path = str(tmp_path / "s")
        channel = Channel(f"unix:{path}", wait=5, name="machined")
        calls = [asyncio.create_task(channel.unary("/t.T/Echo", b"x")) for _ in range(3)]
        await asyncio.sleep(0.1)
        server = await serve(Service(), path=path)
        assert await asyncio.gather(*calls) == [b"x"] * 3
        assert server.connections == 1
        await channel.close()
        await server.close()
        impatient = Channel(f"unix:{path}", wait=0.05, name="machined")
        with pytest.raises(RpcError, match=r"cannot connect to machined at unix:.*: Connection refused"):
            await impatient.unary("/t.T/Echo", b"x")

    run(main())


def test_channel_opens_more_connections_when_one_is_full(tmp_path: Path) -> None:
    async def main() -> None:
        path = str(tmp_path / "s")
        service = Service()
        server = await serve(service, path=path, limits=Limits(max_streams=2))
        channel = Channel(f"unix:{path}", max_connections=2)
        await channel.unary("/t.T/Echo", b"")
        calls = [asyncio.create_task(channel.unary("/t.T/Sleep", b"")) for _ in range(5)]
        await until(lambda: service.running == 4)
        assert server.connections == 2
        service.release.set()
        await asyncio.wait(calls)
        assert len(service.calls) == 6
        await channel.close()
        await server.close()

    run(main())


def test_call_waits_no_longer_than_its_deadline_for_a_stream(tmp_path: Path) -> None:
    async def main() -> None:
        service = Service()
        async with ends(tmp_path, service, limits=Limits(max_streams=1)) as (_, channel):
            await channel.unary("/t.T/Echo", b"")
            async with channel.call("/t.T/Sleep"):
                with pytest.raises(RpcError) as caught:
                    await channel.unary("/t.T/Echo", b"", timeout=0.05)
                assert caught.value.code is Code.DEADLINE_EXCEEDED

    run(main())


def test_server_drops_the_connection_that_was_idle_longest(tmp_path: Path) -> None:
    async def main() -> None:
        path = str(tmp_path / "s")
        service = Service()
        server = await serve(service, path=path, limits=Limits(max_connections=2))
        first, second, third = (Channel(f"unix:{path}") for _ in range(3))
        await first.unary("/t.T/Echo", b"")
        await second.unary("/t.T/Echo", b"")
        await third.unary("/t.T/Echo", b"")
        assert server.connections == 2
        assert await first.unary("/t.T/Echo", b"again") == b"again"
        for channel in (first, second, third):
            await channel.close()
        await server.close()

    run(main())


def test_silent_stranger_is_dropped(tmp_path: Path) -> None:
    async def main() -> None:
        path = str(tmp_path / "s")
        server = await serve(Service(), path=path, limits=Limits(handshake_timeout=0.05))
        reader, writer = await asyncio.open_unix_connection(path)
        greeting = await reader.read(1 << 16)
        assert greeting
        assert await reader.read() == b""
        writer.close()
        await until(lambda: server.connections == 0)
        await server.close()

    run(main())


def test_stranger_without_http2_is_told_and_dropped(tmp_path: Path) -> None:
    async def main() -> None:
        path = str(tmp_path / "s")
        server = await serve(Service(), path=path)
        reader, writer = await asyncio.open_unix_connection(path)
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        answer = await reader.read()
        assert answer.endswith(b"not HTTP/2")
        writer.close()
        await server.close()

    run(main())


def test_peer_on_a_unix_socket(tmp_path: Path) -> None:
    async def main() -> None:
        peers = []

        async def handler(call: ServerCall) -> None:
            peers.append((call.peer.pid, call.peer.uid, call.peer.address, call.peer.certificate, call.peer.chain))

        async with ends(tmp_path, handler) as (_, channel), channel.call("/t.T/X") as call:
            assert await call.recv() is None
        assert peers == [(os.getpid(), os.getuid(), f"unix:pid={os.getpid()}", None, ())]

    run(main())


def test_listening_on_a_socket_that_is_bound_already() -> None:
    async def main() -> None:
        listener = socket.socket()
        listener.bind(("127.0.0.1", 0))
        server = await serve(Service(), sock=listener)
        host, port = server.addresses[0][:2]  # type: ignore[index]
        async with Channel(f"{host}:{port}") as channel:
            assert await channel.unary("/t.T/Echo", b"x") == b"x"
        await server.close()

    run(main())


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]"])
def test_all_addresses(host: str) -> None:
    async def main() -> None:
        addresses = []

        async def handler(call: ServerCall) -> None:
            addresses.append(call.peer.address)

        server = await serve(handler)
        port = server.addresses[0][1]  # type: ignore[index]
        async with Channel(f"{host}:{port}") as channel, channel.call("/t.T/X") as call:
            assert await call.recv() is None
        await server.close()
        assert addresses[0].rpartition(":")[0] in ("127.0.0.1", "[::1]")

    run(main())


@pytest.mark.parametrize(
    ("address", "parts"),
    [
        ("unix:/run/x.sock", ("/run/x.sock", "", 0)),
        ("unix:///run/x.sock", ("/run/x.sock", "", 0)),
        ("10.0.0.1:50000", ("", "10.0.0.1", 50000)),
        ("[fd00::1]:50000", ("", "fd00::1", 50000)),
        ("node.example:1", ("", "node.example", 1)),
    ],
)
def test_addresses(address: str, parts: tuple[str, str, int]) -> None:
    assert split_address(address) == parts


@pytest.mark.parametrize("address", ["", "host", ":1", "host:", "host:x", "host:70000", "fd00::1:50000", "[]:1"])
def test_other_addresses_are_refused(address: str) -> None:
    with pytest.raises(ValueError, match="host:port"):
        split_address(address)


def test_calls_that_wind_up_count_as_calls(tmp_path: Path) -> None:
    """The rapid-reset attack: each call is cancelled at once, and its handler takes its time to end."""

    async def main() -> None:
        release = asyncio.Event()
        running = 0

        async def handler(call: ServerCall) -> None:
            nonlocal running
            running += 1
            try:
                await asyncio.sleep(60)
            finally:
                await release.wait()
                running -= 1

        async with ends(tmp_path, handler, limits=Limits(max_streams=5)) as (_, channel):
            refused = 0
            for _ in range(20):
                call, before = await channel.start("/t.T/X", []), running
                await until(lambda: call.unprocessed or running > before)  # noqa: B023 (asked before the next round)
                refused += call.unprocessed
                call.cancel()
            assert running <= 6
            assert refused >= 14
            release.set()
            await until(lambda: running == 0)

    run(main())


async def refuse(times: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A server that refuses so many streams before it answers one."""
    side = ServerSide()
    while data := await reader.read(65536):
        side.connection.receive(data)
        for stream_id, stream in side.streams.items():
            if stream_id <= 2 * times:
                side.connection.reset(stream, ErrorCode.REFUSED_STREAM)
            elif side.calls[stream_id].ended:
                side.connection.send_headers(stream, RESPONSE)
                side.connection.send_data(stream, bytes(side.calls[stream_id].data))
                side.connection.send_headers(stream, TRAILERS, end=True)
        writer.write(output(side.connection))
    writer.close()


def test_unary_call_that_the_server_refused_is_made_once_more(tmp_path: Path) -> None:
    async def main() -> None:
        for times in (1, 2):
            path = str(tmp_path / f"s{times}")
            server = await asyncio.start_unix_server(functools.partial(refuse, times), path)
            async with Channel(f"unix:{path}") as channel:
                if times == 1:
                    assert await channel.unary("/t.T/Echo", b"x") == b"x"
                else:
                    with pytest.raises(RpcError) as caught:
                        await channel.unary("/t.T/Echo", b"x")
                    assert caught.value.code is Code.UNAVAILABLE
            server.close()

    run(main())


def test_slow_reader_learns_of_the_deadline_without_reading(tmp_path: Path) -> None:
    async def main() -> None:
        async with ends(tmp_path, Service()) as (_, channel):
            call = await channel.start("/t.T/Flood", [(b"grpc-timeout", b"100m")])
            await call.send(b"1000", end=True)
            await until(lambda: call.trailer_fields is not None)
            call.cancel()

    run(main())
