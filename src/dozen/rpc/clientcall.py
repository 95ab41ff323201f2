"""One call as its caller sees it."""

from __future__ import annotations

import asyncio
from functools import partial
from types import TracebackType

from dozen.rpc.frames import ErrorCode
from dozen.rpc.headers import Fields, Pair
from dozen.rpc.inbox import Inbox, frame_message
from dozen.rpc.metadata import Metadata, decode_binary, decode_message
from dozen.rpc.status import Code, RpcError, code_of_http, code_of_reset, code_of_text
from dozen.rpc.streams import Stream
from dozen.rpc.wire import Wire


class ClientCall:
    """An async context manager; leaving it before the end cancels the call at the server.

    `send` and `end` write, `recv` reads. ``trailers`` is there once `recv` has returned None or raised.
    ``unprocessed``: the call failed, and the server promised that it did nothing, so trying again is safe.
    """

    __slots__ = (
        "_broken",
        "_drained",
        "_ended",
        "_error",
        "_head",
        "_head_waiter",
        "_inbox",
        "_last",
        "_over",
        "_stream",
        "_timer",
        "_wire",
        "unprocessed",
    )

    def __init__(self, wire: Wire, block: bytes, max_message: int, deadline: float | None) -> None:
        loop = wire.loop
        self.unprocessed = False
        self._wire = wire
        self._head: Fields | None = None
        self._last: Fields | None = None
        self._head_waiter: asyncio.Future[None] | None = None
        self._drained: asyncio.Future[None] | None = None
        self._broken: asyncio.Future[None] | None = None
        self._error: RpcError | None = None
        self._ended = False
        self._over = False
        self._stream: Stream = wire.connection.open_stream(block, self)
        self._inbox = Inbox(loop, max_message, partial(wire.connection.credit, self._stream))
        self._timer = loop.call_at(deadline, self._expire) if deadline is not None else None

    async def __aenter__(self) -> ClientCall:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.cancel()

    # Writing

    async def send(self, message: bytes, end: bool = False) -> None:
        """One message; with ``end`` the last. Returns when it has left for the transport.

        A call that the server has already ended takes no more messages: then nothing is sent, and `recv` tells why.
        """
        await self.send_chunk(frame_message(message), end)

    async def send_chunk(self, data: bytes, end: bool = False) -> None:
        """Bytes as they are, for those who pass them on."""
        if self._over or self._ended:
            return
        self._ended = end
        if not self._wire.connection.send_data(self._stream, data, end):
            if self._drained is None or self._drained.done():
                self._drained = self._wire.loop.create_future()
            await asyncio.shield(self._drained)

    async def end(self) -> None:
        """No more messages from us."""
        await self.send_chunk(b"", True)

    # Reading

    async def recv(self) -> bytes | None:
        """The server's next message; None when the call ended well. RpcError when it did not."""
        return await self._inbox.read_message()

    async def recv_chunk(self) -> bytes | None:
        """Bytes as they come, to be settled when they have been used; None at the end of a call that went well."""
        return await self._inbox.read_chunk()

    def settle(self, size: int) -> None:
        """So many bytes of chunks have been used."""
        self._inbox.settle(size)

    async def wait_or_break(self, waiting: asyncio.Future[None]) -> None:
        """Wait for something else; RpcError if this call is reset before."""
        if self._error is None:
            self._broken = self._wire.loop.create_future()
            await asyncio.wait((waiting, self._broken), return_when=asyncio.FIRST_COMPLETED)
        if waiting.done():
            waiting.result()
        elif self._error is not None:
            raise self._error

    async def head_fields(self) -> Fields:
        """The response's first header list; RpcError when none came."""
        while self._head is None:
            if self._inbox.complete:
                await self._inbox.read_message()
                raise RpcError(Code.INTERNAL, "the call ended without a response")
            if self._head_waiter is None:
                self._head_waiter = self._wire.loop.create_future()
            await asyncio.shield(self._head_waiter)
        return self._head

    async def initial_metadata(self) -> Metadata:
        """What the server sent in front of its first message."""
        return Metadata((await self.head_fields()).regular)

    @property
    def trailers(self) -> Metadata:
        """What the server sent behind its last message; empty before the end."""
        return Metadata(self._last.regular if self._last is not None else ())

    @property
    def trailer_fields(self) -> list[Pair] | None:
        """The trailers as they came, status and all; None when the call ended without any."""
        return self._last.regular if self._last is not None else None

    @property
    def trailers_only(self) -> bool:
        """The server answered with a status and nothing else."""
        return self._head is not None and self._head is self._last

    def cancel(self) -> None:
        """Tell the server that nobody waits for it any more, unless the call is over."""
        connection = self._wire.connection
        if not self._over:
            self._finish()
            connection.reset(self._stream, ErrorCode.CANCEL)
            self._inbox.fail(RpcError(Code.CANCELLED, "cancelled by the caller"))
        connection.abandon(self._stream)

    # The connection's side

    def on_headers(self, fields: Fields, end: bool) -> None:
        if self._head is None:
            self._head = fields
            self._wake_head()
        if not end:
            refusal = self._not_grpc(fields)
            if refusal is not None:
                self._finish()
                self._wire.connection.reset(self._stream, ErrorCode.CANCEL)
                self._inbox.fail(refusal)
            return
        self._last = fields
        self._finish_remote()
        error = self._status(fields)
        if error is None:
            self._inbox.end()
        else:
            self._inbox.end(error)

    def on_data(self, data: bytes, end: bool) -> None:
        self._inbox.feed(data, False)
        if end:
            self._finish_remote()
            self._inbox.end(RpcError(Code.INTERNAL, "the call ended without a status"))

    def on_drained(self) -> None:
        if self._drained is not None and not self._drained.done():
            self._drained.set_result(None)

    def on_reset(self, error: int | None, reason: str, unprocessed: bool) -> None:
        if self._over:
            return
        self.unprocessed = unprocessed
        self._finish()
        if error is None:
            # What came before the connection was lost is still worth reading.
            self._inbox.end(RpcError(Code.UNAVAILABLE, reason))
            return
        self._error = RpcError(code_of_reset(error), reason)
        self._inbox.fail(self._error)
        self._wire.connection.abandon(self._stream)
        if self._broken is not None and not self._broken.done():
            self._broken.set_result(None)

    # The rest

    def _finish_remote(self) -> None:
        """The server has said everything. What we still had to say, it does not want."""
        connection = self._wire.connection
        if not self._stream.local_done:
            connection.reset(self._stream, ErrorCode.NO_ERROR)
        self._finish()

    def _finish(self) -> None:
        self._over = True
        if self._timer is not None:
            self._timer.cancel()
        self._wake_head()
        self.on_drained()

    def _wake_head(self) -> None:
        if self._head_waiter is not None and not self._head_waiter.done():
            self._head_waiter.set_result(None)

    def _expire(self) -> None:
        self._finish()
        self._wire.connection.reset(self._stream, ErrorCode.CANCEL)
        self._inbox.fail(RpcError(Code.DEADLINE_EXCEEDED, "deadline exceeded"))

    def _not_grpc(self, fields: Fields) -> RpcError | None:
        """Why this response's head is not that of a gRPC answer."""
        status = fields.pseudo.get(b":status", b"")
        if status != b"200":
            return RpcError(code_of_http(int(status)), f"HTTP status {status.decode()}")
        kind = fields.get(b"content-type") or b""
        if not kind.startswith(b"application/grpc"):
            return RpcError(Code.UNKNOWN, f"answer of type {kind.decode('ascii', 'replace')!r} instead of gRPC")
        return None

    def _status(self, fields: Fields) -> RpcError | None:
        raw = fields.get(b"grpc-status")
        if raw is None:
            return self._not_grpc(self._head or fields) or RpcError(Code.UNKNOWN, "the answer has no status")
        code = code_of_text(raw.decode("ascii", "replace"))
        if code is Code.OK:
            return None
        text = decode_message(fields.get(b"grpc-message") or b"")
        details = fields.get(b"grpc-status-details-bin")
        return RpcError(code, text, (decode_binary(details) or b"") if details is not None else b"")
