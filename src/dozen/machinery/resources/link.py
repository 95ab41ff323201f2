"""Network links: what the kernel and the drivers say of them, and what they should be.

``flags`` are the names of the kernel's IFF_ bits joined by commas (``UP,BROADCAST,RUNNING``); hardware addresses are
text (``02:00:00:00:00:01``).
"""

from __future__ import annotations

from dozen.machinery.resource import Kind, Sensitivity
from dozen.machinery.resources.spec import Spec


class Vlan(Spec):
    """Tag and protocol of a VLAN."""

    vlan_id: int = 0
    vlan_protocol: str = "802.1q"

    WIRE = "1 vlanID uint32, 2 vlanProtocol enum:VLANProtocol"


class Stp(Spec):
    """Spanning tree of a bridge."""

    enabled: bool = False

    WIRE = "1 enabled bool"


class BridgeVlan(Spec):
    """VLAN filtering of a bridge."""

    filtering_enabled: bool = False

    WIRE = "1 filteringEnabled bool"


class BridgeMaster(Spec):
    """Settings of a bridge."""

    stp: Stp | None = None
    vlan: BridgeVlan | None = None

    WIRE = "1 stp Stp omit, 2 vlan BridgeVlan omit"


class BondMaster(Spec):
    """Settings of a bond; times are milliseconds, and what is not said is as the kernel has it for a new one."""

    mode: str = "balance-rr"
    xmit_hash_policy: str = "layer2"
    lacp_rate: str = "slow"
    arp_validate: str = "none"
    arp_all_targets: str = "any"
    primary_index: int = 0
    primary_reselect: str = "always"
    fail_over_mac: str = "none"
    ad_select: str = "stable"
    miimon: int = 0
    updelay: int = 0
    downdelay: int = 0
    arp_interval: int = 0
    resend_igmp: int = 1
    min_links: int = 0
    lp_interval: int = 1
    packets_per_slave: int = 1
    num_peer_notif: int = 1
    tlb_logical_lb: int = 1
    all_slaves_active: int = 0
    use_carrier: bool = True
    ad_actor_sys_prio: int = 65535
    ad_user_port_key: int = 0
    peer_notify_delay: int = 0
    arp_ip_targets: tuple[str, ...] = ()
    ns_ip6_targets: tuple[str, ...] = ()
    ad_lacp_active: str = "on"
    missed_max: int = 2
    primary: str = ""

    WIRE = """
        1 mode enum:BondMode, 2 xmitHashPolicy enum:BondXmitHashPolicy, 3 lacpRate enum:LACPRate,
        4 arpValidate enum:ARPValidate, 5 arpAllTargets enum:ARPAllTargets, 6 primaryIndex uint32 omit,
        7 primaryReselect enum:PrimaryReselect, 8 failOverMac enum:FailOverMAC, 9 adSelect enum:ADSelect omit,
        10 miimon uint32 omit, 11 updelay uint32 omit, 12 downdelay uint32 omit, 13 arpInterval uint32 omit,
        14 resendIgmp uint32 omit, 15 minLinks uint32 omit, 16 lpInterval uint32 omit,
        17 packetsPerSlave uint32 omit, 18 numPeerNotif uint32 omit, 19 tlbLogicalLb uint32 omit,
        20 allSlavesActive uint32 omit, 21 useCarrier bool omit, 22 adActorSysPrio uint32 omit,
        23 adUserPortKey uint32 omit, 24 peerNotifyDelay uint32 omit, 25 arpIpTargets [addr] omit,
        26 nsIp6Targets [addr] omit, 27 adLacpActive enum:ADLACPActive omit, 28 missedMax uint32 omit,
        29 primary string omit
    """


class VrfMaster(Spec):
    """The routing table of a VRF."""

    table: str = "main"

    WIRE = "1 table enum:RoutingTable"


class WireguardPeer(Spec):
    """Another end of a WireGuard tunnel."""

    public_key: str = ""
    preshared_key: str = ""
    endpoint: str = ""
    persistent_keepalive_interval: int = 0
    allowed_ips: tuple[str, ...] = ()

    WIRE = """
        1 publicKey string, 2 presharedKey string, 3 endpoint string, 4 persistentKeepaliveInterval duration,
        5 allowedIPs [prefix]
    """


class Wireguard(Spec):
    """Settings of a WireGuard link."""

    private_key: str = ""
    public_key: str = ""
    listen_port: int = 0
    firewall_mark: int = 0
    peers: tuple[WireguardPeer, ...] = ()

    WIRE = """
        1 privateKey string omit, 2 publicKey string omit, 3 listenPort int64, 4 firewallMark int64,
        5 peers [WireguardPeer]
    """


class Veth(Spec):
    """The other end of a virtual pair."""

    peer_name: str = ""

    WIRE = "1 peerName string omit"


