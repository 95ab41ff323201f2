"""A client's connection: reads, writes, and keeps callers in line while the server allows no more streams."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

from dozen.rpc.limits import Limits
from dozen.rpc.wire import Wire


class ClientWire(Wire):
    """Wakes those who wait for a free stream when the peer may have freed one."""

    def __init__(self, buffer: bytearray, limits: Limits, on_end: Callable[[Wire], None]) -> None:
        super().__init__(asyncio.get_running_loop(), buffer, limits, on_end=on_end)
        self.waiters: deque[asyncio.Future[None]] = deque()
        self._heard = False

    def after_receive(self) -> None:
        connection = self.connection
        if connection.settled and not self._heard:
            # Now that it is known how many streams there may be, some will want another connection.
            self._heard = True
            self.wake_all()
        # As many as there is room for; whoever finds none after all waits again.
        free = connection.peer_max_streams - len(connection.streams) if connection.usable else len(self.waiters)
        while self.waiters and free > 0:
            waiter = self.waiters.popleft()
            if not waiter.done():
                waiter.set_result(None)
                free -= 1
        if not connection.usable and not connection.streams:
            self.wake_all()
            self.close()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self.wake_all()

    def describe_loss(self, exc: Exception | None) -> str:
        reason = super().describe_loss(exc)
        if self.connection.settled or self.transport is None:
            return reason
        # In TLS 1.3 a client takes the handshake for done before the server has looked at the client's certificate.
        return f"{reason} before it said anything" + (", perhaps for our certificate" if self.tls is not None else "")

    def wake_all(self) -> None:
        for waiter in self.waiters:
            if not waiter.done():
                waiter.set_result(None)
        self.waiters.clear()

    async def free_stream(self, *, patient: bool = True) -> bool:
        """Wait until a stream may be opened; False when this connection takes none any more, or, without patience, as
        many as its server wants.
        """
        connection = self.connection
        while connection.usable and not self.closing:
            if connection.can_open:
                return True
            if connection.settled and not patient:
                return False
            waiter = self.loop.create_future()
            self.waiters.append(waiter)
            await waiter
        return False
