"""Models of ``machine.network`` in the v1alpha1 document: interfaces with all that hangs on them, resolvers, hosts."""

from __future__ import annotations

from typing import Literal

import msgspec

from dozen.machinery.config.model import Model
from dozen.machinery.config.scalars import (
    Address,
    Duid,
    Duration,
    IpAddress,
    LinkName,
    Mac,
    Network,
    Secret,
)


class DeviceSelector(Model, frozen=True):
    """Finds an interface by what it is; fields may hold shell patterns."""

    bus_path: str = ""
    hardware_addr: str = ""
    permanent_addr: str = ""
    pci_id: str = msgspec.field(name="pciID", default="")
    driver: str = ""
    physical: bool | None = None


class Route(Model, frozen=True):
    """``network`` empty means the default route."""

    network: Network = ""
    gateway: IpAddress = ""
    source: IpAddress = ""
    metric: int = 0
    mtu: int = 0


class DhcpOptions(Model, frozen=True):
    route_metric: int = 1024
    ipv4: bool | None = None
    ipv6: bool | None = None
    duidv6: Duid = ""


class VipEquinix(Model, frozen=True):
    api_token: Secret = Secret("")


class Vip(Model, frozen=True):
    ip: IpAddress
    equinix_metal: VipEquinix | None = None
    hcloud: VipEquinix | None = None


class Vlan(Model, frozen=True):
    vlan_id: int
    addresses: tuple[Address, ...] = ()
    cidr: Network = ""
    routes: tuple[Route, ...] = ()
    dhcp: bool | None = None
    mtu: int = 0
    vip: Vip | None = None
    dhcp_options: DhcpOptions | None = None


class Bond(Model, frozen=True):
    """Field names and values are the kernel's (Documentation/networking/bonding)."""

    interfaces: tuple[LinkName, ...] = ()
    device_selectors: tuple[DeviceSelector, ...] = ()
    arp_ip_target: tuple[IpAddress, ...] = ()
    mode: Literal[
        "balance-rr", "active-backup", "balance-xor", "broadcast", "802.3ad", "balance-tlb", "balance-alb"
    ] = "balance-rr"
    xmit_hash_policy: Literal["layer2", "layer3+4", "layer2+3", "encap2+3", "encap3+4", "vlan+srcmac"] = "layer2"
    lacp_rate: Literal["slow", "fast"] = "slow"
    ad_actor_system: Mac = ""
    arp_validate: Literal["none", "active", "backup", "all", "filter", "filter_active", "filter_backup"] = "none"
    arp_all_targets: Literal["any", "all"] = "any"
    primary: str = ""
    primary_reselect: Literal["always", "better", "failure"] = "always"
    fail_over_mac: Literal["none", "active", "follow"] = "none"
    ad_select: Literal["stable", "bandwidth", "count"] = "stable"
    miimon: int = 0
    updelay: int = 0
    downdelay: int = 0
    arp_interval: int = 0
    resend_igmp: int = 1
    min_links: int = 0
    lp_interval: int = 1
    packets_per_slave: int = 1
    num_peer_notif: int = 1
    tlb_dynamic_lb: int = 1
    all_slaves_active: int = 0
    use_carrier: bool | None = None
    ad_actor_sys_prio: int = 65535
    ad_user_port_key: int = 0
    peer_notify_delay: int = 0


class Stp(Model, frozen=True):
    enabled: bool | None = None


class BridgeVlan(Model, frozen=True):
    vlan_filtering: bool | None = None


class Bridge(Model, frozen=True):
    interfaces: tuple[LinkName, ...] = ()
    stp: Stp | None = None
    vlan: BridgeVlan | None = None


class BridgePort(Model, frozen=True):
    master: LinkName


class WireguardPeer(Model, frozen=True):
    public_key: str
    endpoint: str = ""
    persistent_keepalive_interval: Duration | None = None
    allowed_ips: tuple[Network, ...] = msgspec.field(name="allowedIPs", default=())


class Wireguard(Model, frozen=True):
    private_key: Secret = Secret("")
    listen_port: int = 0
    firewall_mark: int = 0
    peers: tuple[WireguardPeer, ...] = ()


class Interface(Model, frozen=True):
    """One interface, found by name or by selector."""

    interface: LinkName = ""
    device_selector: DeviceSelector | None = None
    addresses: tuple[Address, ...] = ()
    cidr: Network = ""
    routes: tuple[Route, ...] = ()
    bond: Bond | None = None
    bridge: Bridge | None = None
    bridge_port: BridgePort | None = None
    vlans: tuple[Vlan, ...] = ()
    mtu: int = 0
    dhcp: bool | None = None
    ignore: bool = False
    dummy: bool = False
    dhcp_options: DhcpOptions | None = None
    wireguard: Wireguard | None = None
    vip: Vip | None = None
