"""Links made of software: what they should be like, and what the kernel is to be told for that.

Some of what such a link is can be changed while it is there. For the rest (the number of a VLAN, the mode of a bond,
the table of a VRF) the kernel wants another link: it is removed and made again, and what was on it comes back.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from dozen.machinery.effects.links import ChangeLink, JoinLink, MakeLink, RemoveLink
from dozen.machinery.plan import Effect
from dozen.machinery.resource import Resource
from dozen.machinery.resources.enums import name_of, number_of
from dozen.machinery.resources.link import (
    BondMaster,
    BondSlave,
    BridgeMaster,
    BridgeSlave,
    BridgeVlan,
    LinkSpec,
    LinkStatusSpec,
    Stp,
    VrfMaster,
    VrfSlave,
)
from dozen.machinery.resources.settings import LinkSettings, LogicalLink
from dozen.node.controllers.network.matching import Membership, find_links, is_up, name_vlan

# What a bond takes while it is up and has members (bond_options.c: options without BOND_OPTFLAG_IFDOWN or NOSLAVES).
LIVE = frozenset(
    (
        *("miimon", "updelay", "downdelay", "arp_interval", "arp_ip_targets", "ns_ip6_targets", "arp_validate"),
        *("arp_all_targets", "primary", "primary_index", "primary_reselect", "xmit_hash_policy", "resend_igmp"),
        *("num_peer_notif", "all_slaves_active", "min_links", "lp_interval", "packets_per_slave"),
        *("peer_notify_delay", "missed_max", "use_carrier"),
    )
)
MONITORED = frozenset(("802.3ad", "balance-tlb", "balance-alb"))  # these modes look after their members in any case
DEFAULT_MIIMON = 100  # milliseconds, BOND_DEFAULT_MIIMON

Links = Mapping[str, Resource[LinkStatusSpec]]


def complete(spec: LinkSpec, entry: LinkSettings | None, membership: Membership | None, links: Links) -> LinkSpec:
    """The spec of a link with what it is made of, and what it is a member of."""
    fields: dict[str, Any] = {}
    if membership is not None:
        if membership.kind == "bond":
            fields["bond_slave"] = BondSlave(master_name=membership.master, slave_index=membership.position)
        elif membership.kind == "vrf":
            fields["vrf_slave"] = VrfSlave(master_name=membership.master)
        else:
            fields["bridge_slave"] = BridgeSlave(master_name=membership.master)
    if entry is not None and entry.logical is not None:
        fields |= _parts(spec.name, entry.logical, links)
    return msgspec.structs.replace(spec, **fields)


def _parts(name: str, logical: LogicalLink, links: Links) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "logical": True,
        "kind": logical.kind,
        "type": "none" if logical.kind == "wireguard" else "ether",
        "hardware_addr": logical.hardware_addr.lower(),
        "wireguard": logical.wireguard,
        "veth": logical.veth,
    }
    if logical.vlan is not None:
        found = list(find_links(links.values(), logical.parent, logical.parent_selector))
        if not logical.parent:  # one on each link that is selected: this one is named for its own
            found = [parent for parent in found if name_vlan(parent, logical) == name]
        fields |= {"vlan": logical.vlan, "parent_name": found[0] if found else logical.parent}
    if logical.vrf_master is not None:
        fields["vrf_master"] = VrfMaster(
            table=name_of("RoutingTable", number_of("RoutingTable", logical.vrf_master.table))
        )
    if logical.bridge_master is not None:
        bridge = logical.bridge_master
        fields["bridge_master"] = BridgeMaster(stp=bridge.stp or Stp(), vlan=bridge.vlan or BridgeVlan())
    if logical.bond_master is not None:
        fields["bond_master"] = settle_bond(logical.bond_master)
    return fields


def settle_bond(bond: BondMaster) -> BondMaster:
    """A bond as the kernel will say that it is."""
    miimon = bond.miimon
    if bond.mode in MONITORED and not bond.miimon:
        miimon = DEFAULT_MIIMON
    delays = {name: getattr(bond, name) // miimon * miimon if miimon else 0 for name in ("updelay", "downdelay")}
    return msgspec.structs.replace(bond, miimon=miimon, **delays)


def make_or_remove(
    spec: LinkSpec, link: Resource[LinkStatusSpec] | None, links: Links, leaving: bool
) -> Iterator[Effect]:
    """What makes a link be there, or not, or be another one; nothing when it may stay as it is made."""
    if leaving:
        if link is not None and link.spec.kind == spec.kind:
            yield RemoveLink(spec.name)
    elif link is None:
        if not spec.parent_name or spec.parent_name in links:
            yield MakeLink(spec)
    elif not link.spec.kind or _is_another(spec, link.spec, links):
        if link.spec.kind:
            yield RemoveLink(spec.name)
        yield MakeLink(spec)  # which complains of a physical link of that name


def change(spec: LinkSpec, link: Resource[LinkStatusSpec], links: Links) -> Iterator[Effect]:
    """What makes a link as it should be that stays the one it is."""
    if (spec.bond_master is not None and _differs(spec.bond_master, link.spec, links)) or (
        spec.bridge_master is not None and spec.bridge_master != link.spec.bridge_master
    ):
        yield ChangeLink(spec, link.spec)


def _is_another(spec: LinkSpec, link: LinkStatusSpec, links: Links) -> bool:
    """Whether a link cannot become what it should be."""
    if spec.kind != link.kind:
        return True
    if spec.vlan is not None:
        parent = links.get(spec.parent_name)
        return spec.vlan != link.vlan or (parent is not None and parent.spec.index != link.link_index)
    if spec.vrf_master is not None:
        return spec.vrf_master != link.vrf_master
    if spec.veth is not None:
        peer = link.veth.peer_name if link.veth else ""
        return peer in links and peer != spec.veth.peer_name
    if spec.bond_master is not None and link.bond_master is not None:
        return bool(_difference(spec.bond_master, link.bond_master) - LIVE)
    return False


def _difference(wanted: BondMaster, present: BondMaster) -> set[str]:
    names = {name for name in BondMaster.__struct_fields__ if getattr(wanted, name) != getattr(present, name)}
    if wanted.mode != "802.3ad":
        names -= {"ad_actor_sys_prio", "ad_user_port_key"}  # the kernel tells of them in that mode only
    return names - {"primary_index"}


def _differs(wanted: BondMaster, link: LinkStatusSpec, links: Links) -> bool:
    """Whether a bond should be told something; who is its first choice only once that link is a member."""
    names = _difference(wanted, link.bond_master or BondMaster())
    primary = links.get(wanted.primary)
    if wanted.primary and (primary is None or primary.spec.master_index != link.index):
        names.discard("primary")
    return bool(names)


def join(spec: LinkSpec, link: Resource[LinkStatusSpec], links: Links, made: frozenset[str]) -> Iterator[Effect]:
    """What puts a link where it belongs. One that somebody else put somewhere, and that we do not, may stay there."""
    slave = spec.bond_slave or spec.bridge_slave or spec.vrf_slave
    master = slave.master_name if slave else ""
    present = next((other.id for other in links.values() if other.spec.index == link.spec.master_index), "")
    if not link.spec.master_index:
        present = ""
    if master == present:
        return
    if master and master in links:
        yield JoinLink(link.id, master, down=spec.bond_slave is not None and is_up(link.spec))
    elif not master and present in made:
        yield JoinLink(link.id, "")
