"""Whatever bytes come: no exception, no lost account, and well-formed output."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from dozen.rpc import frames
from dozen.rpc.connection import Connection
from dozen.rpc.frames import FrameReader
from dozen.rpc.limits import Limits
from unit.rpc.pairs import REQUEST, RESPONSE, TRAILERS, Recorder, ServerSide, exchange, make_client, output

BLOCKS = st.sampled_from([REQUEST, RESPONSE, TRAILERS, b"", b"\x82", b"\xff" * 9])
PAYLOADS = st.one_of(
    BLOCKS,
    st.binary(max_size=40),
    st.integers(0, 2**32 - 1).map(lambda number: number.to_bytes(4, "big")),
    st.lists(st.tuples(st.integers(0, 8), st.sampled_from([0, 1, 100, 16384, 65535, 2**31 - 1, 2**32 - 1]))).map(
        lambda pairs: b"".join(name.to_bytes(2, "big") + value.to_bytes(4, "big") for name, value in pairs)
    ),
    st.integers(0, 5000).map(bytes),
)
FRAMES = st.lists(
    st.tuples(
        st.integers(0, 10), st.sampled_from([0, 1, 4, 5, 8, 9, 0x20, 0x24, 0x25, 255]), st.integers(0, 9), PAYLOADS
    ),
    max_size=25,
)


def serialize(sent: list[tuple[int, int, int, bytes]]) -> bytes:
    return b"".join(
        frames.frame_header(len(payload), kind, flags, stream) + payload for kind, flags, stream, payload in sent
    )


def check(connection: Connection, limits: Limits, calls: list[Recorder]) -> None:
    """The accounts agree, and what is said can be read."""
    said = output(connection)
    if said.startswith(frames.PREFACE):
        said = said[len(frames.PREFACE) :]
    list(FrameReader(1 << 24).feed(said))
    held = sum(call.stream.held for call in calls if call.stream is not None)
    assert limits.budget.used == held >= 0
    if connection.fault is not None:
        assert not connection.streams
    for call in calls:
        assert call.stream is not None
        connection.abandon(call.stream)
    assert limits.budget.used == 0


@settings(max_examples=300)
@given(FRAMES, st.booleans())
def test_frames_in_any_order_to_a_server(sent: list[tuple[int, int, int, bytes]], eager: bool) -> None:
    limits = Limits(
        stream_window=65535,
        connection_window=65535,
        max_streams=3,
        max_header_list=1000,
        cheap_frames=20,
        unread_budget=6000,
    )
    side = ServerSide(limits, eager)
    side.connection.receive(frames.PREFACE + frames.settings_frame({}))
    side.connection.receive(serialize(sent))
    check(side.connection, limits, list(side.calls.values()))


@settings(max_examples=300)
@given(FRAMES)
def test_frames_in_any_order_to_a_client(sent: list[tuple[int, int, int, bytes]]) -> None:
    limits = Limits(stream_window=65535, connection_window=65535, max_header_list=1000, cheap_frames=20)
    client = make_client(limits)
    client.receive(frames.settings_frame({}))
    calls = []
    for _ in range(3):
        call = Recorder(eager=False)
        call.stream = client.open_stream(REQUEST, call)
        client.send_data(call.stream, bytes(100_000), end=True)
        calls.append(call)
    client.receive(serialize(sent))
    check(client, limits, calls)


@given(st.binary(max_size=500), st.booleans())
def test_any_bytes(data: bytes, preface: bool) -> None:
    side = ServerSide()
    side.connection.receive((frames.PREFACE if preface else b"") + data)
    client = make_client()
    client.receive(data)
    output(side.connection)
    output(client)


# One call: bytes to send, bytes to answer, whether its reader gives credit only now and then.
CALLS = st.lists(st.tuples(st.integers(0, 200_000), st.integers(0, 200_000), st.booleans()), min_size=1, max_size=5)


@settings(max_examples=40, deadline=None)
@given(CALLS, st.integers(65535, 200_000), st.integers(16384, 70_000))
def test_all_bytes_arrive_whatever_the_windows(sizes: list[tuple[int, int, bool]], window: int, frame: int) -> None:
    limits = Limits(stream_window=window, connection_window=window, max_frame=frame)
    side = ServerSide(limits, eager=False)
    client = make_client(Limits(stream_window=window, connection_window=65535, max_frame=16384))
    exchange(client, side.connection)
    calls = []
    for up, _, _ in sizes:
        call = Recorder(eager=False)
        call.connection, call.stream = client, client.open_stream(REQUEST, call)
        client.send_data(call.stream, bytes(up), end=True)
        calls.append(call)
    exchange(client, side.connection)
    for stream_id, (_, down, _) in zip(sorted(side.calls), sizes, strict=True):
        side.connection.send_headers(side.streams[stream_id], RESPONSE)
        side.connection.send_data(side.streams[stream_id], bytes(down))
    for turn in range(200):
        for stream_id, (_, _, lazy) in zip(sorted(side.calls), sizes, strict=True):
            if not lazy or turn % 3 == 0:
                stream = side.streams[stream_id]
                side.connection.credit(stream, stream.held)
        for call in calls:
            assert call.stream is not None
            client.credit(call.stream, call.stream.held)
        exchange(client, side.connection)
    assert [len(side.calls[stream_id].data) for stream_id in sorted(side.calls)] == [up for up, _, _ in sizes]
    assert [len(call.data) for call in calls] == [down for _, down, _ in sizes]
    assert all(call.ended for call in side.calls.values())
    assert client.fault is None
    assert side.connection.fault is None
