"""From a path to a typed function: what a service's handlers are registered with.

A `Router` is a handler for `dozen.rpc.server.serve`. Message classes are named, not imported: they are looked up when a
method is first called, so that a server listens before protobuf is loaded.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Protocol

from dozen.rpc.servercall import ServerCall
from dozen.rpc.status import Code, RpcError


class Reply(Protocol):
    """A protobuf message, as far as a router cares."""

    def SerializeToString(self) -> bytes: ...


# A request is whatever class the name stands for, which only the handler knows.
Unary = Callable[[ServerCall, Any], Awaitable["Reply | bytes"]]
Streaming = Callable[[ServerCall, Any], AsyncIterator["Reply | bytes"]]
Raw = Callable[[ServerCall], Awaitable[None]]


class Router:
    """Methods by path."""

    def __init__(self) -> None:
        self._methods: dict[str, Raw] = {}

    def unary(self, path: str, request: str, function: Unary) -> None:
        """``await function(call, request)`` returns the reply. ``request``: "package.Message"."""

        async def answer(call: ServerCall) -> None:
            reply = await function(call, await _read_request(call, request))
            await call.send(_serialize(reply))

        self._add(path, answer)

    def stream(self, path: str, request: str, function: Streaming) -> None:
        """``function(call, request)`` yields replies; it is closed when the client goes."""

        async def answer(call: ServerCall) -> None:
            replies = function(call, await _read_request(call, request))
            try:
                async for reply in replies:
                    sending = call.send(_serialize(reply))
                    del reply  # a slow reader is to cost one copy
                    await sending
            finally:
                # A generator that is left early would else run its clean-up whenever it is collected.
                close = getattr(replies, "aclose", None)
                if close is not None:
                    await close()
            call.start()

        self._add(path, answer)

    def bidi(self, path: str, function: Raw) -> None:
        """``await function(call)`` reads and sends serialized messages itself."""
        self._add(path, function)

    @property
    def paths(self) -> tuple[str, ...]:
        return tuple(sorted(self._methods))

    async def __call__(self, call: ServerCall) -> None:
        method = self._methods.get(call.path)
        if method is None:
            raise self._unknown(call.path)
        await method(call)

    def _add(self, path: str, method: Raw) -> None:
        if path in self._methods:
            raise ValueError(f"{path} is registered twice")
        self._methods[path] = method

    def _unknown(self, path: str) -> RpcError:
        service, _, method = path.removeprefix("/").rpartition("/")
        if any(known.startswith(f"/{service}/") for known in self._methods):
            return RpcError(Code.UNIMPLEMENTED, f"unknown method {method} for service {service}")
        return RpcError(Code.UNIMPLEMENTED, f"unknown service {service}")


async def _read_request(call: ServerCall, name: str) -> Any:
    data = await call.recv()
    if data is None:
        raise RpcError(Code.INTERNAL, "the call ended without a request")
    return decode_request(name, data)


def decode_request(name: str, data: bytes) -> Any:
    """A request as a message; bytes that are none end the call."""
    from dozen.machinery.messages import MalformedMessage, decode  # protobuf is loaded by the first call, not at start

    try:
        return decode(name, data)
    except MalformedMessage as error:
        raise RpcError(Code.INTERNAL, f"the request is {error}") from None


def _serialize(reply: Reply | bytes) -> bytes:
    return reply if isinstance(reply, bytes) else reply.SerializeToString()
