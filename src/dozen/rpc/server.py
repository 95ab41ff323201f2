"""A gRPC server: listens, accepts, starts one task per call.

The listening socket is ours and not asyncio's, for three reasons: a new TLS context (renewed certificates) applies to
the next connection and leaves the others alone; the number of connections is bounded; and a stranger who connects and
says nothing is dropped.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import os
import socket
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from dozen.rpc.frames import ErrorCode
from dozen.rpc.headers import Fields, encode_fields
from dozen.rpc.limits import Limits
from dozen.rpc.servercall import Peer, ServerCall
from dozen.rpc.status import Code, RpcError
from dozen.rpc.streams import Listener, Stream
from dozen.rpc.wire import READ_SIZE, Wire, save_tls_memory

if TYPE_CHECKING:
    import ssl

    # A context, or who to ask for the present one at each connection.
    Tls = ssl.SSLContext | Callable[[], ssl.SSLContext] | None

__all__ = ["Handler", "Limits", "Peer", "Server", "ServerCall", "serve"]

Handler = Callable[[ServerCall], Awaitable[None]]

# Connections that the kernel keeps for us until we take them, and how many we take at once: a burst waits there instead
# of being tried again by its senders a second later.
_BACKLOG, _TAKEN_AT_ONCE = 1024, 128
# When accept fails for want of file descriptors, trying again at once would only spin.
_ACCEPT_PAUSE = 0.5
# Where there is room, a handshake may take as long as `Limits` says; where there is none, so long.
_SLOW_HANDSHAKE = 1.0
_NO_IPV6 = (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL, errno.EPROTONOSUPPORT)
# Answers to what is not a gRPC call at all, as gRPC's mapping of HTTP/2 asks.
_NOT_POST = encode_fields(((b":status", b"405"), (b"allow", b"POST")))
_NOT_GRPC = encode_fields(((b":status", b"415"),))


class ServerWire(Wire):
    """One accepted connection."""

    def __init__(self, server: Server, buffer: bytearray, address: str) -> None:
        super().__init__(server.loop, buffer, server.limits, accept=self._accept, on_end=server.forget)
        self.limits = server.limits
        self.address = address
        self.last_used = time.monotonic()
        self._server = server
        self._peer: Peer | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._greeting: asyncio.TimerHandle | None = None

    @property
    def peer(self) -> Peer:
        if self._peer is None:
            assert self.transport is not None
            self._peer = Peer(self.transport, self.tls)
        return self._peer

    @property
    def busy(self) -> bool:
        return bool(self._tasks or self.connection.streams)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        if self.tls is not None and self.tls.selected_alpn_protocol() != "h2":
            # RFC 9113, section 3.2: HTTP/2 over TLS is agreed on by ALPN, and gRPC clients insist on it too.
            self.abort()
            return
        self._greeting = self.loop.call_later(self.limits.handshake_timeout, self._drop_silent)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._greeting is not None:
            self._greeting.cancel()
        super().connection_lost(exc)

    def after_receive(self) -> None:
        if self.connection.draining and not self.busy:
            self.close()

    def end_calls(self) -> list[asyncio.Task[None]]:
        """Cancel what still runs."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        return tasks

    def _drop_silent(self) -> None:
        if not self.connection.settled:
            self.abort()
            return
        left = self.limits.unused_timeout - self.limits.handshake_timeout
        self._greeting = self.loop.call_later(max(0.0, left), self._drop_unused)

    def _drop_unused(self) -> None:
        self._greeting = None
        if not self.connection.last_peer_stream:
            self.connection.goaway("no call came")
            self.close()

    def _accept(self, stream: Stream, fields: Fields, end: bool) -> Listener | None:
        # Tasks are counted too: a call that its client reset may still be winding up.
        if len(self._tasks) > self.limits.max_streams or self._server.running >= self.limits.max_calls:
            return None
        call = ServerCall(self, self, stream, fields)
        refusal = None
        if fields.pseudo[b":method"] != b"POST":
            refusal = _NOT_POST
        elif not (fields.get(b"content-type") or b"").startswith(b"application/grpc"):
            refusal = _NOT_GRPC
        if refusal is not None:
            call.finished = True
            self.connection.send_headers(stream, refusal, end=True)
            return call
        call.arm(fields)
        if end:
            call.on_data(b"", True)
        call.task = task = self.loop.create_task(self._server.run(call))
        self._tasks.add(task)
        self._server.running += 1
        task.add_done_callback(self._task_done)
        return call

    def _task_done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._server.running -= 1
        if not self._tasks:
            self.last_used = time.monotonic()
            if self.connection.draining and not self.connection.streams:
                self.close()


