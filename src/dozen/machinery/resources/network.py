"""Addresses, routes, names and time servers: what the network should be and what it is.

Each ``…Spec`` comes from one *layer* of configuration (``default``, ``cmdline``, ``platform``, ``operator`` for DHCP,
``configuration``); controllers merge the layers and make the kernel agree; the ``…Status`` says what the kernel has.
Addresses are text (``10.0.0.1``, ``10.0.0.1/24``, ``fe80::1/64``); links are in `dozen.machinery.resources.link`.
"""

from __future__ import annotations

from dozen.machinery.resource import Kind
from dozen.machinery.resources.spec import Spec


class AddressStatusSpec(Spec):
    """An address that a link has now."""

    address: str = ""
    local: str = ""
    broadcast: str = ""
    anycast: str = ""
    multicast: str = ""
    link_index: int = 0
    link_name: str = ""
    family: str = "inet4"
    scope: str = "global"
    flags: str = ""
    priority: int = 0

    WIRE = """
        1 address prefix, 2 local addr omit, 3 broadcast addr omit, 4 anycast addr omit, 5 multicast addr omit,
        6 linkIndex uint32, 7 linkName string, 8 family enum:Family, 9 scope enum:Scope,
        10 flags flags:AddressFlags, 11 priority uint32
    """


ADDRESS_STATUS = Kind(
    "AddressStatuses.net.talos.dev",
    "network",
    AddressStatusSpec,
    "AddressStatus",
    aliases=("address", "addresses", "addressstatus", "as"),
    columns=(("Address", "{.address}"), ("Link", "{.linkName}")),
)


class AddressSpec(Spec):
    """An address that a link should have, and the layer of configuration that asks for it."""

    address: str = ""
    link_name: str = ""
    family: str = "inet4"
    scope: str = "global"
    flags: str = ""
    announce_with_arp: bool = False
    priority: int = 0
    layer: str = "default"

    WIRE = """
        1 address prefix, 2 linkName string, 3 family enum:Family, 4 scope enum:Scope,
        5 flags flags:AddressFlags, 6 announceWithARP bool omit, 8 priority uint32 omit,
        7 layer enum:ConfigLayer
    """


ADDRESS_SPEC = Kind(
    "AddressSpecs.net.talos.dev",
    "network",
    AddressSpec,
    "AddressSpec",
    aliases=("addressspec", "as"),
)


class NextHop(Spec):
    """One of several ways of a multipath route."""

    gateway: str = ""
    out_link_name: str = ""
    weight: int = 0

    WIRE = "1 gateway addr, 2 outLinkName string omit, 3 weight uint32 omit"


class RouteStatusSpec(Spec):
    """A route that the kernel has now."""

    family: str = "inet4"
    dst: str = ""
    src: str = ""
    gateway: str = ""
    out_link_index: int = 0
    out_link_name: str = ""
    table: str = "main"
    priority: int = 0
    scope: str = "global"
    type: str = "unicast"
    flags: str = ""
    protocol: str = "static"
    mtu: int = 0
    next_hops: tuple[NextHop, ...] = ()

    WIRE = """
        1 family enum:Family, 2 dst prefix, 3 src addr, 4 gateway addr, 5 outLinkIndex uint32 omit,
        6 outLinkName string omit, 7 table enum:RoutingTable, 8 priority uint32, 9 scope enum:Scope,
        10 type enum:RouteType, 11 flags flags:RouteFlags, 12 protocol enum:RouteProtocol, 13 mtu uint32 omit,
        14 nextHops [NextHop] omit
    """


ROUTE_STATUS = Kind(
    "RouteStatuses.net.talos.dev",
    "network",
    RouteStatusSpec,
    "RouteStatus",
    aliases=("route", "routes", "routestatus", "rs"),
    columns=(
        ("Destination", "{.dst}"),
        ("Gateway", "{.gateway}"),
        ("Link", "{.outLinkName}"),
        ("Metric", "{.priority}"),
    ),
)


