"""Frames: whatever is built is read back, however the bytes are cut."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dozen.rpc import frames
from dozen.rpc.frames import ConnectionFault, ErrorCode, FrameReader

Frame = tuple[int, int, int, bytes]

FRAMES = st.lists(
    st.tuples(st.integers(0, 255), st.integers(0, 255), st.integers(0, frames.MAX_STREAM_ID), st.binary(max_size=300)),
    max_size=8,
)


def serialize(frame: Frame) -> bytes:
    kind, flags, stream, payload = frame
    return frames.frame_header(len(payload), kind, flags, stream) + payload


@given(FRAMES, st.lists(st.integers(0, 2000), max_size=10))
def test_frames_survive_any_cut(sent: list[Frame], cuts: list[int]) -> None:
    data = b"".join(serialize(frame) for frame in sent)
    reader = FrameReader(16384)
    edges = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    read = [frame for start, end in itertools.pairwise(edges) for frame in reader.feed(data[start:end])]
    assert read == sent


def test_one_byte_at_a_time() -> None:
    data = frames.ping_frame(b"12345678") + frames.reset_frame(7, ErrorCode.CANCEL)
    reader = FrameReader(16384)
    read = [frame for byte in data for frame in reader.feed(bytes((byte,)))]
    assert read == [(frames.PING, 0, 0, b"12345678"), (frames.RST_STREAM, 0, 7, b"\0\0\0\x08")]


def test_reserved_bit_of_the_stream_is_ignored() -> None:
    data = bytearray(frames.window_update_frame(5, 1))
    data[5] |= 0x80
    assert [frame[2] for frame in FrameReader(16384).feed(bytes(data))] == [5]


def test_large_frame_is_refused_by_its_header() -> None:
    reader = FrameReader(100)
    assert list(reader.feed(frames.frame_header(100, 0, 0, 1))) == []
    with pytest.raises(ConnectionFault) as fault:
        list(FrameReader(100).feed(frames.frame_header(101, 0, 0, 1)))
    assert fault.value.code is ErrorCode.FRAME_SIZE_ERROR


@given(st.binary(min_size=0, max_size=500), st.integers(1, 60), st.booleans())
def test_header_block_is_cut_to_the_frame_size(block: bytes, size: int, end: bool) -> None:
    read = list(FrameReader(16384).feed(frames.headers_frames(9, block, end, size)))
    assert b"".join(frame[3] for frame in read) == block
    assert [frame[0] for frame in read] == [frames.HEADERS] + [frames.CONTINUATION] * (len(read) - 1)
    assert [bool(frame[1] & frames.END_HEADERS) for frame in read] == [False] * (len(read) - 1) + [True]
    assert bool(read[0][1] & frames.END_STREAM) is end
    assert all(len(frame[3]) <= size and frame[2] == 9 for frame in read)


@given(st.dictionaries(st.integers(0, 65535), st.integers(0, 2**32 - 1), max_size=10))
def test_settings_are_read_back(values: dict[int, int]) -> None:
    ((kind, flags, stream, payload),) = FrameReader(16384).feed(frames.settings_frame(values))
    assert (kind, flags, stream) == (frames.SETTINGS, 0, 0)
    assert dict(frames.read_settings(payload)) == values
