"""Links made of software: what their drivers read and write of them (IFLA_INFO_DATA), as the fields of resources.

Each kind of link has attributes of its own, numbered from 1. Those of a bond are many and alike, so they are a table.
Numbers and sizes: include/uapi/linux/if_link.h and drivers/net/bonding/bond_netlink.c; WireGuard has none, it is spoken
to over generic netlink (`dozen.linux.wireguard`).
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, Literal, NamedTuple

from dozen.linux.netlink import iterate_attributes, pack_attributes, unpack_attributes, unpack_u32
from dozen.linux.rtnetlink import IFLA_IFNAME, LINK_HEADER, Link, format_address
from dozen.machinery.addresses import INET4, INET6, pack_address
from dozen.machinery.resources.enums import name_of, number_of
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

IFLA_VLAN_ID, IFLA_VLAN_PROTOCOL = 1, 5
IFLA_BR_STP_STATE, IFLA_BR_VLAN_FILTERING = 5, 7
IFLA_VRF_TABLE = 1
VETH_INFO_PEER = 1
IFLA_BOND_ARP_IP_TARGET, IFLA_BOND_PRIMARY, IFLA_BOND_NS_IP6_TARGET = 8, 11, 31


class Field(NamedTuple):
    """A number that a bond has: its attribute, the resource's field, its bytes, and the enumeration of its names."""

    attribute: int
    name: str
    size: int
    enum: str = ""


BOND = (
    Field(1, "mode", 1, "BondMode"),
    Field(3, "miimon", 4),
    Field(4, "updelay", 4),
    Field(5, "downdelay", 4),
    Field(6, "use_carrier", 1),
    Field(7, "arp_interval", 4),
    Field(9, "arp_validate", 4, "ARPValidate"),
    Field(10, "arp_all_targets", 4, "ARPAllTargets"),
    Field(12, "primary_reselect", 1, "PrimaryReselect"),
    Field(13, "fail_over_mac", 1, "FailOverMAC"),
    Field(14, "xmit_hash_policy", 1, "BondXmitHashPolicy"),
    Field(15, "resend_igmp", 4),
    Field(16, "num_peer_notif", 1),
    Field(17, "all_slaves_active", 1),
    Field(18, "min_links", 4),
    Field(19, "lp_interval", 4),
    Field(20, "packets_per_slave", 4),
    Field(21, "lacp_rate", 1, "LACPRate"),
    Field(22, "ad_select", 1, "ADSelect"),
    Field(24, "ad_actor_sys_prio", 2),
    Field(25, "ad_user_port_key", 2),
    Field(27, "tlb_logical_lb", 1),
    Field(28, "peer_notify_delay", 4),
    Field(29, "ad_lacp_active", 1, "ADLACPActive"),
    Field(30, "missed_max", 1),
)
TARGETS = ((IFLA_BOND_ARP_IP_TARGET, "arp_ip_targets", INET4), (IFLA_BOND_NS_IP6_TARGET, "ns_ip6_targets", INET6))

NameOf = Callable[[int], str]
IndexOf = Callable[[str], int]


def describe(link: Link, name_of_link: NameOf) -> dict[str, Any]:
    """What the driver says of a link, as fields of `LinkStatusSpec`; nothing for kinds that are not made here.

    Raises `MalformedMessage`. ``name_of_link`` gives the name of a link's number.
    """
    data = unpack_attributes(link.data)
    if link.kind == "vlan":
        protocol = name_of("VLANProtocol", _number(data, IFLA_VLAN_PROTOCOL, "big"))
        return {"vlan": Vlan(vlan_id=_number(data, IFLA_VLAN_ID), vlan_protocol=protocol)}
    if link.kind == "bridge":
        stp, filtering = _number(data, IFLA_BR_STP_STATE), _number(data, IFLA_BR_VLAN_FILTERING)
        return {
            "bridge_master": BridgeMaster(
                stp=Stp(enabled=bool(stp)), vlan=BridgeVlan(filtering_enabled=bool(filtering))
            )
        }
    if link.kind == "bond":
        return {"bond_master": unpack_bond(data, name_of_link)}
    if link.kind == "vrf":
        return {"vrf_master": VrfMaster(table=name_of("RoutingTable", unpack_u32(data, IFLA_VRF_TABLE)))}
    if link.kind == "veth":
        known = link.parent_index and not link.foreign_parent
        return {"veth": Veth(peer_name=name_of_link(link.parent_index) if known else "")}
    return {}


