"""What has come in on one call and waits to be read: gRPC messages, or the bare bytes for who only passes them on.

On the wire a message is a flag byte (compressed or not), four bytes of length and the body; messages and DATA frames
do not respect each other's borders. Credit is given when a reader takes something. Only while a reader waits for the
rest of a message is credit given for what has come of it, or a message larger than the window would never be complete;
so one call holds at most its window, or one message.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from dozen.rpc.status import Code, RpcError

PREFIX = 5


def frame_message(message: bytes) -> bytes:
    """A message as it goes on the wire, not compressed."""
    return b"\0" + len(message).to_bytes(4, "big") + message


class Inbox:
    """One reader at a time. ``credit(n)`` tells the connection that ``n`` bytes were used."""

    __slots__ = ("_buffer", "_credit", "_credited", "_ended", "_error", "_first", "_loop", "_max_message", "_waiter")

    def __init__(self, loop: asyncio.AbstractEventLoop, max_message: int, credit: Callable[[int], None]) -> None:
        self._loop = loop
        self._max_message = max_message
        self._credit = credit
        # The usual call has one chunk with one message in it; the buffer is for the rest.
        self._first = b""
        self._buffer: bytearray | None = None
        self._credited = 0
        self._ended = False
        self._error: RpcError | None = None
        self._waiter: asyncio.Future[None] | None = None

    @property
    def complete(self) -> bool:
        """Nothing more will come."""
        return self._ended

    @property
    def waiting(self) -> int:
        """Bytes that nobody has read."""
        return len(self._first) + (len(self._buffer) if self._buffer else 0)

    def feed(self, data: bytes, end: bool) -> None:
        if data:
            if not self._first and not self._buffer:
                self._first = data
            else:
                if self._buffer is None:
                    self._buffer = bytearray()
                if self._first:
                    self._buffer += self._first
                    self._first = b""
                self._buffer += data
        if end:
            self._ended = True
        self._wake()

    def end(self, error: RpcError | None = None) -> None:
        """Nothing follows; ``error`` is raised to the reader behind whatever came before."""
        self._ended = True
        if self._error is None:
            self._error = error
        self._wake()

    def fail(self, error: RpcError) -> None:
        """Nothing follows, and what came before does not count."""
        self._first = b""
        self._buffer = None
        self.end(error)

    async def read_message(self) -> bytes | None:
        """The next message; None at the end. RpcError for a broken one and for the call's own."""
        while True:
            message = self._next_message()
            if message is not None:
                return message
            if self._ended:
                if self._error is not None:
                    raise self._error
                if self.waiting:
                    raise RpcError(Code.INTERNAL, "the stream ended inside a message")
                return None
            waiting = self.waiting
            if waiting > self._credited:
                self._credit(waiting - self._credited)
                self._credited = waiting
            await self._wait()

    async def read_chunk(self) -> bytes | None:
        """All bytes that have come, whatever they are; None at the end. Credit is up to the reader, by `settle`."""
        while True:
            chunk = self.take_chunk()
            if chunk:
                return chunk
            if self._ended:
                if self._error is not None:
                    raise self._error
                return None
            await self._wait()

    def take_chunk(self) -> bytes:
        """`read_chunk` without waiting; empty when nothing has come."""
        chunk = self._first
        if chunk:
            self._first = b""
        elif self._buffer:
            chunk = bytes(self._buffer)
            self._buffer = None
        return chunk

    def _next_message(self) -> bytes | None:
        source: bytes | bytearray | None = self._first or self._buffer
        if not source or len(source) < PREFIX:
            return None
        if source[0] != 0:
            raise RpcError(Code.UNIMPLEMENTED, "compressed messages are not supported")
        size = int.from_bytes(source[1:PREFIX], "big")
        if size > self._max_message:
            raise RpcError(Code.RESOURCE_EXHAUSTED, f"message of {size} bytes, {self._max_message} allowed")
        end = PREFIX + size
        if len(source) < end:
            return None
        if isinstance(source, bytes):
            message = source[PREFIX:end]
            self._first = source[end:]
            if self._first:
                # Several messages in one chunk: cutting a bytearray's front is cheap, cutting bytes is not.
                self._buffer = bytearray(self._first)
                self._first = b""
        else:
            message = bytes(memoryview(source)[PREFIX:end])
            del source[:end]
        self.settle(end)
        return message

    def settle(self, size: int) -> None:
        """Credit ``size`` bytes that were taken and used, less what was credited while they were waited for."""
        early = min(size, self._credited)
        self._credited -= early
        if size > early:
            self._credit(size - early)

    async def _wait(self) -> None:
        waiter = self._waiter = self._loop.create_future()
        try:
            await waiter
        finally:
            self._waiter = None

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
