"""DHCPv6 messages: what is written can be read, and what others write does no harm."""

from __future__ import annotations

from ipaddress import IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dozen.linux import dhcp6
from dozen.linux.dhcp6 import Association, LeasedAddress, MalformedMessage, Status

CLIENT, SERVER = dhcp6.make_link_duid(b"\x52\x54\0\x12\x34\x56"), b"\0\4" + bytes(16)
# A Reply of a server in the field, as RFC 8415 has the bytes: an address for one hour and what is wanted beside it.
REPLY = bytes.fromhex(
    "07 00abcd"
    "0001 000a 00030001525400123456"
    "0002 0012 000400000000000000000000000000000000"
    "0003 0028 00000007 00000384 000005a0"
    " 0005 0018 fd770000000000000000000000000050 00000708 00000e10"
    "0017 0020 fd770000000000000000000000000053 fe800000000000000000000000000001"
    "0018 000d 076578616d706c65 036f7267 00"
    "0038 0014 0001 0010 fd770000000000000000000000000123"
    "0027 0007 01 056e6f646537"
    "0052 0004 00000078"
)


def message(*options: tuple[int, bytes], kind: int = dhcp6.REPLY) -> bytes:
    return dhcp6.pack_message(kind, 7, [(dhcp6.CLIENT_ID, CLIENT), (dhcp6.SERVER_ID, SERVER), *options])


def test_a_reply() -> None:
    assert dhcp6.parse_reply(REPLY) == dhcp6.Reply(
        type=dhcp6.REPLY,
        transaction=0xABCD,
        client=CLIENT,
        server=SERVER,
        associations=(Association(7, 900, 1440, (LeasedAddress("fd77::50", 1800, 3600),)),),
        dns_servers=("fd77::53",),
        search_domains=("example.org",),
        time_servers=("fd77::123",),
        hostname="node7",
        solicit_limit=120,
    )


@pytest.mark.parametrize("size", [0, 3, 5, 7, 20, len(REPLY) - 1])
def test_a_cut_message_is_none(size: int) -> None:
    with pytest.raises(MalformedMessage):
        dhcp6.parse_reply(REPLY[:size])


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        (dhcp6.pack_message(dhcp6.REPLY, 7, [(dhcp6.CLIENT_ID, CLIENT)]), "who it is from"),
        (dhcp6.pack_message(dhcp6.REPLY, 7, [(dhcp6.SERVER_ID, SERVER)]), "who it is from or for"),
        (
            dhcp6.pack_message(dhcp6.REPLY, 7, [(dhcp6.CLIENT_ID, CLIENT), (dhcp6.SERVER_ID, bytes(131))]),
            "who it is from",
        ),
        (message(kind=dhcp6.SOLICIT), "no use for messages of type 1"),
        (message(kind=12), "no use for messages of type 12"),
        (message((dhcp6.IA_NA, bytes(11))), "without its times"),
        (message((dhcp6.IA_NA, bytes(12) + b"\0\5\0\2ab")), "without its lifetimes"),
        (message((dhcp6.IA_NA, bytes(12) + b"\0\5\0\x18ab")), "reaches beyond the end"),
    ],
)
def test_what_is_no_message_for_a_client(wrong: bytes, reason: str) -> None:
    with pytest.raises(MalformedMessage, match=reason):
        dhcp6.parse_reply(wrong)


def test_of_an_option_that_is_there_twice_the_first_counts() -> None:
    assert dhcp6.parse_reply(message((dhcp6.PREFERENCE, b"\5"), (dhcp6.PREFERENCE, b"\6"))).preference == 5


@pytest.mark.parametrize(
    "address", ["::", "::1", "::ffff:10.0.0.1", "ff02::1", "fe80::1", "febf:ffff::1"], ids=lambda text: str(text)
)
def test_what_can_be_no_hosts_address_is_left_out(address: str) -> None:
    good = LeasedAddress("2001:db8::1", 60, 90)
    packed = dhcp6.pack_association(Association(1, 0, 0, (LeasedAddress(address, 60, 90), good)))
    assert dhcp6.read_association(packed).addresses == (good,)
    assert dhcp6.read_addresses(IPv6Address(address).packed) == ()


