"""Chooses an API server for each connection and carries bytes both ways.

TLS is between the client and the API server: nothing is read here. A server is healthy when it accepts connections; the
nearest one, by how long that takes, is chosen, and who takes about as long shares with it. When a server stops
answering, its connections are ended, so that clients come back and reach another one: a client of a server that is gone
without a word would wait for minutes.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import time
from collections.abc import Callable, Iterable
from typing import NamedTuple

from dozen.engine.backoff import random_fraction

# Each connection may hold two buffers of this many bytes.
CHUNK = 64 * 1024
CONNECTIONS = 512
# For a server to accept a connection, and between looks at those that do and those that do not, seconds.
PATIENCE, PERIOD, SOON = 3.0, 10.0, 2.0
# Servers that take this much longer than the nearest one (factor, and seconds) are chosen as well.
SIMILAR, CLOSE = 2.0, 0.005
# A server is given up when it fails so often in a row.
FAILURES = 2
# TCP's own probes of a silent peer (tcp(7)): after so many seconds, so often, until it counts as gone.
_KEEPALIVE = ((socket.TCP_KEEPIDLE, 30), (socket.TCP_KEEPINTVL, 10), (socket.TCP_KEEPCNT, 3))

log = logging.getLogger("dozen.kubeprism")


class Place(NamedTuple):
    """Where a server listens."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class Target:
    """An API server: whether it answers, how long that takes (seconds), and its connections."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.healthy = False
        self.delay = 0.0
        self.connections: set[asyncio.StreamWriter] = set()
        self._failures = 0

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Raises OSError and TimeoutError, and remembers how it went."""
        began = time.monotonic()
        try:
            opening = asyncio.open_connection(self.place.host, self.place.port, limit=CHUNK)
            reader, writer = await asyncio.wait_for(opening, PATIENCE)
        except (OSError, TimeoutError):
            self._fail()
            raise
        took = time.monotonic() - began
        self.delay = took if not self.healthy else 0.7 * self.delay + 0.3 * took
        self.healthy, self._failures = True, 0
        return reader, writer

    def _fail(self) -> None:
        self._failures += 1
        if self._failures >= FAILURES or not self.connections:
            self.healthy = False
            self.end()

    def end(self) -> None:
        """End all of its connections."""
        for writer in tuple(self.connections):
            writer.transport.abort()


class Balancer:
    """Targets, and the clients that are carried to them. ``changed`` is told when a look at them changed something."""

    def __init__(self, changed: Callable[[], None], choose: Callable[[], float] = random_fraction) -> None:
        self.targets: tuple[Target, ...] = ()
        self._changed = changed
        self._choose = choose
        self._clients = 0
        self._look = asyncio.Event()

    @property
    def healthy(self) -> bool:
        return any(each.healthy for each in self.targets)

    def use(self, places: Iterable[Place]) -> None:
        """These from now on; connections to others are ended."""
        known = {each.place: each for each in self.targets}
        wanted = list(dict.fromkeys(places))
        self.targets = tuple(known.get(place) or Target(place) for place in wanted)
        for place in known.keys() - set(wanted):
            known[place].end()
        self._look.set()

    def order(self) -> list[Target]:
        """The targets in the order in which to try them: healthy before others, near before far, similar by chance."""
        near = min((each.delay for each in self.targets if each.healthy), default=0.0)
        limit = max(near * SIMILAR, near + CLOSE)
        ranks = {each: (not each.healthy, each.delay > limit, self._choose()) for each in self.targets}
        return sorted(self.targets, key=ranks.__getitem__)

    async def look_after(self) -> None:
        """Never returns: looks at each target now and then."""
        while True:
            self._look.clear()
            before = self.healthy
            await asyncio.gather(*(self._probe(each) for each in self.targets))
            if self.healthy != before:
                self._changed()
            pause = PERIOD if all(each.healthy for each in self.targets) else SOON
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._look.wait(), pause)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One client, until one side has ended."""
        if self._clients >= CONNECTIONS:
            writer.transport.abort()
            return
        self._clients += 1
        try:
            await self._carry(reader, writer)
        finally:
            self._clients -= 1
            writer.transport.abort()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        found = await self._connect()
        if found is None:
            log.warning("no API server accepts connections: %s", ", ".join(str(each.place) for each in self.targets))
            return
        target, far_reader, far_writer = found
        _keep_alive(far_writer)
        target.connections.add(far_writer)
        ways = [asyncio.ensure_future(_pump(reader, far_writer)), asyncio.ensure_future(_pump(far_reader, writer))]
        try:
            # What the server sends is for the client even after the client has said its last.
            await ways[1]
        finally:
            for way in ways:
                way.cancel()
            target.connections.discard(far_writer)
            with contextlib.suppress(OSError):
                await asyncio.wait_for(_flush(writer), PATIENCE)
            far_writer.transport.abort()

    async def _connect(self) -> tuple[Target, asyncio.StreamReader, asyncio.StreamWriter] | None:
        for target in self.order():
            try:
                reader, writer = await target.connect()
            except (OSError, TimeoutError):
                self._look.set()
                continue
            return target, reader, writer
        return None

    async def _probe(self, target: Target) -> None:
        was = target.healthy
        try:
            _, writer = await target.connect()
            writer.transport.abort()
        except (OSError, TimeoutError) as error:
            if was and not target.healthy:
                log.warning("server=%s is away: %s", target.place, error or "no answer")
        else:
            if not was:
                log.info("server=%s answers", target.place)


async def _flush(writer: asyncio.StreamWriter) -> None:
    writer.close()
    await writer.wait_closed()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Carry one way until it ends, no faster than the other end takes it."""
    with contextlib.suppress(OSError):
        while data := await reader.read(CHUNK):
            writer.write(data)
            await writer.drain()
        if writer.can_write_eof():
            writer.write_eof()


def _keep_alive(writer: asyncio.StreamWriter) -> None:
    connection = writer.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in _KEEPALIVE:
        connection.setsockopt(socket.IPPROTO_TCP, option, value)
