"""One call as its handler sees it, and who makes it."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Coroutine
from functools import partial
from typing import Any, Protocol

from dozen.rpc.headers import Fields, Pair, encode_fields
from dozen.rpc.inbox import Inbox, frame_message
from dozen.rpc.limits import Limits
from dozen.rpc.metadata import (
    Metadata,
    Value,
    decode_timeout,
    encode_binary,
    encode_message,
    encode_metadata,
)
from dozen.rpc.status import Code, RpcError
from dozen.rpc.streams import Stream
from dozen.rpc.wire import Wire

_CONTENT_TYPE = (b"content-type", b"application/grpc")
_HEAD = encode_fields(((b":status", b"200"), _CONTENT_TYPE))
_TRAILERS_OK = encode_fields(((b"grpc-status", b"0"),))
_UCRED = struct.Struct("3i")


class Peer:
    """Who is at the other end of a connection.

    Certificates are DER; on a Unix socket the kernel vouches for the ids.
    """

    def __init__(self, transport: asyncio.Transport, tls: Any = None) -> None:
        self._transport = transport
        self._tls = tls
        self._ids: tuple[int, int, int] | None = None
        name = transport.get_extra_info("peername")
        if isinstance(name, tuple):
            host = str(name[0]).removeprefix("::ffff:")
            self.address = f"[{host}]:{name[1]}" if ":" in host else f"{host}:{name[1]}"
        else:
            self.address = f"unix:pid={self.pid}"

    @property
    def certificate(self) -> bytes | None:
        """The peer's own certificate; None without TLS or when it showed none."""
        der: bytes | None = self._tls.getpeercert(binary_form=True) if self._tls is not None else None
        return der

    @property
    def chain(self) -> tuple[bytes, ...]:
        """The verified chain, leaf first, authority last."""
        tls = self._tls
        if tls is None:
            return ()
        if hasattr(tls, "get_verified_chain"):
            return tuple(tls.get_verified_chain())
        # Public since Python 3.13; before, the same call of the inner object answers with other objects.
        chain = tls._sslobj.get_verified_chain() or ()
        return tuple(certificate.public_bytes(2) for certificate in chain)

    @property
    def pid(self) -> int | None:
        return self._credentials()[0]

    @property
    def uid(self) -> int | None:
        return self._credentials()[1]

    def _credentials(self) -> tuple[int, int] | tuple[None, None]:
        if self._ids is None:
            sock = self._transport.get_extra_info("socket")
            if sock is None or sock.family != socket.AF_UNIX:
                return (None, None)
            self._ids = _UCRED.unpack(sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size))
        return self._ids[0], self._ids[1]


class CallOwner(Protocol):
    """What a call needs of its connection: the wire, and who is there."""

    limits: Limits

    @property
    def peer(self) -> Peer: ...


