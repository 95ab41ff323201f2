"""What the machine configuration says about network, time and kernel, as resources of our own.

The machine configuration is one long text with much that controllers do not care about, and says some things in two
ways. Whoever takes it in puts these short answers into the store, one for each subject; controllers read nothing else
of it. They are there even when there is no configuration, with the defaults: as long as one is missing, it is not yet
known what the machine should be, and nothing is done. Each has the id of its subject: ``network``, ``time``,
``kernel``.
"""

from __future__ import annotations

from dozen.machinery.resource import Kind, Sensitivity
from dozen.machinery.resources.link import BondMaster, BridgeMaster, Veth, Vlan, VrfMaster, Wireguard
from dozen.machinery.resources.spec import Spec

NETWORK, TIME, KERNEL = "network", "time", "kernel"

DEFAULT_TIME_SERVERS = ("time.cloudflare.com",)


class LinkSelector(Spec):
    """Finds links by what they are. Texts may hold shell patterns; an empty one fits every link."""

    bus_path: str = ""
    hardware_addr: str = ""
    permanent_addr: str = ""
    pci_id: str = ""
    driver: str = ""
    physical: bool = False

    WIRE = """
        1 busPath string omit, 2 hardwareAddr string omit, 3 permanentAddr string omit, 4 pciID string omit,
        5 driver string omit, 6 physical bool omit
    """


class RouteSettings(Spec):
    """A route by way of a link. ``network`` "" is the default route, ``metric`` 0 the usual, ``table`` "" the main."""

    network: str = ""
    gateway: str = ""
    source: str = ""
    metric: int = 0
    mtu: int = 0
    table: str = ""

    WIRE = """
        1 network string omit, 2 gateway string omit, 3 source string omit, 4 metric uint32 omit, 5 mtu uint32 omit,
        6 table string omit
    """


class LogicalLink(Spec):
    """A link that is to be made of software. ``links`` and what ``link_selectors`` find are its members.

    A VLAN is on ``parent``, or one is on each link that ``parent_selector`` finds and is named for it.
    """

    kind: str = ""
    parent: str = ""
    parent_selector: LinkSelector | None = None
    hardware_addr: str = ""
    links: tuple[str, ...] = ()
    link_selectors: tuple[LinkSelector, ...] = ()
    vlan: Vlan | None = None
    bond_master: BondMaster | None = None
    bridge_master: BridgeMaster | None = None
    vrf_master: VrfMaster | None = None
    wireguard: Wireguard | None = None
    veth: Veth | None = None

    WIRE = """
        1 kind string, 2 parent string omit, 3 parentSelector LinkSelector omit, 4 hardwareAddr hwaddr omit,
        5 links [string] omit, 6 linkSelectors [LinkSelector] omit, 7 vlan Vlan omit, 8 bondMaster BondMaster omit,
        9 bridgeMaster BridgeMaster omit, 10 vrfMaster VrfMaster omit, 11 wireguard Wireguard omit, 12 veth Veth omit
    """


class DHCP6Settings(Spec):
    """That a link asks for addresses by DHCPv6; ``metric`` 0 is the default's."""

    metric: int = 0
    identifier: str = "mac"
    duid: str = ""
    ignore_hostname: bool = False

    WIRE = "1 metric uint32 omit, 2 identifier string, 3 duid string omit, 4 ignoreHostname bool omit"


class LinkSettings(Spec):
    """How links should be set up: the one called ``name``, or those that ``selector`` finds.

    ``bridge`` is one that the link is to be a port of, whatever else that bridge's own settings say.
    ``dhcp`` and the fields beginning with ``dhcp_`` are about DHCPv4. ``address_priorities`` are metrics of the routes
    that come with the addresses, in their order; 0 is the kernel's.
    """

    name: str = ""
    selector: LinkSelector | None = None
    addresses: tuple[str, ...] = ()
    routes: tuple[RouteSettings, ...] = ()
    dhcp: bool = False
    dhcp_metric: int = 0
    mtu: int = 0
    ignore: bool = False
    virtual_addresses: tuple[str, ...] = ()
    up: bool = True
    multicast: bool | None = None
    bridge: str = ""
    logical: LogicalLink | None = None
    address_priorities: tuple[int, ...] = ()
    dhcp_identifier: str = "mac"
    dhcp_duid: str = ""
    dhcp_ignore_hostname: bool = False
    dhcp_ignore_routes: bool = False
    dhcp6: DHCP6Settings | None = None

    WIRE = """
        1 name string omit, 2 selector LinkSelector omit, 3 addresses [string] omit, 4 routes [RouteSettings] omit,
        5 dhcp bool omit, 6 dhcpMetric uint32 omit, 7 mtu uint32 omit, 8 ignore bool omit,
        9 virtualAddresses [string] omit, 10 up bool, 11 multicast bool omit, 12 bridge string omit,
        13 logical LogicalLink omit, 14 addressPriorities [uint32] omit, 15 dhcpIdentifier string,
        16 dhcpDuid string omit, 17 dhcpIgnoreHostname bool omit, 18 dhcpIgnoreRoutes bool omit,
        19 dhcp6 DHCP6Settings omit
    """


class HostEntry(Spec):
    """A line for the hosts file."""

    address: str = ""
    names: tuple[str, ...] = ()

    WIRE = "1 address string, 2 names [string]"


class VirtualAddressSettings(Spec):
    """An address that the control plane's nodes share, and the link that it goes to."""

    address: str = ""
    link: str = ""

    WIRE = "1 address string, 2 link string"


