"""A `Connection` on an asyncio transport: reads, writes, back-pressure and the end.

Both ends share this class. Reading goes through one buffer per server or channel instead of one per connection: asyncio
asks for it, fills it and hands it over within one call, and the connection copies out what it keeps. Writing happens
once per turn of the event loop, with everything that collected. When the transport says stop, output stays in the
connection, where flow control and fairness apply.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import Any

from dozen.rpc.connection import Accept, Connection
from dozen.rpc.frames import ConnectionFault, ErrorCode
from dozen.rpc.limits import Limits

READ_SIZE = 64 * 1024
# One TLS record at its largest (RFC 8446, 5.2: 2^14 + 256 bytes and a head of 5) and some room.
_TLS_BUFFER = 17 * 1024
# The transport asks us to stop at this many unsent bytes, and to go on at a quarter of it.
_HIGH_WATER = 64 * 1024
# How long a closing connection may take to hand over its last bytes.
_LINGER = 5.0
# A peer that vanished without a word is noticed after about 20 + 3 * 5 seconds by the kernel's own probes, and data
# that nobody acknowledges after 30: HTTP/2 pings would do the same at a price, and gRPC servers punish frequent ones.
_KEEP_IDLE, _KEEP_INTERVAL, _KEEP_COUNT, _USER_TIMEOUT_MS = 20, 5, 3, 30_000


def save_tls_memory() -> None:
    """To be called before the first connection over TLS is made.

    asyncio sets aside 256 KiB for each unless told, and there is no other way to tell it. An idle connection costs
    52 KB instead of 312 so, and a stream is no slower.
    """
    from asyncio import sslproto

    sslproto.SSLProtocol.max_size = _TLS_BUFFER


class Wire(asyncio.BufferedProtocol):
    """``on_end`` is called once, when the transport is gone."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        buffer: bytearray,
        limits: Limits,
        accept: Accept | None = None,
        on_end: Callable[[Wire], None] | None = None,
    ) -> None:
        self.loop = loop
        self.transport: asyncio.Transport | None = None
        # The ssl.SSLObject of a connection over TLS. Kept, because a transport that is being lost cannot be asked any
        # more: asyncio may have taken it apart by then, and answers with an AttributeError.
        self.tls: Any = None
        self.connection = Connection(limits=limits, on_output=self._schedule, clock=loop.time, accept=accept)
        self._view = memoryview(buffer)
        self._on_end = on_end
        self._closing = False
        self._scheduled = False
        self._linger: asyncio.TimerHandle | None = None

    # asyncio's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.tls = transport.get_extra_info("ssl_object")
        transport.set_write_buffer_limits(high=_HIGH_WATER)
        tune_socket(transport.get_extra_info("socket"))
        self.connection.start()

    def get_buffer(self, sizehint: int) -> memoryview:
        # asyncio's TLS fills a slice of it, and a slice of a bytearray is a copy that nobody would ever see.
        return self._view

    def buffer_updated(self, nbytes: int) -> None:
        connection = self.connection
        # What this makes ready runs before a flush that is scheduled behind it, so one write carries all answers.
        self._scheduled = True
        connection.receive(self._view[:nbytes].tobytes())
        self.loop.call_soon(self.flush)
        if connection.fault is not None:
            self.close()
        else:
            self.after_receive()

    def after_receive(self) -> None:
        """For a subclass that waits for what a peer may have changed."""

    def eof_received(self) -> bool:
        return False

    def pause_writing(self) -> None:
        self.connection.writable = False

    def resume_writing(self) -> None:
        self.connection.writable = True
        self.flush()

    def connection_lost(self, exc: Exception | None) -> None:
        self._closing = True
        if self._linger is not None:
            self._linger.cancel()
        self.connection.lost(ConnectionFault(ErrorCode.NO_ERROR, self.describe_loss(exc)))
        if self._on_end is not None:
            self._on_end(self)

    # Ours

    def describe_loss(self, exc: Exception | None) -> str:
        """Why the transport went, for those whose calls went with it."""
        return f"connection lost: {exc}" if exc else "connection closed by the peer"

    @property
    def closing(self) -> bool:
        return self._closing

    def flush(self) -> None:
        """Write what has collected, and what gets a turn because of it."""
        connection = self.connection
        transport = self.transport
        # Output that appears from here to the end of this function is its own business.
        self._scheduled = True
        while transport is not None and not self._closing and connection.writable:
            connection.pump()
            data = connection.take()
            if not data:
                break
            transport.write(data)
        self._scheduled = False

    def close(self) -> None:
        """Write what has collected and close; cut off a peer that does not take it."""
        if self._closing or self.transport is None:
            return
        self.transport.write(self.connection.take())
        self._closing = True
        self.connection.lost(ConnectionFault(ErrorCode.NO_ERROR, "connection closed"))
        self.transport.close()
        self._linger = self.loop.call_later(_LINGER, self.transport.abort)

    def abort(self) -> None:
        """Close without another byte."""
        self._closing = True
        if self.transport is not None:
            self.transport.abort()

    def _schedule(self) -> None:
        if not self._scheduled:
            self._scheduled = True
            self.loop.call_soon(self.flush)


def tune_socket(sock: socket.socket | None) -> None:
    """Send small writes at once, and have the kernel notice a TCP peer that vanished."""
    if sock is None or sock.family not in (socket.AF_INET, socket.AF_INET6):
        return
    # asyncio sets this only for sockets that were made with an explicit protocol number, which accepted ones may lack.
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, _KEEP_IDLE)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, _KEEP_INTERVAL)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, _KEEP_COUNT)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _USER_TIMEOUT_MS)
