"""The connection: what a peer does wrong has the consequence that RFC 9113 names, and nothing else."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from dozen.rpc import frames
from dozen.rpc.frames import ErrorCode, FrameReader
from dozen.rpc.headers import encode_fields
from dozen.rpc.limits import Limits
from dozen.rpc.sending import FLUSH_AT
from unit.rpc.pairs import REQUEST, RESPONSE, TRAILERS, Recorder, ServerSide, exchange, make_client, output

CASES = json.loads((Path(__file__).parents[2] / "cases/rpc/frames_to_a_server.json").read_text())
HALF = len(REQUEST) // 2
BLOCKS = {
    "request": REQUEST,
    "request/0": REQUEST[:HALF],
    "request/1": REQUEST[HALF:],
    # Above the test's limit of 4096, below the four times that would cost the connection.
    "large": REQUEST + encode_fields([(b"x", b"y" * 5000)]),
}


def payload_of(spec: Any) -> bytes:
    if isinstance(spec, list):
        return encode_fields([(name.encode(), value.encode()) for name, value in spec])
    return BLOCKS[spec] if spec in BLOCKS else bytes.fromhex(spec)


def frame_of(kind: str, flags: str, stream: int, spec: Any) -> bytes:
    bits = 0
    for flag in flags.split():
        bits |= getattr(frames, flag)
    payload = payload_of(spec)
    number = int(kind) if kind.isdigit() else getattr(frames, kind)
    return frames.frame_header(len(payload), number, bits, stream) + payload


def start(side: ServerSide) -> None:
    side.connection.receive(frames.PREFACE + frames.settings_frame({}))
    output(side.connection)


def said(data: bytes) -> list[tuple[int, int, int, bytes]]:
    return list(FrameReader(1 << 24).feed(data))


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_frames_to_a_server(case: dict[str, Any]) -> None:
    side = ServerSide(Limits(max_header_list=4096))
    start(side)
    for frame in case["frames"]:
        side.connection.receive(frame_of(*frame))
    answers = said(output(side.connection))
    goaways = [ErrorCode(frames.read_u32(frame[3], 4)).name for frame in answers if frame[0] == frames.GOAWAY]
    resets = [
        [frame[2], ErrorCode(frames.read_u32(frame[3])).name] for frame in answers if frame[0] == frames.RST_STREAM
    ]
    pongs = [frame[3].hex() for frame in answers if frame[0] == frames.PING]
    expect = case["expect"]
    assert goaways == ([expect["goaway"]] if "goaway" in expect else [])
    assert resets == ([expect["reset"]] if "reset" in expect else [])
    assert pongs == ([expect["pong"]] if "pong" in expect else [])
    assert (side.connection.fault is not None) == ("goaway" in expect)
    for stream in expect.get("opened", []):
        assert side.requests[stream].pseudo[b":path"] == b"/a.B/C"
    for stream, data in expect.get("data", {}).items():
        assert side.calls[int(stream)].data.hex() == data
    for stream in expect.get("ended", []):
        assert side.calls[stream].reset == (ErrorCode.CANCEL, "stream reset by the peer", False)


@pytest.mark.parametrize("first", [b"GET / HTTP/1.1\r\n\r\n", b"\0" * 24, b"PRI * HTTP/2.0\r\n\r\nXX"])
def test_not_http2(first: bytes) -> None:
    side = ServerSide()
    side.connection.receive(first)
    assert side.connection.fault is not None
    assert side.connection.fault.code is ErrorCode.PROTOCOL_ERROR


def test_first_frame_is_settings() -> None:
    side = ServerSide()
    side.connection.receive(frames.PREFACE + frames.ping_frame(b"12345678"))
    assert side.connection.fault is not None
    client = make_client()
    client.receive(frames.settings_ack_frame())
    assert client.fault is not None


def test_preface_in_pieces() -> None:
    side = ServerSide()
    for byte in frames.PREFACE + frames.settings_frame({}):
        side.connection.receive(bytes((byte,)))
    assert side.connection.settled
    assert side.connection.fault is None


def connect(
    limits: Limits | None = None, client_limits: Limits | None = None, eager: bool = True
) -> tuple[ServerSide, Any]:
    side = ServerSide(limits, eager)
    client = make_client(client_limits)
    exchange(client, side.connection)
    return side, client


def open_call(client: Any, end: bool = False) -> tuple[Any, Recorder]:
    call = Recorder()
    call.connection = client
    call.stream = client.open_stream(REQUEST, call, end)
    return call.stream, call


def test_a_call_from_head_to_trailers() -> None:
    side, client = connect()
    stream, call = open_call(client)
    assert client.send_data(stream, b"question", end=True)
    exchange(client, side.connection)
    served = side.calls[1]
    assert (bytes(served.data), served.ended) == (b"question", True)
    answer = side.streams[1]
    side.connection.send_headers(answer, RESPONSE)
    side.connection.send_data(answer, b"answer")
    side.connection.send_headers(answer, TRAILERS, end=True)
    exchange(client, side.connection)
    assert (bytes(call.data), call.ended, len(call.heads)) == (b"answer", True, 2)
    assert not client.streams
    assert not side.connection.streams


def test_early_answer_asks_the_client_to_stop() -> None:
    side, client = connect()
    _stream, _call = open_call(client)
    exchange(client, side.connection)
    side.connection.send_headers(side.streams[1], RESPONSE + TRAILERS, end=True)
    answers = said(output(side.connection))
    assert [(frame[0], frame[2]) for frame in answers] == [(frames.HEADERS, 1), (frames.RST_STREAM, 1)]
    assert frames.read_u32(answers[1][3]) == ErrorCode.NO_ERROR
    # What the client had under way is ignored, and the connection lives on.
    side.connection.receive(frames.frame_header(3, frames.DATA, 0, 1) + b"abc")
    side.connection.receive(frames.frame_header(len(TRAILERS), frames.HEADERS, 5, 1) + TRAILERS)
    assert said(output(side.connection)) == []
    assert side.connection.fault is None


def test_data_waits_for_the_streams_window_and_goes_on() -> None:
    side, client = connect(Limits(stream_window=65535, connection_window=1 << 20), eager=False)
    stream, call = open_call(client)
    body = bytes(range(256)) * 1024
    assert not client.send_data(stream, body, end=True)
    exchange(client, side.connection)
    served = side.calls[1]
    assert len(served.data) == 65535
    assert call.drained == 0
    while not served.ended:
        side.connection.credit(side.streams[1], side.streams[1].held)
        exchange(client, side.connection)
    assert served.data == body
    assert call.drained == 1


def test_one_unread_stream_leaves_the_others_alone() -> None:
    side, client = connect(Limits(stream_window=65535, connection_window=65535), eager=False)
    first, _ = open_call(client)
    client.send_data(first, bytes(200_000))
    exchange(client, side.connection)
    second, _ = open_call(client)
    assert client.send_data(second, bytes(30_000), end=True)
    exchange(client, side.connection)
    assert len(side.calls[first.id].data) == 65535
    assert side.calls[second.id].ended


def test_budget_ends_the_greediest_stream_of_the_greediest_connection() -> None:
    limits = Limits(stream_window=65535, unread_budget=150_000)
    side, client = connect(limits, eager=False)
    sizes = [30_000, 60_000, 40_000]
    calls = []
    for size in sizes:
        stream, call = open_call(client)
        calls.append(call)
        client.send_data(stream, bytes(size))
    exchange(client, side.connection)
    assert limits.budget.used == sum(sizes)
    # Another connection of the same server goes over; it holds less, so it is not the one to suffer.
    other = ServerSide(limits, eager=False)
    neighbour = make_client()
    exchange(neighbour, other.connection)
    stream, call = open_call(neighbour)
    neighbour.send_data(stream, bytes(50_000), end=True)
    exchange(neighbour, other.connection)
    exchange(client, side.connection)
    assert other.calls[1].ended
    assert call.reset is None
    assert [call.reset is not None for call in calls] == [False, True, False]
    assert calls[1].reset is not None
    assert calls[1].reset[0] == ErrorCode.ENHANCE_YOUR_CALM
    assert limits.budget.used == 30_000 + 40_000 + 50_000


def test_lost_connections_leave_the_budget_alone() -> None:
    limits = Limits()
    side, _ = connect(limits)
    assert limits.budget.holders == {side.connection}
    side.connection.lost(frames.ConnectionFault(ErrorCode.NO_ERROR, "gone"))
    assert not limits.budget.holders


def test_abandoned_bytes_leave_the_budget() -> None:
    limits = Limits()
    side, client = connect(limits, eager=False)
    stream, _ = open_call(client)
    client.send_data(stream, bytes(1000))
    exchange(client, side.connection)
    assert limits.budget.used == 1000
    client.reset(stream, ErrorCode.CANCEL)
    exchange(client, side.connection)
    assert side.calls[1].reset is not None
    side.connection.abandon(side.streams[1])
    assert limits.budget.used == 0


def test_streams_take_turns() -> None:
    _side, client = connect(Limits(stream_window=1 << 20, connection_window=4 << 20))
    large, _ = open_call(client)
    small, _ = open_call(client)
    client.send_data(large, bytes(900_000), end=True)
    client.send_data(small, b"small", end=True)
    client.pump()
    first = client.take()
    assert len(first) < 2 * FLUSH_AT
    client.pump()
    second = client.take()
    ends = [frame[2] for frame in said(first + second) if frame[0] == frames.DATA and frame[1] & frames.END_STREAM]
    assert ends == [small.id]


def test_nothing_is_added_while_the_transport_is_full() -> None:
    side, client = connect()
    client.writable = False
    stream, call = open_call(client)
    assert not client.send_data(stream, b"data", end=True)
    head = client.take()
    assert [frame[0] for frame in said(head)] == [frames.HEADERS]
    side.connection.receive(head)
    client.writable = True
    exchange(client, side.connection)
    assert bytes(side.calls[1].data) == b"data"
    assert call.drained == 1


def test_trailers_wait_for_the_data_before_them() -> None:
    side, client = connect(client_limits=Limits(stream_window=65535))
    stream, call = open_call(client, end=True)
    call.eager = False
    exchange(client, side.connection)
    answer = side.streams[1]
    side.connection.send_headers(answer, RESPONSE)
    assert not side.connection.send_data(answer, bytes(100_000))
    side.connection.send_headers(answer, TRAILERS, end=True)
    exchange(client, side.connection)
    assert not call.ended
    client.credit(stream, stream.held)
    exchange(client, side.connection)
    assert call.ended
    assert len(call.data) == 100_000


def test_smaller_initial_window_makes_windows_negative() -> None:
    _side, client = connect(eager=False)
    stream, _ = open_call(client)
    client.send_data(stream, bytes(50_000))
    client.receive(frames.settings_frame({frames.SET_INITIAL_WINDOW_SIZE: 10_000}))
    before = stream.send_window
    assert before == 10_000 - 50_000
    assert not client.send_data(stream, b"x")
    output(client)
    client.receive(frames.window_update_frame(stream.id, 40_000))
    assert said(output(client)) == []
    client.receive(frames.window_update_frame(stream.id, 1))
    assert [frame[0] for frame in said(output(client))] == [frames.DATA]


def test_too_many_streams_are_refused() -> None:
    side = ServerSide(Limits(max_streams=2))
    start(side)
    for stream in (1, 3, 5):
        side.connection.receive(frames.headers_frames(stream, REQUEST, False, 16384))
    resets = [frame for frame in said(output(side.connection)) if frame[0] == frames.RST_STREAM]
    assert [(frame[2], frames.read_u32(frame[3])) for frame in resets] == [(5, ErrorCode.REFUSED_STREAM)]
    assert sorted(side.calls) == [1, 3]


def test_client_learns_the_limit_of_streams() -> None:
    _side, client = connect(Limits(max_streams=1))
    assert client.can_open
    open_call(client)
    assert not client.can_open
    assert client.usable


def test_refused_stream_counts_as_unprocessed() -> None:
    _side, client = connect()
    stream, call = open_call(client)
    client.receive(frames.reset_frame(stream.id, ErrorCode.REFUSED_STREAM))
    assert call.reset == (ErrorCode.REFUSED_STREAM, "stream reset by the peer", True)


def test_goaway_ends_what_was_not_begun_and_keeps_the_rest() -> None:
    side, client = connect()
    _first, begun = open_call(client)
    exchange(client, side.connection)
    side.connection.goaway("bye")
    _, late = open_call(client)
    exchange(client, side.connection)
    assert late.reset == (None, "peer goes away: bye", True)
    assert begun.reset is None
    assert not client.usable
    side.connection.send_headers(side.streams[1], RESPONSE + TRAILERS, end=True)
    exchange(client, side.connection)
    assert begun.ended


def test_draining_server_refuses_new_streams() -> None:
    side, _client = connect()
    side.connection.goaway()
    output(side.connection)
    side.connection.receive(frames.headers_frames(1, REQUEST, True, 16384))
    assert [frames.read_u32(frame[3]) for frame in said(output(side.connection))] == [ErrorCode.REFUSED_STREAM]
    assert not side.calls


def test_lost_connection_ends_every_stream() -> None:
    _side, client = connect()
    calls = [open_call(client)[1] for _ in range(3)]
    client.lost(frames.ConnectionFault(ErrorCode.NO_ERROR, "gone"))
    assert [call.reset for call in calls] == [(None, "gone", False)] * 3
    assert not client.streams


@pytest.mark.parametrize(
    "flood",
    [
        frames.ping_frame(b"12345678"),
        frames.settings_frame({}),
        frames.frame_header(0, frames.DATA, 0, 1),
        frames.frame_header(5, frames.PRIORITY, 0, 9) + b"\0\0\0\3\0",
        frames.frame_header(0, 0x77, 0, 0),
        frames.frame_header(3, frames.DATA, 0, 3) + b"abc",
    ],
    ids=["ping", "settings", "empty data", "priority", "unknown", "data for a reset stream"],
)
def test_flood_of_cheap_frames_is_stopped(flood: bytes) -> None:
    side = ServerSide(Limits(cheap_frames=50, cheap_rate=10))
    start(side)
    for stream in (1, 3):
        side.connection.receive(frames.headers_frames(stream, REQUEST, False, 16384))
    side.connection.reset(side.streams[3], ErrorCode.CANCEL)
    for _ in range(40):
        side.connection.receive(flood)
    assert side.connection.fault is None
    for _ in range(40):
        side.connection.receive(flood)
    assert side.connection.fault is not None
    assert side.connection.fault.code is ErrorCode.ENHANCE_YOUR_CALM


def test_rapid_resets_are_stopped() -> None:
    side = ServerSide(Limits(cheap_frames=50, cheap_rate=10))
    start(side)
    stream = 1
    while side.connection.fault is None:
        side.connection.receive(
            frames.headers_frames(stream, REQUEST, False, 16384) + frames.reset_frame(stream, ErrorCode.CANCEL)
        )
        stream += 2
        assert stream < 200
    assert side.connection.fault.code is ErrorCode.ENHANCE_YOUR_CALM


def test_slow_pings_are_forgiven() -> None:
    now = [0.0]
    side = ServerSide(Limits(cheap_frames=5, cheap_rate=10), now=now)
    start(side)
    for _ in range(100):
        now[0] += 0.2
        side.connection.receive(frames.ping_frame(b"12345678"))
        output(side.connection)
    assert side.connection.fault is None


def test_peer_that_does_not_read_its_answers_is_cut_off() -> None:
    side = ServerSide(Limits(cheap_frames=10**9))
    start(side)
    side.connection.writable = False
    for _ in range(10**6):
        side.connection.receive(frames.ping_frame(b"12345678") * 100)
        if side.connection.fault is not None:
            break
    assert side.connection.fault is not None
    assert side.connection.output_size < 1 << 20


def test_endless_header_block_is_stopped() -> None:
    side = ServerSide()
    start(side)
    side.connection.receive(frames.frame_header(0, frames.HEADERS, 0, 1))
    piece = frames.frame_header(16384, frames.CONTINUATION, 0, 1) + bytes(16384)
    for _ in range(10):
        side.connection.receive(piece)
    assert side.connection.fault is not None
    assert side.connection.fault.code is ErrorCode.ENHANCE_YOUR_CALM


def test_data_beyond_the_window_is_a_fault_of_the_stream_then_of_the_connection() -> None:
    side = ServerSide(Limits(stream_window=65535, connection_window=200_000), eager=False)
    start(side)
    side.connection.receive(frames.headers_frames(1, REQUEST, False, 16384))
    chunk = frames.frame_header(16000, frames.DATA, 0, 1) + bytes(16000)
    for _ in range(5):
        side.connection.receive(chunk)
    resets = [frame for frame in said(output(side.connection)) if frame[0] == frames.RST_STREAM]
    assert [frames.read_u32(frame[3]) for frame in resets] == [ErrorCode.FLOW_CONTROL_ERROR]
    assert side.connection.fault is None


@pytest.mark.parametrize(
    ("blocks", "code"),
    [
        ([[(b":status", b"abc")]], ErrorCode.PROTOCOL_ERROR),
        ([[(b"x", b"y")]], ErrorCode.PROTOCOL_ERROR),
        ([[(b":status", b"200")], [(b"x", b"y")]], ErrorCode.PROTOCOL_ERROR),
    ],
    ids=["status is no number", "no status", "second head"],
)
def test_bad_responses_end_the_call(blocks: list[list[tuple[bytes, bytes]]], code: ErrorCode) -> None:
    _side, client = connect()
    stream, call = open_call(client)
    for block in blocks:
        client.receive(frames.headers_frames(stream.id, encode_fields(block), False, 16384))
    assert call.reset is not None
    assert call.reset[0] == code
    assert client.fault is None


def test_informational_responses_are_skipped() -> None:
    _side, client = connect()
    stream, call = open_call(client)
    client.receive(frames.headers_frames(stream.id, encode_fields([(b":status", b"103")]), False, 16384))
    client.receive(frames.headers_frames(stream.id, RESPONSE, False, 16384))
    assert [head.pseudo[b":status"] for head in call.heads] == [b"200"]


def test_data_before_the_response_ends_the_call() -> None:
    _side, client = connect()
    stream, call = open_call(client)
    client.receive(frames.frame_header(1, frames.DATA, 0, stream.id) + b"x")
    assert call.reset is not None
    assert call.reset[0] == ErrorCode.PROTOCOL_ERROR


@pytest.mark.parametrize("stream_id", [2, 99])
def test_streams_that_no_client_opened_end_the_connection(stream_id: int) -> None:
    _side, client = connect()
    open_call(client)
    client.receive(frames.headers_frames(stream_id, RESPONSE, False, 16384))
    assert client.fault is not None
    assert client.fault.code is ErrorCode.PROTOCOL_ERROR


def test_frame_larger_than_the_connections_window_is_a_fault() -> None:
    side = ServerSide(Limits(stream_window=100_000, connection_window=65535, max_frame=80_000))
    start(side)
    side.connection.receive(frames.headers_frames(1, REQUEST, False, 16384))
    side.connection.receive(frames.frame_header(70_000, frames.DATA, 0, 1) + bytes(70_000))
    assert side.connection.fault is not None
    assert side.connection.fault.code is ErrorCode.FLOW_CONTROL_ERROR


def test_large_streams_share_the_connection_evenly() -> None:
    _, client = connect(Limits(stream_window=4 << 20, connection_window=8 << 20))
    streams = [open_call(client)[0] for _ in range(3)]
    for stream in streams:
        client.send_data(stream, bytes(2 << 20))
    sent = dict.fromkeys((stream.id for stream in streams), 0)
    for _ in range(8):
        client.pump()
        for kind, _, stream_id, payload in said(client.take()):
            if kind == frames.DATA:
                sent[stream_id] += len(payload)
    assert min(sent.values()) > 0.5 * max(sent.values())