class RouteSpec(Spec):
    """A route that the kernel should have."""

    family: str = "inet4"
    dst: str = ""
    src: str = ""
    gateway: str = ""
    out_link_name: str = ""
    table: str = "main"
    priority: int = 0
    scope: str = "global"
    type: str = "unicast"
    flags: str = ""
    protocol: str = "static"
    layer: str = "default"
    mtu: int = 0
    next_hops: tuple[NextHop, ...] = ()

    WIRE = """
        1 family enum:Family, 2 dst prefix, 3 src addr, 4 gateway addr, 5 outLinkName string omit,
        6 table enum:RoutingTable, 7 priority uint32 omit, 8 scope enum:Scope, 9 type enum:RouteType,
        10 flags flags:RouteFlags, 11 protocol enum:RouteProtocol, 12 layer enum:ConfigLayer,
        13 mtu uint32 omit, 14 nextHops [NextHop] omit
    """


ROUTE_SPEC = Kind(
    "RouteSpecs.net.talos.dev",
    "network",
    RouteSpec,
    "RouteSpec",
    aliases=("routespec", "rs"),
)


class NameServer(Spec):
    """A DNS server and how to talk to it."""

    addr: str = ""
    protocol: str = "default"
    tls_server_name: str = ""

    WIRE = "1 addr addr, 2 protocol enum:DNSProtocol, 3 tlsServerName string"


class ResolverStatusSpec(Spec):
    """The DNS servers in use."""

    dns_servers: tuple[str, ...] = ()
    name_servers: tuple[NameServer, ...] = ()
    search_domains: tuple[str, ...] = ()

    WIRE = "1 dnsServers [addr], 4 nameServers [NameServer] omit, 2 searchDomains [string]"


RESOLVER_STATUS = Kind(
    "ResolverStatuses.net.talos.dev",
    "network",
    ResolverStatusSpec,
    "ResolverStatus",
    aliases=("resolvers", "resolverstatus", "rs"),
    columns=(("Resolvers", "{.dnsServers}"), ("Search Domains", "{.searchDomains}")),
)


class ResolverSpec(Spec):
    """DNS servers that one layer of configuration asks for."""

    dns_servers: tuple[str, ...] = ()
    name_servers: tuple[NameServer, ...] = ()
    layer: str = "default"
    search_domains: tuple[str, ...] = ()
    search_domains_overridden: bool = False

    WIRE = """
        1 dnsServers [addr], 4 nameServers [NameServer] omit, 2 layer enum:ConfigLayer,
        3 searchDomains [string] omit, 5 searchDomainsOverridden bool omit
    """


RESOLVER_SPEC = Kind(
    "ResolverSpecs.net.talos.dev",
    "network",
    ResolverSpec,
    "ResolverSpec",
    aliases=("resolverspec", "rs"),
    columns=(("Layer", "{.layer}"), ("Resolvers", "{.dnsServers}"), ("Search Domains", "{.searchDomains}")),
)


class HostnameStatusSpec(Spec):
    """The name in use."""

    hostname: str = ""
    domainname: str = ""

    WIRE = "1 hostname string, 2 domainname string"

    @property
    def fqdn(self) -> str:
        """The name with its domain, if it has one."""
        return f"{self.hostname}.{self.domainname}" if self.domainname else self.hostname


HOSTNAME_STATUS = Kind(
    "HostnameStatuses.net.talos.dev",
    "network",
    HostnameStatusSpec,
    "HostnameStatus",
    aliases=("hostname", "hostnamestatus", "hs"),
    columns=(("Hostname", "{.hostname}"), ("Domainname", "{.domainname}")),
)


class HostnameSpec(Spec):
    """The name that one layer of configuration asks for."""

    hostname: str = ""
    domainname: str = ""
    layer: str = "default"

    WIRE = "1 hostname string, 2 domainname string, 3 layer enum:ConfigLayer"


HOSTNAME_SPEC = Kind(
    "HostnameSpecs.net.talos.dev",
    "network",
    HostnameSpec,
    "HostnameSpec",
    aliases=("hostnamespec", "hs"),
)


