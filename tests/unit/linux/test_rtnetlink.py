"""What rtnetlink messages mean, by messages that a kernel sent (tests/cases/network/rtnetlink.json)."""

import json
import struct
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dozen.linux import rtnetlink as rt
from dozen.linux.netlink import MalformedMessage, Message

CASES = json.loads((Path(__file__).parents[2] / "cases/network/rtnetlink.json").read_text())
PARSERS = {
    rt.RTM_NEWLINK: (rt.parse_link, rt.Link),
    rt.RTM_NEWADDR: (rt.parse_address, rt.Address),
    rt.RTM_NEWROUTE: (rt.parse_route, rt.Route),
}


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_a_kernels_message(case: dict[str, object]) -> None:
    parse, record = PARSERS[int(str(case["type"]))]
    message = Message(int(str(case["type"])), 2, 1, 0, bytes.fromhex(str(case["payload"])))
    assert parse(message) == msgspec.convert(case["expected"], record)


@given(st.sampled_from(sorted(PARSERS)), st.binary(max_size=120))
def test_any_payload_is_read_or_refused(kind: int, payload: bytes) -> None:
    try:
        PARSERS[kind][0](Message(kind, 0, 0, 0, payload))
    except MalformedMessage:
        return


@given(st.sampled_from(CASES), st.integers(0, 200), st.integers(0, 255))
def test_a_damaged_message_is_read_or_refused(case: dict[str, str], place: int, value: int) -> None:
    payload = bytearray.fromhex(case["payload"])
    payload[place % len(payload)] = value
    kind = int(case["type"])
    try:
        PARSERS[kind][0](Message(kind, 0, 0, 0, bytes(payload)))
    except MalformedMessage:
        return


def parse_back(kind: int, payload: bytes) -> rt.Link | rt.Address | rt.Route:
    return PARSERS[kind][0](Message(kind, 0, 0, 0, payload))


@pytest.mark.parametrize(
    "address",
    [
        rt.Address(rt.INET4, "10.0.2.15/24", 3, local="10.0.2.15", broadcast="10.0.2.255"),
        rt.Address(rt.INET4, "10.0.2.15/32", 3, local="10.0.2.15", priority=1024, valid=3600, preferred=1800),
        rt.Address(10, "fd00::15/64", 7, local="fd00::15", flags=0x402, scope=rt.SCOPE_LINK),
    ],
)
def test_an_address_is_written_as_it_is_read(address: rt.Address) -> None:
    assert parse_back(rt.RTM_NEWADDR, rt.pack_address_change(address)) == address


@pytest.mark.parametrize(
    "route",
    [
        rt.Route(rt.INET4, gateway="10.0.2.2", link_index=3, priority=1024, protocol=rt.PROTOCOL_DHCP, mtu=1400),
        rt.Route(rt.INET4, "10.1.0.0/16", link_index=3, scope=rt.SCOPE_LINK, source="10.0.2.15", table=1000),
        rt.Route(10, "fd01::/16", gateway="fd00::1", link_index=3, flags=rt.RTNH_F_ONLINK),
        rt.Route(rt.INET4, "10.1.0.0/16", next_hops=(rt.NextHop("10.0.0.1", 2, 1), rt.NextHop("10.0.0.2", 3, 9))),
    ],
)
def test_a_route_is_written_as_it_is_read(route: rt.Route) -> None:
    assert parse_back(rt.RTM_NEWROUTE, rt.pack_route_change(route)) == route


def test_a_change_of_a_link_names_only_what_changes() -> None:
    _, _, index, flags, mask = struct.unpack("=BxHiII", rt.pack_link_change(3, rt.LinkChange(mtu=1400))[:16])
    assert (index, flags, mask) == (3, 0, 0)
    link = parse_back(rt.RTM_NEWLINK, rt.pack_link_change(3, rt.LinkChange(up=True, mtu=1400, name="uplink")))
    assert isinstance(link, rt.Link)
    assert (link.flags, link.mtu, link.name) == (rt.IFF_UP, 1400, "uplink")
    assert struct.unpack("=BxHiII", rt.pack_link_change(3, rt.LinkChange(up=False))[:16])[3:] == (0, rt.IFF_UP)
