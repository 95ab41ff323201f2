"""Rules of a firewall as the kernel's: every combination of what is listed, in one transaction."""

from __future__ import annotations

import pytest

from dozen.linux import firewall as fw
from dozen.linux.netlink import iterate_attributes, unpack_attributes
from dozen.machinery.effects.firewall import SetFirewall
from dozen.machinery.resources.firewall import (
    AddressMatch,
    ConntrackMatch,
    IfNameMatch,
    Layer4Match,
    NfTablesChainSpec,
    NfTablesRule,
    PortMatch,
    PortRange,
)

OPERATORS = {0: "==", 1: "!=", 3: "<=", 5: ">="}


def words(expressions: list[bytes]) -> str:
    """A kernel rule as short text."""
    found = []
    for expression in expressions:
        outer = unpack_attributes(expression)
        name = outer[1].rstrip(b"\0").decode()
        inner = unpack_attributes(outer[2])
        if name in ("meta", "ct"):
            found.append(f"{name}{int.from_bytes(inner[2], 'big')}")
        elif name == "payload":
            found.append("@" + ",".join(str(int.from_bytes(inner[kind], "big")) for kind in (2, 3, 4)))
        elif name == "bitwise":
            found.append("&" + unpack_attributes(inner[4])[1].hex())
        elif name == "cmp":
            found.append(OPERATORS[int.from_bytes(inner[2], "big")] + unpack_attributes(inner[3])[1].hex())
        else:
            code = unpack_attributes(unpack_attributes(inner[2])[2])[1]
            found.append("accept" if code == b"\0\0\0\1" else "drop")
    return " ".join(found)


def compiled(**fields: object) -> list[str]:
    return [words(each) for each in fw.compile_rule(NfTablesRule(**fields))]  # type: ignore[arg-type]


FOUR, SIX = "meta15 ==02", "meta15 ==0a"
TEN = "@1,12,4 &ff000000 {}0a000000"
ONE = "@1,12,4 &ffffffff {}0a010203"
FD = "@1,8,16 &ffff0000000000000000000000000000 {}fd000000000000000000000000000000"


@pytest.mark.parametrize(
    ("match", "ways"),
    [
        (AddressMatch(include_subnets=("10.9.9.9/8",)), [f"{FOUR} {TEN.format('==')}"]),
        (
            AddressMatch(include_subnets=("10.0.0.0/8", "fd00::/16"), exclude_subnets=("10.1.2.3/32",)),
            [f"{FOUR} {TEN.format('==')} {ONE.format('!=')}", f"{SIX} {FD.format('==')}"],
        ),
        (
            AddressMatch(include_subnets=("10.0.0.0/8",), exclude_subnets=("10.1.2.3/32",), invert=True),
            [f"{FOUR} {TEN.format('!=')}", f"{FOUR} {ONE.format('==')}", SIX],
        ),
        (AddressMatch(exclude_subnets=("10.1.2.3/32",)), [f"{FOUR} {ONE.format('!=')}", SIX]),
    ],
    ids=["one subnet", "some but not one", "all but some, or one", "all but one"],
)
def test_addresses(match: AddressMatch, ways: list[str]) -> None:
    assert compiled(match_source_address=match, verdict="drop") == [f"{way} drop" for way in ways]


def test_a_destination_is_elsewhere_in_the_packet() -> None:
    (way,) = compiled(match_destination_address=AddressMatch(include_subnets=("10.0.0.0/8",)))
    assert way == f"{FOUR} @1,16,4 &ff000000 ==0a000000"


def test_ports_of_a_protocol() -> None:
    ranges = (PortRange(lo=80, hi=80), PortRange(lo=1000, hi=2000))
    layer = Layer4Match(protocol="udp", match_destination_port=PortMatch(ranges=ranges))
    assert compiled(match_layer4=layer, verdict="accept") == [
        "meta16 ==11 @2,2,2 >=0050 <=0050 accept",
        "meta16 ==11 @2,2,2 >=03e8 <=07d0 accept",
    ]


def test_every_combination_is_a_rule_of_its_own() -> None:
    ranges = (PortRange(lo=80, hi=80), PortRange(lo=90, hi=90))
    layer = Layer4Match(match_destination_port=PortMatch(ranges=ranges))
    subnets = AddressMatch(include_subnets=("10.0.0.0/8", "10.1.2.3/32"))
    assert len(compiled(match_layer4=layer, match_source_address=subnets)) == 4


def test_links_and_connections() -> None:
    name = b"lo".ljust(16, b"\0").hex()
    assert compiled(match_i_if_name=IfNameMatch(interface_name=("lo",)), verdict="accept") == [f"meta6 =={name} accept"]
    assert compiled(match_i_if_name=IfNameMatch(interface_name=("lo",), operator="!=")) == [f"meta6 !={name}"]
    (way,) = compiled(match_conntrack_state=ConntrackMatch(states=("established", "related")), verdict="accept")
    assert way == "ct0 &06000000 !=00000000 accept"


def test_a_table_is_replaced_in_one_transaction() -> None:
    chain = NfTablesChainSpec(policy="drop", priority="mangle", rules=(NfTablesRule(verdict="accept"),))
    messages = list(fw.plan_messages(SetFirewall((("ingress", chain),))))
    assert [message.type & 0xFF for message in messages] == [16, 0, 2, 0, 3, 6, 17]
    attributes = dict(iterate_attributes(messages[4].payload[4:]))
    assert unpack_attributes(attributes[fw.CHAIN_HOOK])[fw.HOOK_PRIORITY] == (-150 & 0xFFFFFFFF).to_bytes(4, "big")
    assert attributes[fw.CHAIN_POLICY] == bytes(4)
    assert [message.type & 0xFF for message in fw.plan_messages(SetFirewall(()))] == [16, 0, 2, 17]