class TimeServerStatusSpec(Spec):
    """The time servers in use."""

    time_servers: tuple[str, ...] = ()
    use_nts: bool = False

    WIRE = "1 timeServers [string], 2 useNTS bool"


TIME_SERVER_STATUS = Kind(
    "TimeServerStatuses.net.talos.dev",
    "network",
    TimeServerStatusSpec,
    "TimeServerStatus",
    aliases=("timeserver", "timeservers", "timeserverstatus", "tss"),
    columns=(("Timeservers", "{.timeServers}"), ("UseNTS", "{.useNTS}")),
)


class TimeServerSpec(Spec):
    """Time servers that one layer of configuration asks for."""

    time_servers: tuple[str, ...] = ()
    use_nts: bool = False
    layer: str = "default"

    WIRE = "1 timeServers [string], 3 useNTS bool omit, 2 layer enum:ConfigLayer"


TIME_SERVER_SPEC = Kind(
    "TimeServerSpecs.net.talos.dev",
    "network",
    TimeServerSpec,
    "TimeServerSpec",
    aliases=("timeserverspec", "tss"),
    columns=(("Timeservers", "{.timeServers}"), ("UseNTS", "{.useNTS}")),
)


class NodeAddressSpec(Spec):
    """A view of the node's addresses, named by the id: ``current``, ``default``, ``accumulative``, ``routed``; and all
    but the second once more for each NodeAddressFilter, ``current-no-k8s``."""

    addresses: tuple[str, ...] = ()
    sort_algorithm: str = "v1"

    WIRE = "1 addresses [prefix], 2 sortAlgorithm enum:AddressSortAlgorithm"


NODE_ADDRESS = Kind(
    "NodeAddresses.net.talos.dev",
    "network",
    NodeAddressSpec,
    "NodeAddress",
    aliases=("nodeaddress", "na", "nas"),
    columns=(("Addresses", "{.addresses}"), ("SortAlgorithm", "{.sortAlgorithm}")),
)


class NodeAddressSortAlgorithmSpec(Spec):
    """How NodeAddresses are sorted: ``v1`` by number, ``v2`` those of longer prefixes first; id ``default``."""

    algorithm: str = "v1"

    WIRE = "1 algorithm enum:AddressSortAlgorithm"


NODE_ADDRESS_SORT_ALGORITHM = Kind(
    "NodeAddressSortAlgorithms.net.talos.dev",
    "network",
    NodeAddressSortAlgorithmSpec,
    "NodeAddressSortAlgorithm",
    aliases=("nodeaddresssortalgorithm", "nasa", "nasas"),
    columns=(("Algorithm", "{.algorithm}"),),
)


class NetworkStatusSpec(Spec):
    """Which parts of the network are usable; id ``status``."""

    address_ready: bool = False
    connectivity_ready: bool = False
    hostname_ready: bool = False
    etc_files_ready: bool = False

    WIRE = "1 addressReady bool, 2 connectivityReady bool, 3 hostnameReady bool, 4 etcFilesReady bool"


NETWORK_STATUS = Kind(
    "NetworkStatuses.net.talos.dev",
    "network",
    NetworkStatusSpec,
    "NetworkStatus",
    aliases=("netstatus", "netstatuses", "networkstatus", "ns"),
    columns=(
        ("Address", "{.addressReady}"),
        ("Connectivity", "{.connectivityReady}"),
        ("Hostname", "{.hostnameReady}"),
        ("Etc", "{.etcFilesReady}"),
    ),
)


class HardwareAddressSpec(Spec):
    """The hardware address that identifies the node; id ``first``."""

    name: str = ""
    hardware_addr: str = ""

    WIRE = "1 name string, 2 hardwareAddr hwaddr"


HARDWARE_ADDRESS = Kind(
    "HardwareAddresses.net.talos.dev",
    "network",
    HardwareAddressSpec,
    "HardwareAddress",
    aliases=("hardwareaddress", "ha", "has"),
)
