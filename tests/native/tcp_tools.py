"""A server and an asker on TCP, to be run in a node's network namespace.

``serve ADDRESS PORT NAME``: sends its name to whoever says something, and never ends a connection by itself. ``ask
ADDRESS PORT``: says something and prints what comes; ``hold ADDRESS PORT``: then also waits for the connection's end
and says so.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys


def say(text: str) -> None:
    os.write(1, f"{text}\n".encode())


async def serve(address: str, port: str, name: str) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.read(100):
            writer.write(name.encode())
            await writer.drain()
        writer.close()

    await asyncio.start_server(answer, address, int(port))
    say("ready")
    await asyncio.Event().wait()


async def ask(address: str, port: str, hold: bool = False) -> None:
    reader, writer = await asyncio.open_connection(address, int(port))
    writer.write(b"hello")
    say((await asyncio.wait_for(reader.read(100), 10)).decode() or "nothing")
    if hold:
        with contextlib.suppress(ConnectionError):
            await asyncio.wait_for(reader.read(100), 30)
        say("ended")
    writer.close()


if __name__ == "__main__":
    command, *words = sys.argv[1:]
    if command == "serve":
        asyncio.run(serve(*words))
    else:
        asyncio.run(ask(*words, hold=command == "hold"))
