"""Connections without sockets, and listeners that remember what they were told."""

from __future__ import annotations

from dozen.rpc.connection import Connection
from dozen.rpc.headers import Fields, encode_fields
from dozen.rpc.limits import Limits
from dozen.rpc.streams import Stream

REQUEST = encode_fields(
    (
        (b":method", b"POST"),
        (b":scheme", b"http"),
        (b":path", b"/a.B/C"),
        (b":authority", b"here"),
        (b"content-type", b"application/grpc"),
    )
)
RESPONSE = encode_fields(((b":status", b"200"), (b"content-type", b"application/grpc")))
TRAILERS = encode_fields(((b"grpc-status", b"0"),))


class Recorder:
    """A listener; ``eager`` gives credit at once."""

    def __init__(self, eager: bool = True) -> None:
        self.heads: list[Fields] = []
        self.data = bytearray()
        self.ended = False
        self.reset: tuple[int | None, str, bool] | None = None
        self.drained = 0
        self.eager = eager
        self.connection: Connection | None = None
        self.stream: Stream | None = None

    def on_headers(self, fields: Fields, end: bool) -> None:
        assert not self.ended
        self.heads.append(fields)
        self.ended = self.ended or end

    def on_data(self, data: bytes, end: bool) -> None:
        assert not self.ended
        self.data += data
        self.ended = end
        if self.eager and self.connection is not None and self.stream is not None:
            self.connection.credit(self.stream, len(data))

    def on_drained(self) -> None:
        self.drained += 1

    def on_reset(self, error: int | None, reason: str, unprocessed: bool) -> None:
        assert self.reset is None
        self.reset = (error, reason, unprocessed)
        if error is not None and self.connection is not None and self.stream is not None:
            self.connection.abandon(self.stream)


class ServerSide:
    """A server's connection that accepts every request; ``calls`` by stream."""

    def __init__(self, limits: Limits | None = None, eager: bool = True, now: list[float] | None = None) -> None:
        self.now = now if now is not None else [0.0]
        self.calls: dict[int, Recorder] = {}
        self.streams: dict[int, Stream] = {}
        self.requests: dict[int, Fields] = {}
        self.eager = eager
        self.connection = Connection(
            limits=limits or Limits(), on_output=lambda: None, clock=lambda: self.now[0], accept=self._accept
        )
        self.connection.start()

    def _accept(self, stream: Stream, fields: Fields, end: bool) -> Recorder:
        call = Recorder(self.eager)
        call.connection, call.stream, call.ended = self.connection, stream, end
        self.calls[stream.id] = call
        self.streams[stream.id] = stream
        self.requests[stream.id] = fields
        return call


def make_client(limits: Limits | None = None) -> Connection:
    client = Connection(limits=limits or Limits(), on_output=lambda: None, clock=lambda: 0.0)
    client.start()
    return client


def output(connection: Connection) -> bytes:
    """Everything that the connection would send now."""
    out = b""
    while True:
        connection.pump()
        data = connection.take()
        if not data:
            return out
        out += data


def exchange(one: Connection, other: Connection) -> None:
    """Deliver in both directions until nobody has anything to say."""
    while True:
        there, back = output(one), output(other)
        if not there and not back:
            return
        other.receive(there)
        one.receive(back)