class Server:
    """Made by `serve`."""

    def __init__(
        self, handler: Handler, listeners: list[socket.socket], tls: Tls, limits: Limits, log: logging.Logger
    ) -> None:
        self.loop = asyncio.get_running_loop()
        self.limits = limits
        self._handler = handler
        self._listeners = listeners
        self._tls = tls
        if tls is not None:
            save_tls_memory()
        self._log = log
        self._buffer = bytearray(READ_SIZE)
        self._wires: set[ServerWire] = set()
        # Since when, and from where.
        self._handshakes: dict[asyncio.Task[None], tuple[float, str]] = {}
        self._closed = self.loop.create_future()
        self._closing = False
        self.calls = 0  # that came to an end
        self.running = 0
        for listener in listeners:
            listener.setblocking(False)
            self.loop.add_reader(listener, self._accept, listener)

    @property
    def addresses(self) -> list[object]:
        """Where it listens: (host, port, …) or a path, one per socket."""
        return [listener.getsockname() for listener in self._listeners]

    @property
    def connections(self) -> int:
        return len(self._wires) + len(self._handshakes)

    async def run(self, call: ServerCall) -> None:
        """One call from its first byte to its status."""
        try:
            await self._handler(call)
            call.finish()
        except RpcError as error:
            call.finish(error.code, error.message, error.details)
        except asyncio.CancelledError:
            # Either the call is over (deadline, reset) and this says nothing more, or the server closes.
            call.finish(Code.UNAVAILABLE, "server is shutting down")
        except Exception:  # noqa: BLE001
            # The border between a handler and its client: a fault of ours ends one call, not the server.
            self._log.exception("handler failed path=%s peer=%s", call.path, call.peer.address)
            call.finish(Code.INTERNAL, "internal error")
        finally:
            self.calls += 1

    async def close(self, grace: float = 0.0) -> None:
        """Take no more connections and calls; let those that run end for ``grace`` seconds, then cancel them."""
        if self._closing:
            await self.wait_closed()
            return
        self._closing = True
        for listener in self._listeners:
            self.loop.remove_reader(listener)
            listener.close()
        for handshake in self._handshakes:
            handshake.cancel()
        for wire in list(self._wires):
            wire.connection.goaway("server is shutting down")
            if not wire.busy:
                wire.close()
        self._finish_closing()
        if grace:
            await asyncio.wait((self._closed,), timeout=grace)
        tasks = [task for wire in self._wires for task in wire.end_calls()]
        if tasks:
            await asyncio.wait(tasks, timeout=1.0)
        for wire in list(self._wires):
            wire.close()
        self._finish_closing()

    async def wait_closed(self) -> None:
        """Returns when `close` is done and the last connection is gone."""
        await asyncio.shield(self._closed)

    def forget(self, wire: Wire) -> None:
        self._wires.discard(wire)
        self._finish_closing()

    def _finish_closing(self) -> None:
        if self._closing and not self._wires and not self._closed.done():
            self._closed.set_result(None)

    def _accept(self, listener: socket.socket) -> None:
        for _ in range(_TAKEN_AT_ONCE):
            try:
                sock, peer = listener.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                self._log.error("accept failed error=%s", error)
                self.loop.remove_reader(listener)
                self.loop.call_later(_ACCEPT_PAUSE, self._accept_again, listener)
                return
            # On a Unix socket callers have no address, and are one.
            address = str(peer[0]) if isinstance(peer, tuple) else ""
            if not self._has_room(address):
                sock.close()
                continue
            sock.setblocking(False)
            task = self.loop.create_task(self._greet(sock, address))
            self._handshakes[task] = (time.monotonic(), address)
            task.add_done_callback(lambda done: self._handshakes.pop(done, None))

    def _accept_again(self, listener: socket.socket) -> None:
        if not self._closing:
            self.loop.add_reader(listener, self._accept, listener)

    def _has_room(self, address: str) -> bool:
        """Whether one more may come from there, if need be in the place of another."""
        if self.connections < self.limits.max_per_address:
            return True
        if self._count(address) >= self.limits.max_per_address:
            # Who has many makes room for its own, and does not displace others.
            return self._make_room(address)
        return self.connections < self.limits.max_connections or self._make_room()

    def _count(self, address: str) -> int:
        here = sum(wire.address == address for wire in self._wires)
        return here + sum(where == address for _, where in self._handshakes.values())

    def _make_room(self, address: str | None = None) -> bool:
        """Who takes too long to connect goes, else the connection without calls that was used longest ago; only those
        of one address, if it is given.
        """
        for task, (since, where) in self._handshakes.items():
            if address in (None, where):
                if time.monotonic() - since <= _SLOW_HANDSHAKE:
                    break
                del self._handshakes[task]
                task.cancel()
                return True
        idle = [wire for wire in self._wires if address in (None, wire.address) and not wire.busy and not wire.closing]
        if not idle:
            return False
        oldest = min(idle, key=lambda wire: wire.last_used)
        oldest.connection.fail(ErrorCode.NO_ERROR, "too many connections")
        oldest.close()
        self._wires.discard(oldest)
        return True

    async def _greet(self, sock: socket.socket, address: str) -> None:
        wire = ServerWire(self, self._buffer, address)
        try:
            tls = self._tls() if callable(self._tls) else self._tls
            await self.loop.connect_accepted_socket(
                lambda: wire,
                sock,
                ssl=tls,
                ssl_handshake_timeout=self.limits.handshake_timeout if tls is not None else None,
            )
        except OSError as error:
            # A port scan, an expired certificate: worth a line, not an alarm (TLS errors are OSErrors). Who goes
            # without a word, as health checks do, is not worth one.
            level = logging.DEBUG if isinstance(error, ConnectionResetError) else logging.INFO
            self._log.log(level, "handshake failed error=%s", error)
            sock.close()
            return
        if self._closing:
            wire.abort()
        elif not wire.closing:
            self._wires.add(wire)


