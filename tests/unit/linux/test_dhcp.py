"""DHCP messages: what is written, what is read, and above all what is not believed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dozen.linux import dhcp
from dozen.linux.dhcp import Lease, LeaseRoute, MalformedReply

MAC = bytes.fromhex("525400123456")


def reply(options: list[tuple[int, bytes]], address: str = "10.0.2.15", **fields: bytes) -> bytes:
    """A server's message, as a server would write it."""
    octets = bytes(int(part) for part in address.split("."))
    fixed = dhcp.FIXED.pack(
        *(dhcp.REPLY, 1, 6, 0, 0xABCD1234, 0, 0, bytes(4), octets, bytes(4), bytes(4), MAC),
        *(fields.get("server_name", b""), fields.get("boot_file", b"")),
    )
    return fixed + dhcp.COOKIE + dhcp.pack_options(options)


def lease(*options: tuple[int, bytes], address: str = "10.0.2.15") -> Lease:
    message = reply([(dhcp.MESSAGE_TYPE, b"\x05"), (dhcp.SERVER_ID, bytes((10, 0, 2, 2))), *options], address)
    return dhcp.read_lease(dhcp.parse_reply(message))


def test_a_full_answer() -> None:
    assert lease(
        (dhcp.SUBNET_MASK, bytes((255, 255, 255, 0))),
        (dhcp.ROUTER, bytes((10, 0, 2, 2))),
        (dhcp.DNS_SERVER, bytes((10, 0, 2, 3, 1, 1, 1, 1))),
        (dhcp.DOMAIN_NAME, b"example.org\0"),
        (dhcp.HOST_NAME, b"node7"),
        (dhcp.NTP_SERVERS, bytes((10, 0, 2, 4))),
        (dhcp.INTERFACE_MTU, (1400).to_bytes(2, "big")),
        (dhcp.LEASE_TIME, (86400).to_bytes(4, "big")),
        (dhcp.DOMAIN_SEARCH, b"\x01a\x07example\0\x01b\xc0\x00"),
    ) == Lease(
        address="10.0.2.15",
        prefix=24,
        server="10.0.2.2",
        duration=86400,
        renewal=43200,
        rebinding=75600,
        routes=(LeaseRoute("0.0.0.0/0", "10.0.2.2"),),
        dns_servers=("10.0.2.3", "1.1.1.1"),
        search_domains=("a.example", "b.a.example"),
        hostname="node7",
        domain="example.org",
        time_servers=("10.0.2.4",),
        mtu=1400,
    )


def test_a_bare_answer_has_defaults() -> None:
    bare = lease()
    assert (bare.prefix, bare.duration, bare.renewal, bare.rebinding) == (8, 3600, 1800, 3150)
    assert (bare.routes, bare.dns_servers, bare.mtu) == ((), (), 0)


@pytest.mark.parametrize(("address", "prefix"), [("10.0.2.15", 8), ("172.16.0.1", 16), ("192.168.1.1", 24)])
def test_without_a_mask_the_addresss_class_decides(address: str, prefix: int) -> None:
    assert lease(address=address).prefix == prefix
    assert lease((dhcp.SUBNET_MASK, bytes((255, 0, 255, 0))), address=address).prefix == prefix


@pytest.mark.parametrize(
    ("value", "routes"),
    [
        ("00 0a000201", [("0.0.0.0/0", "10.0.2.1")]),
        ("18 c0a801 0a000201 20 01020304 00000000", [("192.168.1.0/24", "10.0.2.1"), ("1.2.3.4/32", "")]),
        ("0c ac10 0a000201", [("172.16.0.0/12", "10.0.2.1")]),
        ("21 0102030405 0a000201", []),
        ("18 c0a801 0a0002", []),
    ],
    ids=["default", "two, one on the link", "odd length", "impossible length", "cut"],
)
def test_classless_routes(value: str, routes: list[tuple[str, str]]) -> None:
    assert dhcp.read_classless_routes(bytes.fromhex(value)) == tuple(LeaseRoute(*route) for route in routes)


def test_classless_routes_displace_routers() -> None:
    router, routes = (dhcp.ROUTER, bytes((10, 0, 2, 9))), (dhcp.CLASSLESS_ROUTES, bytes.fromhex("000a000201"))
    assert lease(router, routes).routes == (LeaseRoute("0.0.0.0/0", "10.0.2.1"),)
    broken = (dhcp.CLASSLESS_ROUTES, b"\x21")
    assert lease(router, broken).routes == (LeaseRoute("0.0.0.0/0", "10.0.2.9"),)


