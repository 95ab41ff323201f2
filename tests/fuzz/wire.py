"""What clients and other nodes send: HTTP/2, gRPC, protobuf, certificates, names and queries."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import msgspec

from dozen.engine.errors import BookmarkExpired
from dozen.engine.watch import read_bookmark
from dozen.machinery import csr, der, dns, pki, x509
from dozen.machinery.jsonpath import JsonPathError, Template
from dozen.machinery.messages import message
from dozen.machinery.resource import Metadata, Phase, Resource
from dozen.node.api.state import read_queries
from dozen.node.apid_routing import check_target, choose_route
from dozen.rpc import frames
from dozen.rpc.connection import Connection
from dozen.rpc.frames import ConnectionFault, FrameReader
from dozen.rpc.headers import Fields, HeaderDecoder, encode_fields
from dozen.rpc.inbox import Inbox, frame_message
from dozen.rpc.limits import Limits
from dozen.rpc.metadata import Metadata as CallMetadata
from dozen.rpc.metadata import decode_binary, decode_message, decode_timeout, encode_timeout
from dozen.rpc.router import decode_request
from dozen.rpc.status import RpcError
from dozen.rpc.streams import Stream
from fuzz import identity
from fuzz.target import Target

REQUEST = encode_fields(
    (
        (b":method", b"POST"), (b":scheme", b"http"), (b":path", b"/machine.MachineService/Version"),
        (b":authority", b"here"), (b"te", b"trailers"), (b"content-type", b"application/grpc"),
        (b"grpc-timeout", b"5S"), (b"nodes", b"10.0.0.1,10.0.0.2"),
    )
)  # fmt: skip
RESPONSE = encode_fields(((b":status", b"200"), (b"content-type", b"application/grpc")))
TRAILERS = encode_fields(((b"grpc-status", b"0"), (b"grpc-message", b"a %C3%A4")))


DNS_QUESTION = dns.make_query(1, "www.example.org", dns.A)


def dns_answer(data: bytes) -> object:
    """As a forwarder does with it: what it says, grown older, and cut short for who cannot take it."""
    found = dns.read_answer(data)
    older = dns.aged(data, found.places, 10)
    dns.answers_to(data, dns.read_query(DNS_QUESTION))
    return dns.read_answer(older)


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    return frames.frame_header(len(payload), kind, flags, stream) + payload


class Empty(msgspec.Struct):
    """A spec that says nothing."""


class Taker:
    """A listener that uses what it gets at once, or never."""

    def __init__(self, connection: Connection, eager: bool, stream: Stream | None = None) -> None:
        self.connection, self.eager, self.stream = connection, eager, stream

    def on_headers(self, fields: Fields, end: bool) -> None:
        fields.get(b"grpc-status")

    def on_data(self, data: bytes, end: bool) -> None:
        if self.eager and self.stream is not None:
            self.connection.credit(self.stream, len(data))

    def on_drained(self) -> None:
        pass

    def on_reset(self, error: int | None, reason: str, unprocessed: bool) -> None:
        if self.stream is not None:
            self.connection.abandon(self.stream)


def small() -> Limits:
    return Limits(connection_window=65535, stream_window=65535, max_streams=4, max_header_list=2000, cheap_frames=50,
                  unread_budget=20_000)  # fmt: skip


def settle(connection: Connection, limits: Limits) -> None:
    """What it says can be read, and nothing is kept for streams that are gone."""
    said = b""
    connection.pump()
    while part := connection.take():
        said += part
        connection.pump()
    list(FrameReader(1 << 24).feed(said.removeprefix(frames.PREFACE)))
    for stream in list(connection.streams.values()):
        connection.abandon(stream)
    assert limits.budget.used == 0, f"{limits.budget.used} bytes are accounted to nobody"


def serve(data: bytes) -> None:
    limits = small()
    eager = bool(data[:1] and data[0] & 1)
    connection = Connection(
        limits=limits, on_output=lambda: None, clock=lambda: 0.0, accept=lambda stream, fields, end: accept(stream)
    )

    def accept(stream: Stream) -> Taker:
        connection.send_headers(stream, RESPONSE)
        connection.send_data(stream, bytes(3000))
        return Taker(connection, eager, stream)

    connection.start()
    connection.receive(frames.PREFACE + frames.settings_frame({}))
    connection.receive(data[1:])
    settle(connection, limits)


def consume(data: bytes) -> None:
    limits = small()
    connection = Connection(limits=limits, on_output=lambda: None, clock=lambda: 0.0)
    connection.start()
    connection.receive(frames.settings_frame({}))
    for number in range(3):
        taker = Taker(connection, number == 1)
        taker.stream = connection.open_stream(REQUEST, taker)
        connection.send_data(taker.stream, bytes(70_000), end=True)
    connection.receive(data)
    settle(connection, limits)


def headers(data: bytes) -> None:
    decoder = HeaderDecoder(2000)
    for block in data.split(b"\xfe\xfe"):
        fields = decoder.decode(block)
        fields.request_fault(), fields.response_fault(), fields.trailers_fault()
        CallMetadata(fields.regular).all("nodes")


def messages(data: bytes) -> None:
    """A gRPC stream that arrives in chunks: whole messages come out, whatever the cuts."""

    async def read() -> None:
        credited = 0

        def credit(size: int) -> None:
            nonlocal credited
            credited += size

        inbox = Inbox(asyncio.get_running_loop(), 1000, credit)
        step = 1 + (data[0] if data else 0)
        for at in range(1, len(data), step):
            inbox.feed(data[at : at + step], at + step >= len(data))
        inbox.end()
        while await inbox.read_message() is not None:
            pass
        assert credited == max(0, len(data) - 1), "what was read is not what was credited"

    asyncio.run(read())


def request(name: str) -> Callable[[bytes], object]:
    return lambda data: decode_request(name, data)


def query(data: bytes) -> None:
    selects = read_queries(decode_request("cosi.resource.ListOptions", data))
    if selects is not None:
        selects(Resource(Metadata("a", "b", "c", 1, "", Phase.RUNNING, 0.0, 0.0, labels={"a": "1"}), Empty()))


def header_texts(data: bytes) -> None:
    decode_message(data), decode_binary(data)
    seconds = decode_timeout(data)
    if seconds is not None:
        assert decode_timeout(encode_timeout(seconds)) is not None


def route(data: bytes) -> None:
    path, *pairs = data.split(b"\n")
    metadata = CallMetadata([(name, value) for name, _, value in (pair.partition(b"=") for pair in pairs)])
    chosen = choose_route(path.decode(errors="replace"), metadata, can_forward=True, is_local=lambda name: name == "me")
    for target in chosen.targets:
        check_target(target)


def template(data: bytes) -> None:
    Template(data.decode(errors="replace")).render({"a": [{"type": "Ready", "b": 1}, 2], "c": {"d": None}})


def pem(data: bytes) -> None:
    text = data.decode(errors="replace")
    for ask in (pki.certificate, pki.seed_of, pki.fingerprint):
        try:
            ask(text)
        except pki.PkiError:
            continue


CALL = frame(frames.HEADERS, 4, 1, REQUEST) + frame(frames.DATA, 1, 1, frame_message(b"abc"))
ANSWER = frame(frames.HEADERS, 4, 1, RESPONSE) + frame(frames.DATA, 0, 1, frame_message(b"abc"))

TARGETS = (
    Target(
        "http2-server",
        serve,
        (),
        [
            b"\1" + CALL + frame(frames.RST_STREAM, 0, 1, bytes(4)) + frame(frames.PING, 0, 0, bytes(8)),
            b"\0" + frame(frames.HEADERS, 0, 3, REQUEST[:9]) + frame(frames.CONTINUATION, 4, 3, REQUEST[9:]),
            b"\1" + frames.settings_frame({4: 100, 5: 16384, 1: 0}) + CALL + frames.window_update_frame(1, 5000),
            b"\0" + frame(frames.HEADERS, 0x2D, 5, b"\2" + bytes(5) + REQUEST + bytes(2)) + frame(0, 9, 5, b"\1ab\0"),
        ],
    ),
    Target(
        "http2-client",
        consume,
        (),
        [
            ANSWER + frame(frames.HEADERS, 5, 1, TRAILERS),
            ANSWER + frame(frames.GOAWAY, 0, 0, bytes(8)) + frame(frames.RST_STREAM, 0, 3, b"\0\0\0\7"),
            frames.settings_frame({3: 1, 4: 0}) + frames.window_update_frame(0, 100_000) + ANSWER,
        ],
    ),
    Target(
        "hpack", headers, (ConnectionFault,), [REQUEST, RESPONSE + b"\xfe\xfe" + b"\x40\1a\1b\xbe\xfe\xfe\xbe\x3f\1"]
    ),
    Target("grpc-messages", messages, (RpcError,), [b"\2" + frame_message(b"abc") * 3, b"\0" + frame_message(b"")]),
    Target(
        "protobuf-request",
        request("machine.ApplyConfigurationRequest"),
        (RpcError,),
        [b"\n\3abc\x20\1", message("machine.ApplyConfigurationRequest")(data=b"a", dry_run=True).SerializeToString()],
    ),
    Target(
        "label-query",
        query,
        (RpcError,),
        [
            message("cosi.resource.ListOptions")(
                label_query=[{"terms": [{"key": "a", "op": 1, "value": ["b"], "invert": True}]}]
            ).SerializeToString()
        ],
    ),
    Target("header-texts", header_texts, (), [b"a %C3%A4 %", b"99999999H", b"YWJj,YQ==", b"1n"]),
    Target(
        "routing",
        route,
        (RpcError,),
        [b"/machine.MachineService/Version\nnodes=a, b,[::1]\nnode=me", b"/a/b\nnode=[fe80::1%e]"],
    ),
    Target("bookmark", lambda data: read_bookmark(data, b"nonce"), (BookmarkExpired,), [b"nonce" + bytes(8)]),
    Target("jsonpath", template, (JsonPathError,), [b'{.a[?(@.type=="Ready")].b} x {..d}{["c"].*}{.a[-1:]}']),
    Target("x509", x509.read, (der.DerError,), [identity.CERTIFICATE]),
    Target("csr", csr.read_request, (der.DerError,), [identity.request()]),
    Target("private-key", x509.read_private_key, (der.DerError,), [identity.KEY]),
    Target("dns-question", dns.read_query, (dns.DnsError,), [DNS_QUESTION]),
    Target(
        "dns-answer",
        dns_answer,
        (dns.DnsError,),
        [dns.answer_addresses(DNS_QUESTION, dns.read_query(DNS_QUESTION), ("10.0.0.1",), 9)],
    ),
    Target("pem", pem, (), [identity.CERTIFICATE_PEM.encode(), identity.KEY_PEM.encode()]),
)