class ServerCall:
    """One call. A handler reads with `recv`, answers with `send`, and returns or raises `RpcError`.

    ``path``: "/package.Service/Method". ``metadata``: what the client sent beside its messages. ``authority``: the
    host that the client believes to talk to. ``head``: all fields of the request. ``deadline``: in the event loop's
    time, or None.
    """

    __slots__ = (
        "_drained",
        "_inbox",
        "_initial",
        "_metadata",
        "_owner",
        "_started",
        "_stream",
        "_timer",
        "_trailing",
        "_wire",
        "deadline",
        "expired",
        "finished",
        "head",
        "path",
        "task",
    )

    def __init__(self, wire: Wire, owner: CallOwner, stream: Stream, head: Fields) -> None:
        self.path = head.pseudo[b":path"].decode("utf-8", "replace")
        self.deadline: float | None = None
        self.expired = False
        self.finished = False
        self.task: asyncio.Task[None] | None = None
        self._wire = wire
        self._owner = owner
        self._stream = stream
        self.head = head
        self._metadata: Metadata | None = None
        self._inbox = Inbox(wire.loop, owner.limits.max_message, partial(wire.connection.credit, stream))
        self._initial: list[Pair] = []
        self._trailing: list[Pair] = []
        self._started = False
        self._drained: asyncio.Future[None] | None = None
        self._timer: asyncio.TimerHandle | None = None

    # The handler's side

    @property
    def metadata(self) -> Metadata:
        if self._metadata is None:
            self._metadata = Metadata(self.head.regular)
        return self._metadata

    @property
    def authority(self) -> str:
        return self.head.pseudo.get(b":authority", b"").decode("utf-8", "replace")

    @property
    def peer(self) -> Peer:
        return self._owner.peer

    @property
    def time_left(self) -> float | None:
        """Seconds until the deadline."""
        return None if self.deadline is None else max(0.0, self.deadline - self._wire.loop.time())

    async def recv(self) -> bytes | None:
        """The client's next message; None when it sends no more."""
        return await self._inbox.read_message()

    def send(self, message: bytes) -> Coroutine[Any, Any, None]:
        """Answer with one message; returns when it has left for the transport.

        Not a coroutine function, which would hold the message as long as a slow reader takes, beside its frame.
        """
        return self.send_chunk(frame_message(message))

    def set_initial(self, name: str, value: Value) -> None:
        """Add to the metadata that goes in front of the first message."""
        self._initial += encode_metadata(((name, value),))

    def set_trailing(self, name: str, value: Value) -> None:
        """Add to the metadata that goes behind the last message."""
        self._trailing += encode_metadata(((name, value),))

    # For those who pass bytes on without looking into them

    @property
    def request_complete(self) -> bool:
        return self._inbox.complete

    def take_chunk(self) -> bytes:
        return self._inbox.take_chunk()

    async def recv_chunk(self) -> bytes | None:
        return await self._inbox.read_chunk()

    def settle(self, size: int) -> None:
        """So many bytes of chunks have been used."""
        self._inbox.settle(size)

    def start(self, fields: list[Pair] | None = None) -> None:
        """Send the head now, with these fields instead of content-type and our initial metadata."""
        if self._started or self.finished:
            return
        self._started = True
        if fields is None and not self._initial:
            block = _HEAD
        else:
            block = encode_fields([(b":status", b"200"), *(fields or (_CONTENT_TYPE, *self._initial))])
        self._wire.connection.send_headers(self._stream, block)

    async def send_chunk(self, data: bytes) -> None:
        waiting = self.offer_chunk(data)
        del data  # nobody needs it while a slow reader is waited for
        if waiting is not None:
            # Shielded: several senders may wait for this future, and one that is cancelled must not take it along.
            await asyncio.shield(waiting)

    def offer_chunk(self, data: bytes) -> asyncio.Future[None] | None:
        """None when the bytes have left for the transport, else what is done when they have."""
        if self.finished:
            raise RpcError(Code.CANCELLED, "the call is over")
        if not self._started:
            self.start()
        if self._wire.connection.send_data(self._stream, data):
            return None
        if self._drained is None or self._drained.done():
            self._drained = self._wire.loop.create_future()
        return self._drained

    def finish_with(self, trailers: list[Pair]) -> None:
        """End the call with these fields, ``grpc-status`` among them."""
        self._finish(encode_fields(trailers))

    # The server's side

    def arm(self, fields: Fields) -> None:
        """Start the clock if the client set one."""
        raw = fields.get(b"grpc-timeout")
        seconds = decode_timeout(raw) if raw is not None else None
        if seconds is not None:
            self.deadline = self._wire.loop.time() + seconds
            self._timer = self._wire.loop.call_at(self.deadline, self._expire)

    def finish(self, code: Code = Code.OK, message: str = "", details: bytes = b"") -> None:
        """Send what ends the call. Later calls do nothing."""
        if self.finished:
            return
        if code is Code.OK and not self._trailing:
            self._finish(_TRAILERS_OK)
            return
        if code is not Code.OK:
            # A reader that is slow learns of the error now and not behind what it does not read.
            self._wire.connection.drop_pending(self._stream)
        trailers = [(b"grpc-status", b"%d" % code)]
        if message:
            trailers.append((b"grpc-message", encode_message(message)))
        if details:
            trailers.append((b"grpc-status-details-bin", encode_binary(details)))
        self._finish(encode_fields(trailers + self._trailing))

    def _finish(self, block: bytes) -> None:
        if self.finished:
            return
        connection = self._wire.connection
        self._close()
        if not self._started:
            self._started = True
            # Trailers-only: head and trailers in one.
            block = _HEAD + (encode_fields(self._initial) if self._initial else b"") + block
        connection.send_headers(self._stream, block, end=True)
        connection.abandon(self._stream)

    def _close(self) -> None:
        self.finished = True
        if self._timer is not None:
            self._timer.cancel()
        if self._drained is not None and not self._drained.done():
            self._drained.set_exception(RpcError(Code.CANCELLED, "the call is over"))
            self._drained.exception()

    def _expire(self) -> None:
        self.expired = True
        self.finish(Code.DEADLINE_EXCEEDED, "deadline exceeded")
        if self.task is not None:
            self.task.cancel()

    # The connection's side (see `dozen.rpc.streams.Listener`)

    def on_headers(self, fields: Fields, end: bool) -> None:
        raise AssertionError("a server's stream has one head")

    def on_data(self, data: bytes, end: bool) -> None:
        if self.finished:
            self._wire.connection.credit(self._stream, len(data))
        else:
            self._inbox.feed(data, end)

    def on_drained(self) -> None:
        if self._drained is not None and not self._drained.done():
            self._drained.set_result(None)

    def on_reset(self, error: int | None, reason: str, unprocessed: bool) -> None:
        self._wire.connection.abandon(self._stream)
        if self.finished:
            return
        self._close()
        self._inbox.fail(RpcError(Code.CANCELLED, reason))
        if self.task is not None:
            self.task.cancel()
