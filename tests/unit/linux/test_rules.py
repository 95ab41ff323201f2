"""What messages about routing rules mean."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dozen.linux.netlink import MalformedMessage, Message, pack_attributes
from dozen.linux.rules import HEADER, RTM_NEWRULE, Rule, parse_rule


def message(payload: bytes) -> Message:
    return Message(RTM_NEWRULE, 0, 0, 0, payload)


def u32(value: int) -> bytes:
    return value.to_bytes(4, "little")


def test_a_rule_with_everything() -> None:
    payload = HEADER.pack(2, 16, 24, 0, 252, 0, 0, 1, 0) + pack_attributes(
        [
            (1, bytes((10, 1, 0, 0))),
            (2, bytes((10, 2, 3, 0))),
            (3, b"eth0\0"),
            (17, b"eth1\0"),
            (6, u32(1000)),
            (10, u32(0x40)),
            (16, u32(0xFF)),
            (15, u32(1234)),
        ]
    )
    assert parse_rule(message(payload)) == Rule(
        2, 1000, 1234, 1, "10.2.3.0/24", "10.1.0.0/16", "eth0", "eth1", 0x40, 0xFF
    )


def test_a_rule_for_everything_asks_a_table() -> None:
    assert parse_rule(message(HEADER.pack(10, 0, 0, 0, 255, 0, 0, 1, 0))) == Rule(10, 0, 255, 1)


@given(st.binary(max_size=60))
def test_any_payload_is_read_or_refused(payload: bytes) -> None:
    try:
        assert isinstance(parse_rule(message(payload)), Rule)
    except MalformedMessage:
        return


def test_a_short_one_is_refused() -> None:
    with pytest.raises(MalformedMessage, match="3 bytes"):
        parse_rule(message(b"abc"))