class RuleSettings(Spec):
    """A routing rule; ``action`` is the kernel's number, 0 for looking into the table."""

    priority: int = 0
    table: str = ""
    source: str = ""
    destination: str = ""
    action: int = 0
    incoming: str = ""
    outgoing: str = ""
    mark: int = 0
    mask: int = 0

    WIRE = """
        1 priority uint32, 2 table string, 3 source string omit, 4 destination string omit, 5 action uint32 omit,
        6 incoming string omit, 7 outgoing string omit, 8 mark uint32 omit, 9 mask uint32 omit
    """


class BlackholeSettings(Spec):
    """A network that nothing is sent to."""

    network: str = ""
    metric: int = 0

    WIRE = "1 network string, 2 metric uint32 omit"


class AliasSettings(Spec):
    """Another name for the link that an expression (`dozen.machinery.cel`) is true of; with "%d" in it for several."""

    name: str = ""
    match: str = ""

    WIRE = "1 name string, 2 match string"


class FirewallRule(Spec):
    """Who may reach which ports of the node. No ports are all of the protocol, and "1000-2000" is a range of them."""

    name: str = ""
    protocol: str = "tcp"
    ports: tuple[str, ...] = ()
    subnets: tuple[str, ...] = ()
    excepted: tuple[str, ...] = ()

    WIRE = """
        1 name string, 2 protocol string, 3 ports [string] omit, 4 subnets [string] omit, 5 excepted [string] omit
    """


class FirewallSettings(Spec):
    """Which packets reach the node: those of the rules, and others if ``block`` is not set.

    ``inside`` are the networks of the cluster's pods and services, which may reach it in any case.
    """

    block: bool = False
    rules: tuple[FirewallRule, ...] = ()
    inside: tuple[str, ...] = ()

    WIRE = "1 block bool, 2 rules [FirewallRule] omit, 3 inside [string] omit"


class NetworkSettings(Spec):
    """Links that are not mentioned get their address by DHCP if they are physical. ``fallback_hostname`` is for a
    machine to which neither its configuration nor a lease gives a name; with ``waits_for_hostname`` none is made up."""

    hostname: str = ""
    links: tuple[LinkSettings, ...] = ()
    name_servers: tuple[str, ...] = ()
    search_domains: tuple[str, ...] = ()
    disable_search_domain: bool = False
    hosts: tuple[HostEntry, ...] = ()
    fallback_hostname: str = ""
    virtual_addresses: tuple[VirtualAddressSettings, ...] = ()
    rules: tuple[RuleSettings, ...] = ()
    blackholes: tuple[BlackholeSettings, ...] = ()
    firewall: FirewallSettings | None = None
    sort_algorithm: str = "v1"
    aliases: tuple[AliasSettings, ...] = ()
    waits_for_hostname: bool = False

    WIRE = """
        1 hostname string omit, 2 links [LinkSettings] omit, 3 nameServers [string] omit, 4 searchDomains [string] omit,
        5 disableSearchDomain bool omit, 6 hosts [HostEntry] omit, 7 fallbackHostname string omit,
        8 virtualAddresses [VirtualAddressSettings] omit, 9 rules [RuleSettings] omit,
        10 blackholes [BlackholeSettings] omit, 11 firewall FirewallSettings omit,
        12 sortAlgorithm enum:AddressSortAlgorithm, 13 aliases [AliasSettings] omit,
        14 waitsForHostname bool omit
    """


NETWORK_SETTINGS = Kind(
    "NetworkSettings.config.dozen",
    "config",
    NetworkSettings,
    "NetworkSettings",
    aliases=("networksettings",),
    sensitivity=Sensitivity.SENSITIVE,  # keys of WireGuard
    columns=(("Hostname", "{.hostname}"), ("Name Servers", "{.nameServers}")),
)


# What the place that the machine runs in says about its network; the configuration comes before it. Id: ``network``.
PLATFORM_NETWORK = Kind(
    "PlatformNetworks.config.dozen",
    "config",
    NetworkSettings,
    "PlatformNetwork",
    aliases=("platformnetwork",),
    columns=(("Hostname", "{.fallbackHostname}"), ("Name Servers", "{.nameServers}")),
)


class TimeSettings(Spec):
    """Whether the clock is kept right, and with whom; no servers means those that DHCP names, or the default.

    ``boot_timeout`` (0: for ever) is how long others wait for that, from the machine's start.
    """

    enabled: bool = True
    servers: tuple[str, ...] = ()
    boot_timeout: int = 0

    WIRE = "1 enabled bool, 2 servers [string] omit, 3 bootTimeout duration omit"


TIME_SETTINGS = Kind(
    "TimeSettings.config.dozen",
    "config",
    TimeSettings,
    "TimeSettings",
    aliases=("timesettings",),
    columns=(("Enabled", "{.enabled}"), ("Servers", "{.servers}")),
)


class Parameter(Spec):
    """A kernel parameter by its name in ``machine.sysctls`` (``net.ipv4.ip_forward``) or ``machine.sysfs``."""

    name: str = ""
    value: str = ""

    WIRE = "1 name string, 2 value string"


class Module(Spec):
    """A kernel module to load."""

    name: str = ""
    parameters: tuple[str, ...] = ()

    WIRE = "1 name string, 2 parameters [string] omit"


class KernelSettings(Spec):
    """Parameters, modules and device rules."""

    sysctls: tuple[Parameter, ...] = ()
    sysfs: tuple[Parameter, ...] = ()
    modules: tuple[Module, ...] = ()
    udev_rules: tuple[str, ...] = ()

    WIRE = """
        1 sysctls [Parameter] omit, 2 sysfs [Parameter] omit, 3 modules [Module] omit, 4 udevRules [string] omit
    """


KERNEL_SETTINGS = Kind(
    "KernelSettings.config.dozen",
    "config",
    KernelSettings,
    "KernelSettings",
    aliases=("kernelsettings",),
)