class LinkStatusSpec(Spec):
    """A network link as the kernel and the driver describe it; its id is the name of the link."""

    alias: str = ""
    alt_names: tuple[str, ...] = ()
    index: int = 0
    type: str = "ether"
    link_index: int = 0
    flags: str = ""
    hardware_addr: str = ""
    permanent_addr: str = ""
    broadcast_addr: str = ""
    mtu: int = 0
    queue_disc: str = ""
    master_index: int = 0
    operational_state: str = "unknown"
    kind: str = ""
    slave_kind: str = ""
    bus_path: str = ""
    pci_id: str = ""
    driver: str = ""
    driver_version: str = ""
    firmware_version: str = ""
    product_id: str = ""
    vendor_id: str = ""
    product: str = ""
    vendor: str = ""
    link_state: bool = False
    speed_mbit: int = 0
    port: str = "Other"
    duplex: str = "Unknown"
    vlan: Vlan | None = None
    bridge_master: BridgeMaster | None = None
    bond_master: BondMaster | None = None
    vrf_master: VrfMaster | None = None
    wireguard: Wireguard | None = None
    veth: Veth | None = None

    WIRE = """
        31 alias string omit, 32 altNames [string] omit, 1 index uint32, 2 type enum:LinkType,
        3 linkIndex uint32, 4 flags flags:LinkFlags, 5 hardwareAddr hwaddr, 30 permanentAddr hwaddr,
        6 broadcastAddr hwaddr, 7 mtu uint32, 8 queueDisc string, 9 masterIndex uint32 omit,
        10 operationalState enum:OperationalState, 11 kind string, 12 slaveKind string, 13 busPath string omit,
        14 pciID string omit, 15 driver string omit, 16 driverVersion string omit,
        17 firmwareVersion string omit, 18 productID string omit, 19 vendorID string omit,
        20 product string omit, 21 vendor string omit, 22 linkState bool, 23 speedMbit int64 omit,
        24 port enum:Port, 25 duplex enum:Duplex, 26 vlan Vlan omit, 27 bridgeMaster BridgeMaster omit,
        28 bondMaster BondMaster omit, 33 vrfMaster VrfMaster omit, 29 wireguard Wireguard omit,
        34 veth Veth omit
    """


LINK_STATUS = Kind(
    "LinkStatuses.net.talos.dev",
    "network",
    LinkStatusSpec,
    "LinkStatus",
    aliases=("link", "links", "linkstatus", "ls"),
    columns=(
        ("Alias", "{.alias}"),
        ("Type", "{.type}"),
        ("Kind", "{.kind}"),
        ("Hw Addr", "{.hardwareAddr}"),
        ("Oper State", "{.operationalState}"),
        ("Link State", "{.linkState}"),
    ),
)


class BondSlave(Spec):
    """Membership in a bond."""

    master_name: str = ""
    slave_index: int = 0

    WIRE = "1 masterName string omit, 2 slaveIndex int64 omit"


class BridgeSlave(Spec):
    """Membership in a bridge."""

    master_name: str = ""

    WIRE = "1 masterName string omit"


class VrfSlave(Spec):
    """Membership in a VRF."""

    master_name: str = ""

    WIRE = "1 masterName string omit"


class LinkSpec(Spec):
    """A link that should exist, and how it should be set up. ``logical``: it is made of software, by us.

    What is empty, 0 or None is left as it is; ``hardware_addr`` and ``multicast`` are the kernel's choice then.
    """

    name: str = ""
    logical: bool = False
    up: bool = False
    mtu: int = 0
    kind: str = ""
    type: str = "ether"
    hardware_addr: str = ""
    parent_name: str = ""
    bond_slave: BondSlave | None = None
    bridge_slave: BridgeSlave | None = None
    vrf_slave: VrfSlave | None = None
    vlan: Vlan | None = None
    bond_master: BondMaster | None = None
    bridge_master: BridgeMaster | None = None
    vrf_master: VrfMaster | None = None
    wireguard: Wireguard | None = None
    veth: Veth | None = None
    layer: str = "default"
    multicast: bool | None = None

    WIRE = """
        1 name string, 2 logical bool, 3 up bool, 4 mtu uint32, 5 kind string, 6 type enum:LinkType,
        15 hardwareAddr hwaddr omit, 7 parentName string omit, 8 bondSlave BondSlave inline omit,
        9 bridgeSlave BridgeSlave omit, 18 vrfSlave VrfSlave omit, 10 vlan Vlan omit,
        11 bondMaster BondMaster omit, 12 bridgeMaster BridgeMaster omit, 17 vrfMaster VrfMaster omit,
        13 wireguard Wireguard omit, 19 veth Veth omit, 14 layer enum:ConfigLayer, 16 multicast bool omit
    """


LINK_SPEC = Kind(
    "LinkSpecs.net.talos.dev",
    "network",
    LinkSpec,
    "LinkSpec",
    aliases=("linkspec", "ls"),
    sensitivity=Sensitivity.SENSITIVE,
)


class TunnelStatusSpec(Spec):
    """A WireGuard link that has been told its key and peers: which link, by number, and which version of its spec."""

    index: int = 0
    spec_version: str = ""

    WIRE = "1 index uint32, 2 specVersion string"


TUNNEL_STATUS = Kind(
    "TunnelStatuses.net.dozen",
    "network",
    TunnelStatusSpec,
    "TunnelStatus",
    aliases=("tunnelstatus", "tunnels"),
    columns=(("Index", "{.index}"), ("Spec Version", "{.specVersion}")),
)


class LinkAliasSpec(Spec):
    """Another name that a link should have; its id is the name of the link."""

    alias: str = ""

    WIRE = "1 alias string"


LINK_ALIAS_SPEC = Kind(
    "LinkAliasSpecs.net.talos.dev",
    "network",
    LinkAliasSpec,
    "LinkAliasSpec",
    aliases=("linkaliasspec", "las"),
    columns=(("Alias", "{.alias}"),),
)
