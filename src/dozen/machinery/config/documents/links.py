"""Documents about network interfaces: physical ones and those that are made of others."""

from __future__ import annotations

from typing import Literal

import msgspec

from dozen.machinery.config.model import Document, Model
from dozen.machinery.config.scalars import Duration, IpAddress, LinkName, Mac, Network, Secret


class AddressConfig(Model, frozen=True):
    address: Network = ""
    route_priority: int = 0


class RouteConfig(Model, frozen=True):
    destination: Network = ""
    gateway: IpAddress = ""
    source: IpAddress = ""
    metric: int = 0
    mtu: int = 0
    table: str = ""


class LinkFields(Model, frozen=True, kw_only=True):
    up: bool | None = None
    mtu: int = 0
    addresses: tuple[AddressConfig, ...] = ()
    routes: tuple[RouteConfig, ...] = ()
    multicast: bool | None = None


class LinkDocument(LinkFields, Document, frozen=True, kw_only=True):
    """A document about one interface; all of them share these fields."""


class BondConfig(LinkDocument, frozen=True, kw_only=True):
    name: LinkName
    links: tuple[LinkName, ...]
    bond_mode: Literal[
        "balance-rr", "active-backup", "balance-xor", "broadcast", "802.3ad", "balance-tlb", "balance-alb"
    ]
    hardware_addr: Mac = ""
    miimon: int = 0
    updelay: int = 0
    downdelay: int = 0
    use_carrier: bool | None = None
    xmit_hash_policy: Literal["layer2", "layer3+4", "layer2+3", "encap2+3", "encap3+4"] | None = None
    arp_interval: int = 0
    arp_ip_targets: tuple[str, ...] = ()
    ns_ip6_targets: tuple[str, ...] = ()
    arp_validate: Literal["none", "active", "backup", "all", "filter", "filter-active", "filter-backup"] | None = None
    arp_all_targets: Literal["any", "all"] | None = None
    lacp_rate: Literal["slow", "fast"] | None = None
    fail_over_mac: Literal["none", "active", "follow"] | None = None
    ad_select: Literal["stable", "bandwidth", "count"] | None = None
    ad_actor_sys_prio: int | None = None
    ad_user_port_key: int = 0
    ad_lacp_active: Literal["on", "off"] | None = msgspec.field(name="adLACPActive", default=None)
    primary: str = ""
    primary_reselect: Literal["always", "better", "failure"] | None = None
    resend_igmp: int | None = msgspec.field(name="resendIGMP", default=None)
    min_links: int = 0
    lp_interval: int | None = None
    packets_per_slave: int | None = None
    num_peer_notif: int | None = None
    tlb_logical_lb: int | None = None
    all_slaves_active: int = 0
    peer_notif_delay: int = 0
    missed_max: int | None = None


class BridgeStpConfig(Model, frozen=True):
    enabled: bool | None = None


class BridgeVlanConfig(Model, frozen=True):
    filtering: bool | None = None


class BridgeConfig(LinkDocument, frozen=True, kw_only=True):
    name: LinkName
    links: tuple[LinkName, ...]
    hardware_addr: Mac = ""
    stp: BridgeStpConfig | None = None
    vlan: BridgeVlanConfig | None = None


class DummyLinkConfig(LinkDocument, frozen=True, kw_only=True):
    name: LinkName
    hardware_addr: Mac = ""


class EthernetRingsConfig(Model, frozen=True):
    rx: int = 0
    tx: int = 0
    rx_mini: int = msgspec.field(name="rx-mini", default=0)
    rx_jumbo: int = msgspec.field(name="rx-jumbo", default=0)
    rx_buf_len: int = msgspec.field(name="rx-buf-len", default=0)
    cqe_size: int = msgspec.field(name="cqe-size", default=0)
    tx_push: bool | None = msgspec.field(name="tx-push", default=None)
    rx_push: bool | None = msgspec.field(name="rx-push", default=None)
    tx_push_buf_len: int = msgspec.field(name="tx-push-buf-len", default=0)
    tcp_data_split: bool | None = msgspec.field(name="tcp-data-split", default=None)


class EthernetChannelsConfig(Model, frozen=True):
    rx: int = 0
    tx: int = 0
    other: int = 0
    combined: int = 0


WakeOnLan = Literal["phy", "unicast", "multicast", "broadcast", "arp", "magic", "magicsecure", "filter"]


class EthernetConfig(Document, frozen=True):
    name: str
    features: dict[str, bool] = msgspec.field(default_factory=dict)
    rings: EthernetRingsConfig | None = None
    channels: EthernetChannelsConfig | None = None
    wake_on_lan: tuple[WakeOnLan, ...] | None = None


class LinkConfig(LinkDocument, frozen=True, kw_only=True):
    name: LinkName


class LinkSelector(Model, frozen=True):
    match: str = ""


class LinkAliasConfig(Document, frozen=True):
    name: str
    selector: LinkSelector | None = None


class VethPeerConfig(LinkFields, frozen=True, kw_only=True):
    name: LinkName = ""


class VethConfig(LinkDocument, frozen=True, kw_only=True):
    name: LinkName
    peer: VethPeerConfig


class VLANConfig(LinkDocument, frozen=True, kw_only=True):
    name: LinkName
    vlan_id: int = msgspec.field(name="vlanID")
    parent: LinkName
    vlan_mode: Literal["802.1q", "802.1ad"] | None = None


class VRFConfig(LinkDocument, frozen=True, kw_only=True):
    name: LinkName
    links: tuple[LinkName, ...]
    table: str
    hardware_addr: Mac = ""


class WireguardPeer(Model, frozen=True):
    public_key: str = ""
    preshared_key: Secret = Secret("")
    endpoint: str = ""
    persistent_keepalive_interval: Duration | None = None
    allowed_ips: tuple[Network, ...] = msgspec.field(name="allowedIPs", default=())


class WireguardConfig(LinkDocument, frozen=True, kw_only=True):
    name: LinkName
    private_key: Secret
    listen_port: int = 0
    firewall_mark: int = 0
    peers: tuple[WireguardPeer, ...] = ()
