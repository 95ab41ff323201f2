"""Netlink's framing: what is packed comes back, and bytes that are not netlink are refused, never misread."""

import errno

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dozen.linux import netlink
from dozen.linux.netlink import MalformedMessage, Message, NetlinkError

MESSAGES = st.builds(
    Message,
    st.integers(0, 0xFFFF),
    st.integers(0, 0xFFFF),
    st.integers(0, 0xFFFFFFFF),
    st.integers(0, 0xFFFFFFFF),
    st.binary(max_size=50),
)
ATTRIBUTES = st.lists(st.tuples(st.integers(0, netlink.NLA_TYPE_MASK), st.binary(max_size=40)), max_size=8)


@given(st.lists(MESSAGES, max_size=6))
def test_messages_come_back(messages: list[Message]) -> None:
    data = b"".join(netlink.pack_message(message) for message in messages)
    assert list(netlink.unpack_messages(data)) == messages


@given(ATTRIBUTES)
def test_attributes_come_back_in_order(attributes: list[tuple[int, bytes]]) -> None:
    data = netlink.pack_attributes(attributes)
    assert len(data) % 4 == 0
    assert list(netlink.iterate_attributes(data)) == attributes


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    for read in (lambda: list(netlink.unpack_messages(data)), lambda: netlink.unpack_attributes(data)):
        try:
            read()
        except MalformedMessage:
            continue


@pytest.mark.parametrize(
    "data",
    [
        b"\x10\x00\x00\x00",
        b"\x0f\x00\x00\x00" + bytes(12),
        b"\x14\x00\x00\x00" + bytes(12),
        bytes(16),
    ],
    ids=["cut head", "length below the head", "length beyond the end", "no length: would never end"],
)
def test_broken_lengths_are_refused(data: bytes) -> None:
    with pytest.raises(MalformedMessage):
        list(netlink.unpack_messages(data))


def test_flags_in_an_attribute_type_are_not_part_of_it() -> None:
    nested = b"\x08\x00\x12\x80" + b"abcd"
    assert netlink.unpack_attributes(nested) == {0x12: b"abcd"}


def acknowledge(number: int, flags: int = 0, rest: bytes = b"") -> Message:
    return Message(netlink.NLMSG_ERROR, flags, 1, 0, number.to_bytes(4, "little", signed=True) + rest)


def test_zero_is_an_acknowledgement() -> None:
    netlink.raise_error(acknowledge(0))


def test_an_error_has_the_systems_text() -> None:
    with pytest.raises(NetlinkError, match="No such device") as caught:
        netlink.raise_error(acknowledge(-errno.ENODEV))
    assert caught.value.errno == errno.ENODEV


@pytest.mark.parametrize("capped", [True, False])
def test_an_error_has_the_kernels_own_text_when_there_is_one(capped: bool) -> None:
    payload = b"" if capped else b"the request!"
    head = netlink.HEADER.pack(netlink.HEADER.size + 12, 24, 5, 1, 0)
    text = netlink.pack_attributes([(netlink.NLMSGERR_ATTR_MSG, b"Nexthop has invalid gateway\0")])
    flags = netlink.NLM_F_ACK_TLVS | (netlink.NLM_F_CAPPED if capped else 0)
    with pytest.raises(NetlinkError, match="Nexthop has invalid gateway"):
        netlink.raise_error(acknowledge(-errno.ENETUNREACH, flags, head + payload + text))


@given(st.binary(max_size=60), st.integers(0, 0xFFFF))
def test_a_broken_explanation_does_not_hide_the_error(rest: bytes, flags: int) -> None:
    with pytest.raises(NetlinkError):
        netlink.raise_error(acknowledge(-errno.EPERM, flags, rest))
