"""One call to several nodes, and their answers as one.

No message is decoded for it. Protobuf lets fields be appended: a message followed by the bytes of another is the
message with both merged. So every node's message gets its ``metadata`` field (number 1: who answered, or which error)
appended. A unary reply is a list of messages (field 1, repeated), so the replies of several nodes, one behind the
other, are one reply with all their messages. A node that fails is a message with an error, and the call as a whole
still succeeds.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator

from dozen.rpc.clientcall import ClientCall
from dozen.rpc.servercall import ServerCall
from dozen.rpc.status import Code, RpcError

# Opens the call to one target; RpcError when that cannot be.
Open = Callable[[str], Awaitable[ClientCall]]

_VARINT, _FIXED64, _LENGTH, _FIXED32 = 0, 1, 2, 5
_MOST_REPLY = 32 * 1024 * 1024


async def aggregate(call: ServerCall, targets: tuple[str, ...], streamed: bool, open_call: Open) -> None:
    """Ask every target, answer with what they say."""
    request = await call.recv()
    if request is None:
        raise RpcError(Code.INTERNAL, "the call ended without a request")
    if streamed:
        call.start()
        async with asyncio.TaskGroup() as group:
            for target in targets:
                group.create_task(_relay_stream(call, target, request, open_call))
        return
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(_ask(target, request, open_call)) for target in targets]
    reply = b"".join(task.result() for task in tasks)
    if len(reply) > _MOST_REPLY:
        raise RpcError(Code.RESOURCE_EXHAUSTED, f"joined reply of {len(reply)} bytes, {_MOST_REPLY} allowed")
    await call.send(reply)


async def _ask(target: str, request: bytes, open_call: Open) -> bytes:
    try:
        async with await open_call(target) as upstream:
            await upstream.send(request, end=True)
            reply = await upstream.recv()
            if reply is None or await upstream.recv() is not None:
                raise RpcError(Code.INTERNAL, "not one reply to a unary call")
        return mark_messages(reply, mark(target))
    except RpcError as error:
        return field(1, mark(target, error))


async def _relay_stream(call: ServerCall, target: str, request: bytes, open_call: Open) -> None:
    try:
        async with await open_call(target) as upstream:
            await upstream.send(request, end=True)
            while (reply := await upstream.recv()) is not None:
                await call.send(reply + mark(target))
    except RpcError as error:
        if not call.finished:
            await call.send(mark(target, error))


def mark(hostname: str, error: RpcError | None = None) -> bytes:
    """The ``metadata`` field of any message of the machine API."""
    content = field(1, hostname.encode())
    if error is not None:
        content += field(2, describe(error).encode()) + field(3, error.details or _status(error))
    return field(1, content)


def mark_messages(reply: bytes, metadata: bytes) -> bytes:
    """``metadata`` in every message of a unary reply; a reply without messages gets one.

    INTERNAL for what is no protobuf.
    """
    parts = []
    marked = False
    for number, kind, start, content, end in _fields(reply):
        if number == 1 and kind == _LENGTH:
            parts.append(field(1, reply[content:end] + metadata))
            marked = True
        else:
            parts.append(reply[start:end])
    return b"".join(parts) if marked else b"".join(parts) + field(1, metadata)


def describe(error: RpcError) -> str:
    """An error as clients written in Go print it, which people search for."""
    name = "Canceled" if error.code is Code.CANCELLED else error.code.name.title().replace("_", "")
    return f"rpc error: code = {name} desc = {error.message}"


def field(number: int, content: bytes) -> bytes:
    """A length-delimited protobuf field."""
    return _varint(number << 3 | _LENGTH) + _varint(len(content)) + content


def _status(error: RpcError) -> bytes:
    """A google.rpc.Status."""
    return _varint(1 << 3 | _VARINT) + _varint(int(error.code)) + field(2, error.message.encode())


def _varint(value: int) -> bytes:
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _fields(data: bytes) -> Iterator[tuple[int, int, int, int, int]]:
    """(number, wire type, start of the field, start of its content, end) for each field."""
    position = 0
    while position < len(data):
        start = position
        key, position = _read_varint(data, position)
        kind = key & 7
        content = position
        if kind == _VARINT:
            _, position = _read_varint(data, position)
        elif kind == _LENGTH:
            size, content = _read_varint(data, position)
            position = content + size
        elif kind in (_FIXED64, _FIXED32):
            position += 8 if kind == _FIXED64 else 4
        else:
            raise RpcError(Code.INTERNAL, "a node's reply is not protobuf")
        if position > len(data):
            raise RpcError(Code.INTERNAL, "a node's reply is not protobuf")
        yield key >> 3, kind, start, content, position


def _read_varint(data: bytes, position: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if position >= len(data):
            break
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
    raise RpcError(Code.INTERNAL, "a node's reply is not protobuf")
