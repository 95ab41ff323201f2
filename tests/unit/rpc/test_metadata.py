"""Metadata and the spellings of header fields."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dozen.rpc.metadata import (
    Metadata,
    decode_binary,
    decode_message,
    decode_timeout,
    encode_binary,
    encode_message,
    encode_metadata,
    encode_timeout,
)


@given(st.binary(max_size=100))
def test_binary_values_are_read_back(value: bytes) -> None:
    encoded = encode_binary(value)
    assert not encoded.endswith(b"=")
    assert decode_binary(encoded) == value
    assert decode_binary(encoded + b"=" * (-len(encoded) % 4)) == value


@pytest.mark.parametrize("value", [b"!", b"a", b"ab\nc", b"\xff\xff"])
def test_other_values_are_no_base64(value: bytes) -> None:
    assert decode_binary(value) is None


@given(st.text(max_size=100))
def test_messages_are_read_back(text: str) -> None:
    encoded = encode_message(text)
    assert all(0x20 <= byte <= 0x7E for byte in encoded)
    assert decode_message(encoded) == text.encode("utf-8", "replace").decode()


@pytest.mark.parametrize(
    ("value", "text"),
    [(b"50%", "50%"), (b"%zz%41", "%zzA"), (b"%4", "%4"), (b"% 1", "% 1"), (b"%ff", "�"), (b"caf%C3%A9", "café")],
)
def test_bad_escapes_stay(value: bytes, text: str) -> None:
    assert decode_message(value) == text


@given(st.floats(min_value=1e-9, max_value=1e8))
def test_timeouts_round_up_a_little(seconds: float) -> None:
    encoded = encode_timeout(seconds)
    assert len(encoded) <= 9
    decoded = decode_timeout(encoded)
    assert decoded is not None
    assert seconds * 0.999999 - 1e-9 <= decoded <= seconds * 1.01 + 1e-8


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (b"1H", 3600),
        (b"2M", 120),
        (b"3S", 3),
        (b"4m", 0.004),
        (b"5u", 5e-6),
        (b"0n", 0),
        (b"99999999H", 99999999 * 3600),
    ],
)
def test_timeout_units(value: bytes, seconds: float) -> None:
    assert decode_timeout(value) == pytest.approx(seconds)


@pytest.mark.parametrize("value", [b"", b"1", b"S", b"-1S", b"1.5S", b"123456789S", b"1s", "１S".encode()])
def test_other_timeouts_are_none(value: bytes) -> None:
    assert decode_timeout(value) is None


def test_metadata_keep_order_and_repetition() -> None:
    metadata = Metadata(
        [
            (b"node", b"a"),
            (b"content-type", b"application/grpc"),
            (b"node", b"b"),
            (b"grpc-timeout", b"1S"),
            (b"k-bin", b"AP8"),
        ]
    )
    assert list(metadata) == [("node", "a"), ("node", "b"), ("k-bin", "AP8")]
    assert metadata.get("node") == "a"
    assert metadata.all("node") == ["a", "b"]
    assert metadata.get_bytes("k-bin") == b"\0\xff"
    assert metadata.get("absent") is None
    assert "node" in metadata
    assert "absent" not in metadata
    assert len(metadata) == 3


def test_encoded_metadata() -> None:
    assert encode_metadata([("Node", "a"), ("x-bin", b"\0\xff"), ("y-bin", "text")]) == [
        (b"node", b"a"),
        (b"x-bin", b"AP8"),
        (b"y-bin", b"dGV4dA"),
    ]


@pytest.mark.parametrize(
    ("name", "value"),
    [("", "x"), ("a b", "x"), (":path", "/"), ("grpc-status", "0"), ("a", "line\nbreak"), ("a", "café"), ("ä", "x")],
)
def test_what_the_wire_cannot_carry_is_refused(name: str, value: str) -> None:
    with pytest.raises(ValueError):
        encode_metadata([(name, value)])
