"""What drivers of links made of software read and write: written as it is read, and nothing but what differs."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dozen.linux import linkkinds
from dozen.linux.netlink import MalformedMessage, unpack_attributes
from dozen.linux.rtnetlink import Link
from dozen.machinery.resources.enums import ENUMS
from dozen.machinery.resources.link import (
    BondMaster,
    BridgeMaster,
    BridgeVlan,
    LinkSpec,
    LinkStatusSpec,
    Stp,
    Veth,
    Vlan,
    VrfMaster,
)

NUMBERS = {"eth0": 3, "eth1": 4}
NAMES = {number: name for name, number in NUMBERS.items()}
NEW = LinkStatusSpec()


def read_back(spec: LinkSpec) -> dict[str, Any]:
    data = linkkinds.pack_data(spec, NUMBERS.__getitem__, NEW)
    return linkkinds.describe(Link(9, spec.name, 1, 0, kind=spec.kind, data=data), NAMES.__getitem__)


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        ("vlan", {"vlan": Vlan(vlan_id=4094, vlan_protocol="802.1ad")}),
        ("vrf", {"vrf_master": VrfMaster(table="4000000000")}),
        ("vrf", {"vrf_master": VrfMaster(table="local")}),
        ("bridge", {"bridge_master": BridgeMaster(stp=Stp(enabled=True), vlan=BridgeVlan(filtering_enabled=True))}),
        (
            "bond",
            {
                "bond_master": BondMaster(
                    mode="active-backup",
                    miimon=100,
                    primary="eth1",
                    primary_index=4,
                    arp_ip_targets=("10.0.0.1", "10.0.0.2"),
                    ns_ip6_targets=("fd00::1",),
                )
            },
        ),
    ],
)
def test_a_link_is_written_as_it_is_read(kind: str, fields: dict[str, Any]) -> None:
    assert read_back(LinkSpec(name="x", kind=kind, **fields)) == fields


def values(field: linkkinds.Field) -> st.SearchStrategy[Any]:
    if field.enum:
        return st.sampled_from(sorted(ENUMS[field.enum]))
    return st.booleans() if field.name == "use_carrier" else st.integers(0, (1 << 8 * field.size) - 1)


@given(st.fixed_dictionaries({field.name: values(field) for field in linkkinds.BOND}))
def test_every_parameter_of_a_bond(fields: dict[str, Any]) -> None:
    bond = BondMaster(**fields)
    assert read_back(LinkSpec(name="b", kind="bond", bond_master=bond)) == {"bond_master": bond}


def test_a_bond_is_told_only_what_differs() -> None:
    present = BondMaster(mode="802.3ad", miimon=100)
    spec = LinkSpec(kind="bond", bond_master=BondMaster(mode="802.3ad", miimon=200))
    data = linkkinds.pack_data(spec, NUMBERS.__getitem__, LinkStatusSpec(bond_master=present))
    assert unpack_attributes(data) == {3: (200).to_bytes(4, "little")}


def test_a_kernel_without_filtering_is_not_told_of_it() -> None:
    plain = LinkSpec(kind="bridge", bridge_master=BridgeMaster(stp=Stp(), vlan=BridgeVlan()))
    assert linkkinds.pack_data(plain, NUMBERS.__getitem__, NEW) == b""


@pytest.mark.parametrize(("foreign", "peer"), [(False, "eth1"), (True, "")])
def test_the_other_end_of_a_pair_may_be_elsewhere(foreign: bool, peer: str) -> None:
    link = Link(9, "x", 1, 0, kind="veth", parent_index=4, foreign_parent=foreign)
    assert linkkinds.describe(link, NAMES.__getitem__) == {"veth": Veth(peer_name=peer)}


@given(st.sampled_from(["vlan", "bond", "bridge", "vrf", "veth", "dummy"]), st.binary(max_size=80))
def test_anything_is_read_or_refused(kind: str, data: bytes) -> None:
    try:
        linkkinds.describe(Link(9, "x", 1, 0, kind=kind, data=data), str)
    except MalformedMessage:
        return