@pytest.mark.parametrize("text", ["a\nnameserver 6.6.6.6", "a b", "-a", "a..b", "a" * 64, "x." * 130, "a;b", "ä", "a-"])
def test_names_that_are_none_are_left_out(text: str) -> None:
    value = text.encode()
    assert dhcp.read_domain(value) == ""
    assert lease((dhcp.HOST_NAME, value), (dhcp.DOMAIN_NAME, value)).hostname == ""


@pytest.mark.parametrize("address", ["0.0.0.0", "127.0.0.1", "224.0.0.1", "255.255.255.255", "0.1.2.3"])
def test_an_address_that_no_host_can_have_is_refused(address: str) -> None:
    with pytest.raises(MalformedReply):
        lease(address=address)


@pytest.mark.parametrize("mtu", [0, 68, 575])
def test_an_mtu_that_breaks_things_is_left_out(mtu: int) -> None:
    assert lease((dhcp.INTERFACE_MTU, mtu.to_bytes(2, "big"))).mtu == 0


def test_times_that_contradict_each_other_are_made_up() -> None:
    times = [(dhcp.LEASE_TIME, 100), (dhcp.RENEWAL_TIME, 90), (dhcp.REBINDING_TIME, 80)]
    assert lease(*((code, value.to_bytes(4, "big")) for code, value in times)).renewal == 50
    assert lease((dhcp.LEASE_TIME, bytes(4))).duration == dhcp.SHORTEST_LEASE


def test_options_may_be_in_the_fixed_fields() -> None:
    message = reply(
        [(dhcp.MESSAGE_TYPE, b"\x02"), (dhcp.OVERLOAD, b"\x03")],
        server_name=dhcp.pack_options([(dhcp.HOST_NAME, b"node7")]),
        boot_file=dhcp.pack_options([(dhcp.SERVER_ID, bytes((10, 0, 2, 2)))]),
    )
    parsed = dhcp.parse_reply(message)
    assert (parsed.server, parsed.options[dhcp.HOST_NAME]) == ("10.0.2.2", b"node7")


@pytest.mark.parametrize("cut", [0, 100, 239, 240])
def test_a_cut_message_is_refused(cut: int) -> None:
    with pytest.raises(MalformedReply):
        dhcp.parse_reply(reply([(dhcp.MESSAGE_TYPE, b"\x02")])[:cut])


def test_a_request_is_no_reply() -> None:
    with pytest.raises(MalformedReply):
        dhcp.parse_reply(dhcp.pack_request(dhcp.Request(dhcp.DISCOVER, 1, MAC)))


@given(
    st.lists(st.tuples(st.integers(1, 254), st.binary(min_size=1, max_size=600)), unique_by=lambda o: o[0], max_size=6)
)
def test_options_come_back_however_long(options: list[tuple[int, bytes]]) -> None:
    assert dhcp.parse_options(dhcp.pack_options(options)) == dict(options)


@given(st.binary(max_size=700))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    try:
        dhcp.read_lease(dhcp.parse_reply(data))
    except MalformedReply:
        return


@given(st.lists(st.tuples(st.integers(1, 254), st.binary(max_size=40)), max_size=12), st.binary(max_size=64))
def test_any_options_give_a_usable_lease_or_none(options: list[tuple[int, bytes]], extra: bytes) -> None:
    head = [(dhcp.MESSAGE_TYPE, b"\x05"), (dhcp.OVERLOAD, b"\x02")]
    try:
        got = dhcp.read_lease(dhcp.parse_reply(reply(head + options, server_name=extra)))
    except MalformedReply:
        return
    assert 0 < got.renewal < got.rebinding < got.duration
    assert 0 <= got.prefix <= 32
    for text in (got.hostname, got.domain, *got.search_domains):
        assert text == "" or (text.isascii() and not set(text) & set(" \n\t;#\0"))


@given(st.binary(max_size=80))
def test_reading_search_domains_ends(value: bytes) -> None:
    assert all(dhcp.read_domain(name.encode()) == name for name in dhcp.read_search(value))
