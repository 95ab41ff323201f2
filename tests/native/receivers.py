"""Receivers of logs and events, to be run in a node's network namespace: each prints what it gets, one for each line.

``tcp ADDRESS PORT``, ``udp ADDRESS PORT``: log lines. ``events ADDRESS PORT``: the types of events, over gRPC.
"""

from __future__ import annotations

import asyncio
import os
import sys
from typing import Any

from dozen.rpc.router import Router
from dozen.rpc.server import serve
from dozen.rpc.servercall import ServerCall


def say(text: bytes) -> None:
    os.write(1, text.rstrip(b"\n") + b"\n")


async def tcp(address: str, port: int) -> None:
    async def read(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            say(line)
        writer.close()

    await asyncio.start_server(read, address, port)


async def udp(address: str, port: int) -> None:
    class Reader(asyncio.DatagramProtocol):
        def datagram_received(self, data: bytes, sender: Any) -> None:
            say(data)

    await asyncio.get_running_loop().create_datagram_endpoint(Reader, (address, port))


async def events(address: str, port: int) -> None:
    async def publish(call: ServerCall) -> None:
        request = await call.recv() or b""
        # Field 1, an Any, begins with its own field 1: the type.
        at = request.index(b"talos/runtime/")
        say(request[at : at + request[at - 1]])
        await call.send(b"")

    router = Router()
    router.bidi("/events.EventSinkService/Publish", publish)
    await serve(router, host=address, port=port)


async def main(kind: str, address: str, port: str) -> None:
    await {"tcp": tcp, "udp": udp, "events": events}[kind](address, int(port))
    say(b"ready")
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
