"""Keeps a connection to a receiver and sends it what is in an outbox, for as long as it takes.

A receiver that is away is tried again after a growing pause. At the end of the node, or when the receiver is no longer
wanted, what is left is sent within a bound.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from typing import Any, Protocol
from urllib.parse import urlsplit

from dozen.engine.backoff import delay_after
from dozen.node.sending.outbox import Outbox

# For a connection, and for a receiver to take something, seconds.
CONNECT, TAKE = 10.0, 30.0
# For what is left at the end, seconds.
FAREWELL = 2.0
# The largest message over UDP: what a datagram holds (RFC 768), less the headers.
DATAGRAM = 65507

log = logging.getLogger("dozen.sending")


class Line(Protocol):
    """A way to a receiver. All raise OSError and TimeoutError."""

    async def send(self, message: bytes) -> None: ...
    async def close(self) -> None: ...


class TcpLine:
    """Messages as lines of a connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writer = writer
        # Receivers send nothing; that the connection has ended is heard this way only.
        self._ended = asyncio.ensure_future(reader.read(1))

    @classmethod
    async def open(cls, host: str, port: int) -> TcpLine:
        return cls(*await asyncio.wait_for(asyncio.open_connection(host, port), CONNECT))

    async def send(self, message: bytes) -> None:
        if self._ended.done():
            self._ended.exception()
            raise ConnectionResetError("the receiver hung up")
        self._writer.write(message + b"\n")
        await asyncio.wait_for(self._writer.drain(), TAKE)

    async def close(self) -> None:
        self._ended.cancel()
        self._writer.close()
        with contextlib.suppress(ConnectionError):
            await asyncio.wait_for(self._writer.wait_closed(), FAREWELL)


class UdpLine(asyncio.DatagramProtocol):
    """A message is a datagram. Whether it arrives nobody knows."""

    def __init__(self) -> None:
        self._transport: asyncio.DatagramTransport | None = None

    @classmethod
    async def open(cls, host: str, port: int) -> UdpLine:
        loop = asyncio.get_running_loop()
        made = loop.create_datagram_endpoint(cls, remote_addr=(host, port))
        _, line = await asyncio.wait_for(made, CONNECT)
        return line

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    async def send(self, message: bytes) -> None:
        assert self._transport is not None
        self._transport.sendto(message[:DATAGRAM])
        # So that others have their turn between the datagrams of a long backlog.
        await asyncio.sleep(0)

    async def close(self) -> None:
        if self._transport is not None:
            self._transport.close()


OpenLine = Callable[[], Any]
"""Gives an awaitable of a `Line`."""


def line_to(url: str) -> OpenLine:
    """How a receiver of log lines is reached: ``tcp://host:port`` or ``udp://host:port``."""
    parts = urlsplit(url)
    kind = UdpLine if parts.scheme == "udp" else TcpLine
    return lambda: kind.open(parts.hostname or "", parts.port or 0)


class Sender:
    """One receiver, called ``name`` for people."""

    def __init__(self, name: str, outbox: Outbox, open_line: OpenLine) -> None:
        self._name = name
        self._outbox = outbox
        self._open = open_line

    async def run(self) -> None:
        """Until cancelled; then what is left is sent within `FAREWELL` seconds."""
        line: Line | None = None
        failures = 0
        try:
            while True:
                await self._outbox.wait()
                try:
                    if line is None:
                        line = await self._open()
                        log.info("receiver=%s connected", self._name)
                    await self._send_all(line)
                    failures = 0
                except (OSError, TimeoutError) as error:
                    failures += 1
                    if failures == 1:
                        log.warning("receiver=%s error=%s", self._name, error or "it takes nothing")
                    if line is not None:
                        with contextlib.suppress(OSError, TimeoutError):
                            await line.close()
                    line = None
                    await asyncio.sleep(delay_after(failures))
        except asyncio.CancelledError:
            await self._say_farewell(line)
            raise

    async def _send_all(self, line: Line) -> None:
        while (message := self._outbox.take()) is not None:
            try:
                await line.send(message)
            except BaseException:
                self._outbox.put_back(message)
                raise
        if self._outbox.lost:
            log.warning("receiver=%s lost=%d messages: it was away for too long", self._name, self._outbox.lost)
            self._outbox.lost = 0

    async def _say_farewell(self, line: Line | None) -> None:
        try:
            async with asyncio.timeout(FAREWELL):
                if line is None and len(self._outbox):
                    line = await self._open()
                if line is not None:
                    await self._send_all(line)
                    await line.close()
        except (OSError, TimeoutError):
            log.warning("receiver=%s left=%d messages unsent", self._name, len(self._outbox))
