"""A gRPC client: one channel per address, connected when it is first used and again when it was lost."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, overload

from dozen.rpc.clientcall import ClientCall
from dozen.rpc.clientwire import ClientWire
from dozen.rpc.headers import Pair, encode_fields
from dozen.rpc.limits import Limits
from dozen.rpc.metadata import MetadataInput, encode_metadata, encode_timeout
from dozen.rpc.status import Code, RpcError
from dozen.rpc.wire import READ_SIZE, Wire, save_tls_memory

if TYPE_CHECKING:
    import ssl

__all__ = ["Channel", "ClientCall", "RpcError"]

_CONNECT_TIMEOUT = 10.0
# Between tries to reach a server that may still be starting: first and longest pause.
_FIRST_PAUSE, _LONGEST_PAUSE = 0.02, 0.5
# RFC 8305: how long the first address may take before the second is tried beside it.
_HAPPY_EYEBALLS = 0.25
_HEADS_KEPT = 256


class Message(Protocol):
    """A protobuf message, as far as a channel cares."""

    def SerializeToString(self) -> bytes: ...


ReplyT = TypeVar("ReplyT")
ReplyT_co = TypeVar("ReplyT_co", covariant=True)


class Decoder(Protocol[ReplyT_co]):
    """A protobuf message class, as far as a channel cares."""

    def FromString(self, data: bytes, /) -> ReplyT_co: ...


class Channel:
    """Calls to ``address``: "unix:/path", "host:port" or "[v6]:port".

    ``server_name``: what the server's certificate must say, if not the host. ``wait``: for how long a call waits for a
    server that does not answer yet before it fails with UNAVAILABLE; 0 tries once. ``name``: what errors call it.
    ``max_connections``: how many more may be opened when a connection has as many calls as its server allows.
    ``inspect`` gets the server's certificate (DER) before anything is said to it; words that it gives refuse it.
    """

    def __init__(
        self,
        address: str,
        *,
        tls: ssl.SSLContext | None = None,
        server_name: str | None = None,
        authority: str | None = None,
        limits: Limits | None = None,
        wait: float = 0.0,
        connect_timeout: float = _CONNECT_TIMEOUT,
        max_connections: int = 1,
        name: str | None = None,
        inspect: Callable[[bytes], str] | None = None,
    ) -> None:
        self.address = address
        self._inspect = inspect
        self._name = f"{name} at {address}" if name else address
        self._max_connections = max_connections
        self.last_used = time.monotonic()
        self._path, self._host, self._port = split_address(address)
        self._tls = tls
        if tls is not None:
            save_tls_memory()
        self._server_name = server_name or self._host
        self._authority = authority or ("localhost" if self._path else server_name or address)
        self._limits = limits or Limits(max_streams=0)
        self._wait = wait
        self._connect_timeout = connect_timeout
        self._buffer = bytearray(READ_SIZE)
        self._wire: ClientWire | None = None
        self._wires: set[ClientWire] = set()
        self._connecting: asyncio.Task[ClientWire] | None = None
        self._heads: dict[str, bytes] = {}
        self._closed = False

    async def __aenter__(self) -> Channel:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    @overload
    async def unary(
        self,
        path: str,
        request: bytes | Message,
        response_cls: None = None,
        metadata: MetadataInput = (),
        timeout: float | None = None,
    ) -> bytes: ...

    @overload
    async def unary(
        self,
        path: str,
        request: bytes | Message,
        response_cls: Decoder[ReplyT],
        metadata: MetadataInput = (),
        timeout: float | None = None,
    ) -> ReplyT: ...

    async def unary(
        self,
        path: str,
        request: bytes | Message,
        response_cls: Decoder[Any] | None = None,
        metadata: MetadataInput = (),
        timeout: float | None = None,
    ) -> Any:
        """One message each way. Without ``response_cls`` the reply stays bytes.

        Tried once more when the server says that it never looked at the first try (it was going away, for example).
        """
        data = request if isinstance(request, bytes) else request.SerializeToString()
        pairs = tuple(metadata)
        call = await self.start(path, encode_metadata(pairs), timeout)
        try:
            reply = await _exchange(call, data)
        except RpcError:
            if not call.unprocessed:
                raise
            call = await self.start(path, encode_metadata(pairs), timeout)
            reply = await _exchange(call, data)
        return reply if response_cls is None else response_cls.FromString(reply)

    @overload
    def server_stream(
        self,
        path: str,
        request: bytes | Message,
        response_cls: None = None,
        metadata: MetadataInput = (),
        timeout: float | None = None,
    ) -> AsyncIterator[bytes]: ...

    @overload
    def server_stream(
        self,
        path: str,
        request: bytes | Message,
        response_cls: Decoder[ReplyT],
        metadata: MetadataInput = (),
        timeout: float | None = None,
    ) -> AsyncIterator[ReplyT]: ...

    async def server_stream(
        self,
        path: str,
        request: bytes | Message,
        response_cls: Decoder[Any] | None = None,
        metadata: MetadataInput = (),
        timeout: float | None = None,
    ) -> AsyncIterator[Any]:
        """One message there, any number back. Closing the iterator cancels the call."""
        data = request if isinstance(request, bytes) else request.SerializeToString()
        async with await self.start(path, encode_metadata(metadata), timeout) as call:
            await call.send(data, end=True)
            while (reply := await call.recv()) is not None:
                yield reply if response_cls is None else response_cls.FromString(reply)

    def call(self, path: str, metadata: MetadataInput = (), timeout: float | None = None) -> PendingCall:
        """Any call: ``async with channel.call(path) as call``."""
        return PendingCall(self, path, encode_metadata(metadata), timeout)

    async def start(self, path: str, fields: list[Pair], timeout: float | None = None) -> ClientCall:
        """Open a call with metadata that is header fields already. The caller ends it, or cancels it."""
        deadline = None if timeout is None else asyncio.get_running_loop().time() + timeout
        self.last_used = time.monotonic()
        wire = self._wire
        # Between the wait and this line the connection may have been lost, or someone else have taken the free stream.
        while wire is None or wire.closing or not wire.connection.can_open:
            wire = await self._ready_wire(deadline)
            self._check_alive(wire)
        block = self._head(path)
        if timeout is not None and deadline is not None:
            left = deadline - wire.loop.time()
            fields = [*fields, (b"grpc-timeout", encode_timeout(left))]
        if fields:
            block += encode_fields(fields)
        return ClientCall(wire, block, self._limits.max_message, deadline)

    @property
    def busy(self) -> bool:
        """Calls are under way."""
        return any(wire.connection.streams for wire in self._wires)

    async def close(self) -> None:
        """End every connection; calls under way fail with UNAVAILABLE."""
        self._closed = True
        if self._connecting is not None:
            self._connecting.cancel()
        for wire in list(self._wires):
            wire.connection.goaway()
            wire.close()
        self._wire = None

    def forget(self, wire: Wire) -> None:
        self._wires = {other for other in self._wires if other is not wire}
        if wire is self._wire:
            self._wire = None

    def _head(self, path: str) -> bytes:
        """What every call of a path starts with; our header blocks may be joined (see `dozen.rpc.headers`)."""
        block = self._heads.get(path)
        if block is None:
            if len(self._heads) >= _HEADS_KEPT:
                self._heads.clear()
            block = self._heads[path] = encode_fields(
                (
                    (b":method", b"POST"),
                    (b":scheme", b"http" if self._tls is None else b"https"),
                    (b":path", path.encode()),
                    (b":authority", self._authority.encode()),
                    (b"te", b"trailers"),
                    (b"content-type", b"application/grpc"),
                    (b"user-agent", b"dozen"),
                )
            )
        return block

    async def _ready_wire(self, deadline: float | None) -> ClientWire:
        """A connection with a free stream."""
        left = None if deadline is None else max(0.0, deadline - asyncio.get_running_loop().time())
        try:
            return await asyncio.wait_for(self._seek_wire(), left)
        except TimeoutError:
            raise RpcError(Code.DEADLINE_EXCEEDED, f"no connection to {self._name} in time") from None

    async def _seek_wire(self) -> ClientWire:
        while True:
            if self._closed:
                raise RpcError(Code.UNAVAILABLE, "channel is closed")
            wire = self._wire
            if wire is None or wire.closing or not wire.connection.can_open:
                wire = self._other_wire()
            if wire is None:
                wire = await self._new_wire()
                self._check_alive(wire)
            if await wire.free_stream(patient=len(self._wires) >= self._max_connections):
                self._wire = wire
                return wire

    def _other_wire(self) -> ClientWire | None:
        """A connection with a free stream; if there can be none, one to wait for; None to open another."""
        usable = [wire for wire in self._wires if wire.connection.usable and not wire.closing]
        for wire in usable:
            if wire.connection.can_open:
                return wire
        if len(usable) < self._max_connections:
            return None
        return min(usable, key=lambda wire: len(wire.waiters))

    async def _new_wire(self) -> ClientWire:
        """Connect; whoever asks while a connection is being made waits for the same one."""
        if self._connecting is None:
            self._connecting = asyncio.get_running_loop().create_task(self._connect())
            self._connecting.add_done_callback(self._connected)
        try:
            return await asyncio.shield(self._connecting)
        except asyncio.CancelledError:
            if self._closed:
                raise RpcError(Code.UNAVAILABLE, "channel is closed") from None
            raise

    def _connected(self, task: asyncio.Task[ClientWire]) -> None:
        self._connecting = None
        if not task.cancelled():
            # Taken note of, also when everyone who waited for it has gone.
            task.exception()

    async def _connect(self) -> ClientWire:
        loop = asyncio.get_running_loop()
        until = loop.time() + self._wait
        pause = _FIRST_PAUSE
        while True:
            wire = ClientWire(self._buffer, self._limits, self.forget)
            try:
                await asyncio.wait_for(self._open(wire), self._connect_timeout)
                self._check_protocol(wire)
                if not wire.closing:
                    self._wires.add(wire)
                return wire
            except TimeoutError:
                problem = f"no answer within {self._connect_timeout:g} s"
            except OSError as error:
                problem = error.strerror or str(error)
            if loop.time() + pause > until:
                raise RpcError(Code.UNAVAILABLE, f"cannot connect to {self._name}: {problem}")
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)

    async def _open(self, wire: ClientWire) -> None:
        name = self._server_name if self._tls is not None else None
        if self._path:
            await wire.loop.create_unix_connection(lambda: wire, self._path, ssl=self._tls, server_hostname=name)
        else:
            await wire.loop.create_connection(
                lambda: wire,
                self._host,
                self._port,
                ssl=self._tls,
                server_hostname=name,
                happy_eyeballs_delay=_HAPPY_EYEBALLS,
            )

    def _check_alive(self, wire: ClientWire) -> None:
        """A server that takes connections and closes them is not tried again and again."""
        if wire.closing:
            fault = wire.connection.fault
            reason = fault.reason if fault is not None else "connection closed"
            raise RpcError(Code.UNAVAILABLE, f"{self._name}: {reason}")

    def _check_protocol(self, wire: ClientWire) -> None:
        if wire.tls is not None and wire.tls.selected_alpn_protocol() not in ("h2", None):
            wire.abort()
            raise RpcError(Code.UNAVAILABLE, f"{self._name} does not speak HTTP/2")
        if self._inspect is not None and wire.tls is not None:
            complaint = self._inspect(wire.tls.getpeercert(binary_form=True) or b"")
            if complaint:
                wire.abort()
                raise RpcError(Code.UNAUTHENTICATED, f"{self._name}: {complaint}")


class PendingCall:
    """A call that starts when its context is entered."""

    __slots__ = ("_call", "_channel", "_fields", "_path", "_timeout")

    def __init__(self, channel: Channel, path: str, fields: list[Pair], timeout: float | None) -> None:
        self._channel = channel
        self._path = path
        self._fields = fields
        self._timeout = timeout
        self._call: ClientCall | None = None

    async def __aenter__(self) -> ClientCall:
        self._call = await self._channel.start(self._path, self._fields, self._timeout)
        return self._call

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._call is not None:
            self._call.cancel()


async def _exchange(call: ClientCall, data: bytes) -> bytes:
    """One message there, exactly one back."""
    try:
        await call.send(data, end=True)
        reply = await call.recv()
        if reply is None:
            raise RpcError(Code.INTERNAL, "the call ended without a reply")
        if await call.recv() is not None:
            raise RpcError(Code.INTERNAL, "more than one reply to a unary call")
        return reply
    finally:
        call.cancel()


def split_address(address: str) -> tuple[str, str, int]:
    """(path, "", 0) of a Unix socket or ("", host, port). ValueError for anything else."""
    if address.startswith("unix:"):
        path = address[5:]
        return (path.removeprefix("//") if path.startswith("///") else path), "", 0
    host, colon, port = address.rpartition(":")
    bare = host[1:-1] if host[:1] == "[" and host[-1:] == "]" else host
    if not colon or not bare or not port.isdigit() or int(port) > 65535 or (":" in bare and bare is host):
        raise ValueError(f"{address!r} is not host:port, [address]:port or unix:/path")
    return "", bare, int(port)
