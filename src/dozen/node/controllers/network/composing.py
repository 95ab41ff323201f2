"""What a configuration says about links made of software, in its two forms, as `LogicalLink` settings."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from msgspec import structs

from dozen.machinery.config import effective
from dozen.machinery.resources.link import (
    BondMaster,
    BridgeMaster,
    BridgeVlan,
    Stp,
    Veth,
    Vlan,
    VrfMaster,
    Wireguard,
    WireguardPeer,
)
from dozen.machinery.resources.settings import LinkSettings, LogicalLink
from dozen.node.controllers.settings import read_dhcp6, read_link, read_route, read_selector

if TYPE_CHECKING:
    from dozen.machinery.config import Config, links
    from dozen.machinery.config.documents import links as documents

SECOND = 1_000_000_000  # resources count nanoseconds


def read_interface(interface: links.Interface) -> LogicalLink:
    """What an interface of the v1alpha1 document is made of."""
    if interface.bond is not None:
        bond = interface.bond
        selectors = tuple(read_selector(each) for each in bond.device_selectors)
        return LogicalLink(kind="bond", links=bond.interfaces, link_selectors=selectors, bond_master=read_bond(bond))
    if interface.bridge is not None:
        bridge = interface.bridge
        stp = bool(bridge.stp and bridge.stp.enabled)
        filtering = bool(bridge.vlan and bridge.vlan.vlan_filtering)
        return LogicalLink(kind="bridge", links=bridge.interfaces, bridge_master=_bridge(stp, filtering))
    if interface.wireguard is not None:
        return LogicalLink(kind="wireguard", wireguard=read_wireguard(interface.wireguard))
    return LogicalLink(kind="dummy")


def read_vlan(vlan: links.Vlan, parent: LinkSettings) -> LinkSettings:
    """A VLAN of an interface: named for it where that is known by name, else for each link that is found."""
    options = vlan.dhcp_options
    return LinkSettings(
        name=f"{parent.name}.{vlan.vlan_id}" if parent.name else "",
        addresses=(vlan.cidr, *vlan.addresses) if vlan.cidr else vlan.addresses,
        routes=tuple(read_route(route) for route in vlan.routes),
        dhcp=bool(vlan.dhcp) and (options is None or options.ipv4 is not False),
        dhcp_metric=options.route_metric if options else 0,
        dhcp6=read_dhcp6(vlan.dhcp, options),
        mtu=vlan.mtu,
        ignore=parent.ignore,
        virtual_addresses=(vlan.vip.ip,) if vlan.vip else (),
        logical=LogicalLink(
            kind="vlan", parent=parent.name, parent_selector=parent.selector, vlan=Vlan(vlan_id=vlan.vlan_id)
        ),
    )


def read_documents(given: Config) -> Iterator[LinkSettings]:
    """Links that documents of their own describe; a pair is two."""
    for kind, read in READERS.items():
        for document in effective.find_documents(given, kind):
            yield structs.replace(read_link(document.name, document), logical=read(document))
    for document in effective.find_documents(given, "VethConfig"):
        peer = LogicalLink(kind="veth", veth=Veth(peer_name=document.name))
        yield structs.replace(read_link(document.peer.name, document.peer), logical=peer)


def read_bond(bond: links.Bond | documents.BondConfig) -> BondMaster:
    """A bond's parameters: both forms have the kernel's names for most. What is not said is as in a new bond."""
    said: dict[str, Any] = {}
    for name in BondMaster.__struct_fields__:
        value = getattr(bond, OTHER_NAMES.get(name, name), getattr(bond, name, None))
        if value is not None and value not in ("", ()):
            said[name] = value
    for name, spelling in (("arp_validate", lambda text: text.replace("_", "-")), ("xmit_hash_policy", _spell_policy)):
        if name in said:
            said[name] = spelling(said[name])
    return BondMaster(**said)


# Fields of `BondMaster` that the v1alpha1 form or the document calls otherwise.
OTHER_NAMES = {
    "mode": "bond_mode",
    "tlb_logical_lb": "tlb_dynamic_lb",
    "arp_ip_targets": "arp_ip_target",
    "peer_notify_delay": "peer_notif_delay",
}


def _spell_policy(name: str) -> str:
    """The wire has no name for one policy of hashing: it is written as the kernel's number."""
    return "5" if name == "vlan+srcmac" else name


def read_wireguard(said: links.Wireguard | documents.WireguardConfig) -> Wireguard:
    """Key and peers."""
    return Wireguard(
        private_key=said.private_key.reveal(),
        listen_port=said.listen_port,
        firewall_mark=said.firewall_mark,
        peers=tuple(_peer(each) for each in said.peers),
    )


def _peer(said: links.WireguardPeer | documents.WireguardPeer) -> WireguardPeer:
    shared = getattr(said, "preshared_key", None)  # the older form has none
    return WireguardPeer(
        public_key=said.public_key,
        preshared_key=shared.reveal() if shared else "",
        endpoint=said.endpoint,
        persistent_keepalive_interval=int((said.persistent_keepalive_interval or 0) * SECOND),
        allowed_ips=said.allowed_ips,
    )


def _bridge(stp: bool, filtering: bool) -> BridgeMaster:
    return BridgeMaster(stp=Stp(enabled=stp), vlan=BridgeVlan(filtering_enabled=filtering))


def _bond_document(said: documents.BondConfig) -> LogicalLink:
    return LogicalLink(kind="bond", hardware_addr=said.hardware_addr, links=said.links, bond_master=read_bond(said))


def _bridge_document(said: documents.BridgeConfig) -> LogicalLink:
    bridge = _bridge(bool(said.stp and said.stp.enabled), bool(said.vlan and said.vlan.filtering))
    return LogicalLink(kind="bridge", hardware_addr=said.hardware_addr, links=said.links, bridge_master=bridge)


def _dummy_document(said: documents.DummyLinkConfig) -> LogicalLink:
    return LogicalLink(kind="dummy", hardware_addr=said.hardware_addr)


def _vlan_document(said: documents.VLANConfig) -> LogicalLink:
    vlan = Vlan(vlan_id=said.vlan_id, vlan_protocol=said.vlan_mode or "802.1q")
    return LogicalLink(kind="vlan", parent=said.parent, vlan=vlan)


def _vrf_document(said: documents.VRFConfig) -> LogicalLink:
    vrf = VrfMaster(table=said.table)
    return LogicalLink(kind="vrf", hardware_addr=said.hardware_addr, links=said.links, vrf_master=vrf)


def _veth_document(said: documents.VethConfig) -> LogicalLink:
    return LogicalLink(kind="veth", veth=Veth(peer_name=said.peer.name))


def _wireguard_document(said: documents.WireguardConfig) -> LogicalLink:
    return LogicalLink(kind="wireguard", wireguard=read_wireguard(said))


READERS: dict[str, Callable[[Any], LogicalLink]] = {
    "BondConfig": _bond_document,
    "BridgeConfig": _bridge_document,
    "DummyLinkConfig": _dummy_document,
    "VLANConfig": _vlan_document,
    "VRFConfig": _vrf_document,
    "VethConfig": _veth_document,
    "WireguardConfig": _wireguard_document,
}
