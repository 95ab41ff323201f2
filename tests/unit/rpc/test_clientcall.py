"""A call's side of responses that a server of ours would not send."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from dozen.rpc import frames
from dozen.rpc.clientcall import ClientCall
from dozen.rpc.connection import Connection
from dozen.rpc.frames import ErrorCode, FrameReader
from dozen.rpc.headers import encode_fields
from dozen.rpc.inbox import frame_message
from dozen.rpc.status import Code, RpcError
from unit.rpc.ends import run
from unit.rpc.pairs import REQUEST, RESPONSE, TRAILERS, make_client, output


class FakeWire:
    """A wire without a transport."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.connection: Connection = make_client()
        self.connection.receive(frames.settings_frame({}))


def begin() -> tuple[FakeWire, ClientCall]:
    wire = FakeWire()
    call = ClientCall(wire, REQUEST, 1000, None)  # type: ignore[arg-type]
    output(wire.connection)
    return wire, call


def head(block: bytes, end: bool = False) -> bytes:
    return frames.headers_frames(1, block, end, 16384)


def data(payload: bytes, end: bool = False) -> bytes:
    return frames.frame_header(len(payload), frames.DATA, frames.END_STREAM if end else 0, 1) + payload


GRPC = (b"content-type", b"application/grpc")


@pytest.mark.parametrize(
    ("answer", "code", "text"),
    [
        (head(encode_fields([(b":status", b"404")]), True), Code.UNIMPLEMENTED, "HTTP status 404"),
        (head(encode_fields([(b":status", b"503")])), Code.UNAVAILABLE, "HTTP status 503"),
        (head(encode_fields([(b":status", b"200"), (b"content-type", b"text/html")])), Code.UNKNOWN, "text/html"),
        (head(RESPONSE) + head(encode_fields([(b"x", b"y")]), True), Code.UNKNOWN, "no status"),
        (head(RESPONSE) + data(b"", True), Code.INTERNAL, "without a status"),
        (head(RESPONSE) + data(b"\0\0\0\0\5ab") + head(TRAILERS, True), Code.INTERNAL, "inside a message"),
        (head(RESPONSE) + data(b"\1\0\0\0\1a"), Code.UNIMPLEMENTED, "compressed"),
        (head(RESPONSE) + head(encode_fields([(b"grpc-status", b"99")]), True), Code.UNKNOWN, ""),
        (head(RESPONSE) + head(encode_fields([(b"grpc-status", b"x")]), True), Code.UNKNOWN, ""),
        (frames.reset_frame(1, ErrorCode.REFUSED_STREAM), Code.UNAVAILABLE, "reset"),
        (frames.reset_frame(1, ErrorCode.ENHANCE_YOUR_CALM), Code.RESOURCE_EXHAUSTED, "reset"),
        (frames.reset_frame(1, 0x1234), Code.UNKNOWN, "reset"),
        (frames.goaway_frame(0, 2, b"tired"), Code.UNAVAILABLE, "tired"),
    ],
)
def test_answers_that_are_no_good(answer: bytes, code: Code, text: str) -> None:
    async def main() -> None:
        wire, call = begin()
        wire.connection.receive(answer)
        with pytest.raises(RpcError) as caught:
            await call.recv()
        assert caught.value.code is code
        assert text in caught.value.message
        call.cancel()
        assert not wire.connection.streams
        assert wire.connection.fault is None

    run(main())


def test_answer_before_the_request_ended_ends_the_request() -> None:
    async def main() -> None:
        wire, call = begin()
        wire.connection.receive(head(RESPONSE) + data(frame_message(b"early")) + head(TRAILERS, True))
        assert not wire.connection.streams
        said: list[Any] = list(FrameReader(1 << 20).feed(output(wire.connection)))
        assert [(frame[0], frame[3]) for frame in said] == [(frames.RST_STREAM, b"\0\0\0\0")]
        await call.send(b"late")
        assert output(wire.connection) == b""
        assert await call.recv() == b"early"
        assert await call.recv() is None

    run(main())


def test_bytes_before_a_lost_connection_are_worth_reading() -> None:
    async def main() -> None:
        wire, call = begin()
        wire.connection.receive(head(RESPONSE) + data(frame_message(b"last words")))
        wire.connection.lost(frames.ConnectionFault(ErrorCode.NO_ERROR, "gone"))
        assert await call.recv() == b"last words"
        with pytest.raises(RpcError, match="gone"):
            await call.recv()

    run(main())
