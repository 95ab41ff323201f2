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
        self.connections: set[asyncio.Transport] = set()
        self._failures = 0

    async def connect(self, protocol: Callable[[], _Side]) -> _Side:
        """Raises OSError and TimeoutError, and remembers how it went."""
        began, loop = time.monotonic(), asyncio.get_running_loop()
        try:
            opening = loop.create_connection(protocol, self.place.host, self.place.port)
            _, side = await asyncio.wait_for(opening, PATIENCE)
        except (OSError, TimeoutError):
            self._fail()
            raise
        took = time.monotonic() - began
        self.delay = took if not self.healthy else 0.7 * self.delay + 0.3 * took
        self.healthy, self._failures = True, 0
        return side

    def carrying(self) -> _Side:
        """The protocol for a connection that is somebody's."""
        return _Side(self._leave)

    def _leave(self, side: _Side) -> None:
        if side.transport is not None:
            self.connections.discard(side.transport)

    def _fail(self) -> None:
        self._failures += 1
        if self._failures >= FAILURES or not self.connections:
            self.healthy = False
            self.end()

    def end(self) -> None:
        """End all of its connections."""
        for transport in tuple(self.connections):
            transport.abort()


class _Side(asyncio.Protocol):
    """One end of a connection that is carried. What it hears its peer says, no faster than the peer can."""

    def __init__(self, ended: Callable[[_Side], None] | None = None) -> None:
        self.transport: asyncio.Transport | None = None
        self.peer: asyncio.Transport | None = None
        self._early, self._early_end = bytearray(), False
        self._ended = ended

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def join(self, peer: asyncio.Transport) -> None:
        """Somebody is there to hear it: first of all what it said before, which pausing does not quite prevent."""
        self.peer = peer
        if self._early:
            peer.write(bytes(self._early))
            self._early.clear()
        if self._early_end:
            self.eof_received()

    def data_received(self, data: bytes) -> None:
        if self.peer is not None:
            self.peer.write(data)
        else:
            self._early += data

    def eof_received(self) -> bool:
        """What the other side still has to say is for this one even so."""
        if self.peer is None:
            self._early_end = True
        elif self.peer.can_write_eof():
            self.peer.write_eof()
        return True

    def pause_writing(self) -> None:
        if self.peer is not None:
            self.peer.pause_reading()

    def resume_writing(self) -> None:
        if self.peer is not None:
            self.peer.resume_reading()

    def connection_lost(self, error: Exception | None) -> None:
        if self.peer is not None:
            self.peer.close()  # when all that it was told has gone out
        if self._ended is not None:
            self._ended(self)


class Balancer:
    """Targets, and the clients that are carried to them. ``changed`` is told when a look at them changed something."""

    def __init__(self, changed: Callable[[], None], choose: Callable[[], float] = random_fraction) -> None:
        self.targets: tuple[Target, ...] = ()
        self._changed = changed
        self._choose = choose
        self._clients: set[_Side] = set()
        self._carrying: set[asyncio.Task[None]] = set()
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
            if not self.healthy:
                # Clients that come meanwhile are sent away: trying for each of them would find out nothing else.
                await asyncio.sleep(SOON)
                continue
            pause = PERIOD if all(each.healthy for each in self.targets) else SOON
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._look.wait(), pause)

    def accept(self) -> _Side:
        """The protocol for a client."""
        return _Client(self)

    def carry(self, client: _Side) -> None:
        """A client has come."""
        assert client.transport is not None
        if len(self._clients) >= CONNECTIONS or not self.healthy:
            client.transport.abort()
            return
        self._clients.add(client)
        client.transport.pause_reading()
        task = asyncio.ensure_future(self._carry(client, client.transport))
        self._carrying.add(task)
        task.add_done_callback(self._carrying.discard)

    def forget(self, client: _Side) -> None:
        self._clients.discard(client)

    async def _carry(self, client: _Side, near: asyncio.Transport) -> None:
        for target in self.order():
            try:
                side = await target.connect(target.carrying)
            except (OSError, TimeoutError):
                self._look.set()
                continue
            far = side.transport
            assert far is not None
            if near.is_closing() or far.is_closing():
                far.abort()
                break
            _keep_alive(far)
            target.connections.add(far)
            client.join(far)
            side.join(near)
            near.resume_reading()
            return
        near.abort()

    async def _probe(self, target: Target) -> None:
        was = target.healthy
        try:
            side = await target.connect(_Side)
            if side.transport is not None:
                side.transport.abort()
        except (OSError, TimeoutError) as error:
            if was and not target.healthy:
                log.warning("server=%s is away: %s", target.place, error or "no answer")
        else:
            if not was:
                log.info("server=%s answers", target.place)


class _Client(_Side):
    """The end that came to us."""

    def __init__(self, balancer: Balancer) -> None:
        super().__init__(balancer.forget)
        self._balancer = balancer

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._balancer.carry(self)


def _keep_alive(transport: asyncio.Transport) -> None:
    connection = transport.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in _KEEPALIVE:
        connection.setsockopt(socket.IPPROTO_TCP, option, value)