async def serve(
    handler: Handler,
    *,
    sock: socket.socket | None = None,
    path: str | None = None,
    host: str | None = None,
    port: int | None = None,
    tls: Tls = None,
    limits: Limits | None = None,
    log: logging.Logger | None = None,
) -> Server:
    """Listen on a socket that is bound already, a Unix socket's path, or a host and port.

    ``host`` None: all addresses, IPv6 and IPv4. A stale socket file at ``path`` is replaced. OSError when the address
    cannot be had.
    """
    if sock is not None:
        sock.listen(_BACKLOG)
        listeners = [sock]
    elif path is not None:
        listeners = [_listen_unix(path)]
    else:
        listeners = [_listen_tcp(host, port or 0)]
    return Server(handler, listeners, tls, limits or Limits(), log or logging.getLogger("rpc"))


def _listen_unix(path: str) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX)
    try:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)
        listener.bind(path)
        listener.listen(_BACKLOG)
    except OSError:
        listener.close()
        raise
    return listener


def _listen_tcp(host: str | None, port: int) -> socket.socket:
    if host is None:
        try:
            return _bind_tcp(socket.AF_INET6, "::", port)
        except OSError as error:
            if error.errno not in _NO_IPV6:
                raise
            return _bind_tcp(socket.AF_INET, "0.0.0.0", port)
    return _bind_tcp(socket.AF_INET6 if ":" in host else socket.AF_INET, host, port)


def _bind_tcp(family: int, host: str, port: int) -> socket.socket:
    listener = socket.socket(family)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(host != "::"))
        listener.bind((host, port))
        listener.listen(_BACKLOG)
    except OSError:
        listener.close()
        raise
    return listener
