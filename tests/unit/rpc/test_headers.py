"""Header lists: an independent HPACK reads what we write, and remembered blocks never go stale."""

from __future__ import annotations

import pytest
from hpack import Decoder, Encoder
from hpack.table import HeaderTable
from hypothesis import example, given
from hypothesis import strategies as st

from dozen.rpc.frames import ConnectionFault
from dozen.rpc.headers import Fields, HeaderDecoder, Pair, encode_fields

NAMES = st.sampled_from([name for name, _ in HeaderTable.STATIC_TABLE] + [b"x", b"grpc-status", b"a-bin"])
PAIRS = st.one_of(
    st.sampled_from(HeaderTable.STATIC_TABLE),
    st.tuples(NAMES, st.binary(max_size=300)),
    st.tuples(st.binary(min_size=1, max_size=200), st.binary(max_size=20)),
)


@given(st.lists(PAIRS, max_size=20))
def test_independent_decoder_reads_our_blocks(pairs: list[Pair]) -> None:
    decoder = Decoder(max_header_list_size=1 << 20)
    decoded = [(bytes(name), bytes(value)) for name, value in decoder.decode(encode_fields(pairs), raw=True)]
    assert decoded == pairs
    assert not decoder.header_table.dynamic_entries


# Small names and values, so that a table of few entries fills, evicts and meets the same pair again.
SMALL = st.tuples(st.sampled_from([b"a", b"b", b"c"]), st.sampled_from([b"1", b"2", b"x" * 60]))


SIZES = st.sampled_from([None] * 9 + [0, 40, 120])


@given(st.lists(st.tuples(st.lists(SMALL, max_size=2), SIZES), max_size=30))
@example([([(b"a", b"1")], None), ([(b"a", b"1")], None), ([(b"b", b"1")], None), ([(b"b", b"1")], None)])
def test_remembered_blocks_follow_the_table(lists: list[tuple[list[Pair], int | None]]) -> None:
    encoder, plain, ours = Encoder(), Decoder(), HeaderDecoder(1 << 16)
    for pairs, size in lists:
        if size is not None and encoder.header_table_size != size:
            encoder.header_table_size = size
        block = encoder.encode(pairs)
        expected = [(bytes(name), bytes(value)) for name, value in plain.decode(block, raw=True)]
        assert ours.decode(block).regular == expected == pairs


def test_equal_blocks_share_their_list() -> None:
    decoder = HeaderDecoder(1 << 16)
    block = encode_fields([(b"a", b"b")])
    assert decoder.decode(block) is decoder.decode(block)


@given(st.binary(max_size=200))
def test_garbage_is_a_fault_or_a_list(block: bytes) -> None:
    try:
        fields = HeaderDecoder(1 << 16).decode(block)
    except ConnectionFault:
        return
    assert isinstance(fields, Fields)


def test_compressed_bomb_is_refused() -> None:
    # One large entry in the table, then many references to it.
    encoder = Encoder()
    block = encoder.encode([(b"x", b"y" * 3000)]) + b"\xbe" * 20000
    with pytest.raises(ConnectionFault):
        HeaderDecoder(1 << 16).decode(block)


def test_size_counts_as_http2_does() -> None:
    assert Fields([(b"ab", b"cde"), (b":path", b"/")]).size == 2 + 3 + 32 + 5 + 1 + 32
