"""Carries connections into another network namespace; run as a program inside it by the native lane.

    python -m dozen.provider.relay LISTENER ALIVE PID PORT

A socket belongs to the namespace it was made in. So the caller opens a listening socket on its own loopback and hands
it over as the descriptor LISTENER; this program, started within the node's namespace, accepts on it and connects on
to PORT on the loopback there. No interface of the host is touched.

ALIVE is a pipe whose other end the caller holds. When it ends, the caller is gone, by whatever death, and the node
(process PID) is ended too, so that an interrupted test run leaves nothing behind.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import sys

CHUNK = 65536


async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Copies one direction, and passes its end on. Raises OSError when either side breaks."""
    while data := await reader.read(CHUNK):
        writer.write(data)
        await writer.drain()
    writer.write_eof()


async def carry(near_reader: asyncio.StreamReader, near: asyncio.StreamWriter, port: int) -> None:
    """One connection, both directions."""
    try:
        far_reader, far = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        # The node does not listen: the caller learns it as it would from the node's own kernel, by a reset.
        near.transport.abort()
        return
    try:
        async with asyncio.TaskGroup() as both:
            both.create_task(pump(near_reader, far))
            both.create_task(pump(far_reader, near))
    except* OSError:
        # A reset is passed on as one: who waits for an answer of a program that died would wait forever.
        near.transport.abort()
        far.transport.abort()
    for writer in (near, far):
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


async def relay(listener: socket.socket, alive: int, pidfd: int, port: int) -> None:
    """Serves until the caller or the node is gone; in the first case ends the node."""
    loop = asyncio.get_running_loop()
    gone: asyncio.Future[str] = loop.create_future()

    def end(who: str) -> None:
        if not gone.done():
            gone.set_result(who)

    loop.add_reader(alive, end, "caller")
    loop.add_reader(pidfd, end, "node")
    server = await asyncio.start_server(lambda reader, writer: carry(reader, writer, port), sock=listener)
    async with server:
        if await gone == "caller":
            signal.pidfd_send_signal(pidfd, signal.SIGKILL)
    # Connections still open end with this process.
    os._exit(0)


def main(argv: list[str]) -> None:
    listener, alive, pid, port = (int(word) for word in argv)
    asyncio.run(relay(socket.socket(fileno=listener), alive, os.pidfd_open(pid), port))


if __name__ == "__main__":
    main(sys.argv[1:])