def test_an_address_that_is_preferred_for_longer_than_it_is_valid_is_left_out() -> None:
    assert dhcp6.read_leased(dhcp6.pack_leased(LeasedAddress("fd77::1", 91, 90))) is None


def test_an_address_that_is_refused_is_left_out() -> None:
    status = dhcp6.pack_options([(dhcp6.STATUS_CODE, dhcp6.pack_status(Status(dhcp6.NO_BINDING)))])
    assert dhcp6.read_leased(dhcp6.pack_leased(LeasedAddress("fd77::1", 60, 90)) + status) is None


@pytest.mark.parametrize(
    ("value", "status", "said"),
    [
        (None, Status(), ""),
        (b"\0\0fine", Status(0, "fine"), ""),
        (b"\0\2none\nleft\x1b[2J", Status(2, "noneleft[2J"), "it has no addresses: noneleft[2J"),
        (b"\1\0", Status(256), "status 256"),
        (b"\0", Status(dhcp6.FAILED), "it failed"),
    ],
)
def test_a_status(value: bytes | None, status: Status, said: str) -> None:
    found = dhcp6.read_status(value)
    assert found == status
    assert not said or str(found) == said


@pytest.mark.parametrize(
    ("packed", "name"),
    [
        (b"\0\5node7", "node7"),
        (b"\1\5node7\7example\3org\0", "node7.example.org"),
        (b"", ""),
        (b"\0", ""),
        (b"\0\5node", ""),
        (b"\0\5no de", ""),
        (b"\0\3one\0\3two\0", ""),
    ],
)
def test_a_host_name(packed: bytes, name: str) -> None:
    assert dhcp6.read_name(packed) == name


@pytest.mark.parametrize("name", ["node7", "node7.example.org"])
def test_a_host_name_comes_back(name: str) -> None:
    assert dhcp6.read_name(dhcp6.pack_name(name)) == name


def test_time_servers_have_addresses_or_names_and_older_servers_say_them_otherwise() -> None:
    address = IPv6Address("fd77::123").packed
    many = dhcp6.pack_options([(1, address), (2, address), (3, b"\4time\7example\0"), (9, b"?")])
    assert dhcp6.read_time_servers(many) == ("fd77::123", "time.example")
    older = dhcp6.parse_reply(message((dhcp6.SNTP_SERVERS, address)))
    assert older.time_servers == ("fd77::123",)
    assert dhcp6.read_time_servers(b"\0\1\0\x10") == ()


def test_identities() -> None:
    assert CLIENT.hex() == "00030001525400123456"
    assert dhcp6.make_machine_duid("00112233-4455-6677-8899-AABBCCDDEEFF").hex() == (
        "000400112233445566778899aabbccddeeff"
    )
    assert dhcp6.make_machine_duid("") == dhcp6.make_machine_duid("nonsense-of-this-many-digits-----") == b""


seconds = st.integers(0, 0xFFFFFFFF)
leased = st.tuples(st.integers(0x2000 << 112, (0x4000 << 112) - 1), seconds, seconds).map(
    lambda drawn: LeasedAddress(str(IPv6Address(drawn[0])), min(drawn[1:]), max(drawn[1:]))
)
associations = st.builds(
    Association, seconds, seconds, seconds, st.lists(leased, max_size=4).map(tuple), st.just(Status(2, "no"))
)


@given(associations)
def test_an_association_comes_back(association: Association) -> None:
    assert dhcp6.read_association(dhcp6.pack_association(association)) == association


@given(st.lists(st.tuples(st.integers(0, 0xFFFF), st.binary(max_size=40))))
def test_options_come_back(options: list[tuple[int, bytes]]) -> None:
    assert dhcp6.parse_message(dhcp6.pack_message(3, 0xFEDCBA, options)) == (3, 0xFEDCBA, options)


@given(st.integers(0, len(REPLY) - 1), st.integers(0, 255))
def test_a_damaged_message_is_read_or_refused(place: int, value: int) -> None:
    damaged = bytearray(REPLY)
    damaged[place] = value
    try:
        found = dhcp6.parse_reply(bytes(damaged))
    except MalformedMessage:
        return
    assert all(each.preferred <= each.valid for one in found.associations for each in one.addresses)
    assert "\n" not in "".join((*found.search_domains, *found.time_servers, found.hostname, found.status.text))
