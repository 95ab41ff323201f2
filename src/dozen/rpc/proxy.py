"""Passing a call on: from a server's side of a connection to a client's, without looking into the messages.

Bytes are forwarded as they come, whatever the message borders, so a proxy never holds a whole message. Both sides
limit each other: the credit for a chunk is given only when the other side had room for it. When
the client goes, the call to the server is cancelled; when the server ends, the client gets its status and trailers as
they were.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable

from dozen.rpc.client import Channel
from dozen.rpc.clientcall import ClientCall
from dozen.rpc.headers import Fields, Pair
from dozen.rpc.metadata import TRANSPORT_FIELDS
from dozen.rpc.servercall import ServerCall
from dozen.rpc.status import RpcError

__all__ = ["forward", "forwarded_fields"]

# Fields about one hop. Everything else of a response is passed on as it came.
_HOP_FIELDS = TRANSPORT_FIELDS - {b"content-type"}
# Fields of a request that the channel writes itself.
_OWN_FIELDS = TRANSPORT_FIELDS | {b"user-agent", b"grpc-timeout"}


def forwarded_fields(call: ServerCall, drop: Iterable[str] = (), add: Iterable[tuple[str, str]] = ()) -> list[Pair]:
    """A call's fields for the next hop: without the names in ``drop``, with the pairs in ``add``."""
    dropped = _OWN_FIELDS.union(name.encode() for name in drop)
    kept = [pair for pair in call.head.regular if pair[0] not in dropped]
    return kept + [(name.encode(), value.encode()) for name, value in add]


async def forward(call: ServerCall, channel: Channel, fields: list[Pair]) -> None:
    """Carry the whole call over; returns when it is over. RpcError when the other side failed below gRPC."""
    upstream = await channel.start(call.path, fields, call.time_left)
    pump: asyncio.Task[None] | None = None
    try:
        if call.request_complete:
            # The usual call: its one message is here already, and no task is needed to wait for more.
            chunk = call.take_chunk()
            await upstream.send_chunk(chunk, end=True)
            call.settle(len(chunk))
        else:
            pump = asyncio.get_running_loop().create_task(_pump_request(call, upstream))
        await _pump_response(call, upstream)
    finally:
        upstream.cancel()
        if pump is not None:
            pump.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await pump


async def _pump_request(call: ServerCall, upstream: ClientCall) -> None:
    try:
        while (chunk := await call.recv_chunk()) is not None:
            await upstream.send_chunk(chunk)
            call.settle(len(chunk))
        await upstream.end()
    except RpcError:
        # The client broke off: the server must not take what came so far for the whole.
        upstream.cancel()


async def _pump_response(call: ServerCall, upstream: ClientCall) -> None:
    head = await upstream.head_fields()
    if not upstream.trailers_only:
        call.start(_response_fields(head))
        try:
            while (chunk := await upstream.recv_chunk()) is not None:
                waiting = call.offer_chunk(chunk)
                if waiting is not None:
                    await upstream.wait_or_break(waiting)
                upstream.settle(len(chunk))
        except RpcError:
            if upstream.trailer_fields is None:
                raise
    trailers = upstream.trailer_fields
    if trailers is None or not _has_status(trailers):
        # Ended without a status: `recv` knows what that means.
        await upstream.recv()
        return
    call.finish_with([pair for pair in trailers if pair[0] not in TRANSPORT_FIELDS])


def _response_fields(head: Fields) -> list[Pair]:
    return [pair for pair in head.regular if pair[0] not in _HOP_FIELDS]


def _has_status(fields: list[Pair]) -> bool:
    return any(name == b"grpc-status" for name, _ in fields)