def unpack_bond(data: dict[int, bytes], name_of_link: NameOf) -> BondMaster:
    """A bond from its attributes; what the kernel does not say is as in a new one."""
    found: dict[str, Any] = {}
    for field in BOND:
        if field.attribute in data:
            number = _number(data, field.attribute)
            found[field.name] = name_of(field.enum, number) if field.enum else number
    found["use_carrier"] = bool(found.get("use_carrier", True))
    for attribute, name, family in TARGETS:
        found[name] = tuple(format_address(family, each) for _, each in iterate_attributes(data.get(attribute, b"")))
    primary = unpack_u32(data, IFLA_BOND_PRIMARY)
    return BondMaster(**found, primary_index=primary, primary=name_of_link(primary) if primary else "")


def pack_bond(wanted: BondMaster, present: BondMaster, index_of: IndexOf) -> bytes:
    """The attributes in which a bond should differ from what it is; raises ValueError for a name without a number."""
    attributes = []
    for field in BOND:
        value = getattr(wanted, field.name)
        if value != getattr(present, field.name):
            number = number_of(field.enum, value) if field.enum else int(value)
            attributes.append((field.attribute, number.to_bytes(field.size, sys.byteorder)))
    for attribute, name, _ in TARGETS:
        targets = getattr(wanted, name)
        if targets != getattr(present, name):
            attributes.append(
                (attribute, pack_attributes([(n, pack_address(each)[1]) for n, each in enumerate(targets)]))
            )
    if wanted.primary != present.primary:
        index = index_of(wanted.primary) if wanted.primary else 0
        attributes.append((IFLA_BOND_PRIMARY, index.to_bytes(4, sys.byteorder)))
    return pack_attributes(attributes)


def pack_data(spec: LinkSpec, index_of: IndexOf, present: LinkStatusSpec) -> bytes:
    """What the driver of a link is told when it is made, or changed from what is ``present``."""
    if spec.vlan is not None:
        protocol = number_of("VLANProtocol", spec.vlan.vlan_protocol).to_bytes(2, "big")
        number = spec.vlan.vlan_id.to_bytes(2, sys.byteorder)
        return pack_attributes([(IFLA_VLAN_ID, number), (IFLA_VLAN_PROTOCOL, protocol)])
    if spec.bond_master is not None:
        return pack_bond(spec.bond_master, present.bond_master or BondMaster(), index_of)
    if spec.bridge_master is not None:
        return _pack_bridge(spec.bridge_master, present.bridge_master or BridgeMaster())
    if spec.vrf_master is not None:
        table = number_of("RoutingTable", spec.vrf_master.table)
        return pack_attributes([(IFLA_VRF_TABLE, table.to_bytes(4, sys.byteorder))])
    if spec.veth is not None:
        peer = pack_attributes([(IFLA_IFNAME, spec.veth.peer_name.encode() + b"\0")])
        return pack_attributes([(VETH_INFO_PEER, LINK_HEADER.pack(0, 0, 0, 0, 0) + peer)])
    return b""


def _pack_bridge(wanted: BridgeMaster, present: BridgeMaster) -> bytes:
    """Only what differs: a kernel without VLAN filtering refuses to be told that there is none."""
    attributes = []
    tree = wanted.stp is not None and wanted.stp.enabled
    if tree != (present.stp is not None and present.stp.enabled):
        attributes.append((IFLA_BR_STP_STATE, tree.to_bytes(4, sys.byteorder)))
    filtering = wanted.vlan is not None and wanted.vlan.filtering_enabled
    if filtering != (present.vlan is not None and present.vlan.filtering_enabled):
        attributes.append((IFLA_BR_VLAN_FILTERING, filtering.to_bytes(1, sys.byteorder)))
    return pack_attributes(attributes)


def _number(data: dict[int, bytes], attribute: int, order: Literal["big", "little"] = sys.byteorder) -> int:
    return int.from_bytes(data.get(attribute, b""), order)
