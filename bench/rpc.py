"""How fast is the API's transport? Prints JSON.

Natively, both ends Python, the server (and the proxy) in processes of their own, all clients in this one. For a Unix
socket, for mutual TLS, and for the way of a real call (mutual TLS to a proxy, Unix socket to the server): unary calls a
second with their median and 99th percentile for 1, 16 and 128 clients with a connection each, and MB/s of a stream.

    PYTHONPATH=src python -m bench.rpc [--seconds 2]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import signal
import ssl
import sys
import tempfile
import time
from collections.abc import Callable, Coroutine
from typing import Any

from dozen.machinery import pki
from dozen.rpc.client import Channel
from dozen.rpc.proxy import forward, forwarded_fields
from dozen.rpc.server import ServerCall, serve
from dozen.rpc.tls import client_context, server_context

CLIENTS = (1, 16, 128)
REQUEST = bytes(100)
CHUNK = bytes(64 * 1024)
CHUNKS = 4096


async def answer(call: ServerCall) -> None:
    """Echo one message, or stream chunks."""
    message = await call.recv()
    if call.path == "/bench.Bench/Echo":
        await call.send(message or b"")
        return
    for _ in range(CHUNKS):
        await call.send(CHUNK)


def start_process(main: Callable[[], Coroutine[Any, Any, None]]) -> int:
    """Run ``main`` in a child; returns its pid when it is ready to serve, which it says by a byte in a pipe."""
    ready, say = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(ready)

        async def serve_until_killed() -> None:
            await main()
            os.write(say, b"1")
            await asyncio.Event().wait()

        try:
            asyncio.run(serve_until_killed())
        finally:
            os._exit(1)
    os.close(say)
    os.read(ready, 1)
    os.close(ready)
    return pid


class Place:
    """One way to a server: its address and how to be let in."""

    def __init__(self, address: str, tls: ssl.SSLContext | None = None) -> None:
        self.address = address
        self.tls = tls

    def channel(self) -> Channel:
        return Channel(self.address, tls=self.tls)


async def measure_unary(place: Place, clients: int, seconds: float) -> dict[str, float]:
    channels = [place.channel() for _ in range(clients)]
    await asyncio.gather(*(channel.unary("/bench.Bench/Echo", REQUEST) for channel in channels))
    times: list[float] = []
    end = time.perf_counter() + seconds

    async def call_on(channel: Channel) -> None:
        while (begun := time.perf_counter()) < end:
            await channel.unary("/bench.Bench/Echo", REQUEST)
            times.append(time.perf_counter() - begun)

    begun = time.perf_counter()
    await asyncio.gather(*(call_on(channel) for channel in channels))
    took = time.perf_counter() - begun
    for channel in channels:
        await channel.close()
    times.sort()
    return {
        "calls_per_second": round(len(times) / took),
        "p50_ms": round(times[len(times) // 2] * 1e3, 3),
        "p99_ms": round(times[len(times) * 99 // 100] * 1e3, 3),
    }


async def measure_stream(place: Place) -> float:
    """MB/s of one stream of 64 KiB messages."""
    async with place.channel() as channel:
        begun = time.perf_counter()
        received = 0
        async for message in channel.server_stream("/bench.Bench/Stream", b""):
            received += len(message)
        return round(received / (time.perf_counter() - begun) / 1e6, 1)


async def measure(place: Place, seconds: float) -> dict[str, Any]:
    unary = {str(clients): await measure_unary(place, clients, seconds) for clients in CLIENTS}
    return {"unary": unary, "stream_mb_per_second": await measure_stream(place)}


def build_places(directory: str, children: list[int]) -> dict[str, Place]:
    """Start a server and a proxy; the places to measure."""
    ca = pki.new_ca()
    pair = pki.server_certificate(ca, ["127.0.0.1"])
    client = pki.client_certificate(ca, ["os:admin"])
    server_tls = server_context(pair.crt.encode(), pair.key.encode(), ca.crt.encode())
    client_tls = client_context(ca.crt.encode(), client.crt.encode(), client.key.encode())
    path = f"{directory}/server.sock"
    # Bound before the fork, so that the parent knows the ports.
    sockets = [_bind() for _ in range(2)]
    ports = [sock.getsockname()[1] for sock in sockets]

    async def serve_server() -> None:
        await serve(answer, path=path)
        await serve(answer, sock=sockets[0], tls=server_tls)

    async def serve_proxy() -> None:
        inner = Channel(f"unix:{path}", max_connections=16)
        await serve(lambda call: forward(call, inner, forwarded_fields(call)), sock=sockets[1], tls=server_tls)

    children += [start_process(serve_server), start_process(serve_proxy)]
    return {
        "unix": Place(f"unix:{path}"),
        "tls": Place(f"127.0.0.1:{ports[0]}", client_tls),
        "tls_proxy_unix": Place(f"127.0.0.1:{ports[1]}", client_tls),
    }


def _bind() -> Any:
    import socket

    sock = socket.socket()
    sock.bind(("127.0.0.1", 0))
    return sock


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=2.0, help="how long each number of clients is measured")
    seconds = parser.parse_args().seconds
    children: list[int] = []
    with tempfile.TemporaryDirectory() as directory:
        try:
            places = build_places(directory, children)
            results = {name: asyncio.run(measure(place, seconds)) for name, place in places.items()}
        finally:
            for pid in children:
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
    about = {"python": platform.python_version(), "processors": os.cpu_count(), "machine": platform.machine()}
    sys.stdout.write(json.dumps({"rpc": results, "about": about}, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
