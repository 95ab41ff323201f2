"""Routing rules as the kernel has them, hosts that need no name server, the node's own, subnets of addresses."""

from __future__ import annotations

from dozen.machinery.resource import Kind
from dozen.machinery.resources.spec import Spec


class RoutingRuleStatusSpec(Spec):
    """A rule; the id is its family and priority, ``inet4/32766``."""

    family: str = ""
    src: str = ""
    dst: str = ""
    table: str = ""
    priority: int = 0
    action: str = ""
    iif_name: str = ""
    oif_name: str = ""
    fw_mark: int = 0
    fw_mask: int = 0

    WIRE = """
        1 family enum:Family, 2 src prefix, 3 dst prefix, 4 table enum:RoutingTable, 5 priority uint32,
        6 action enum:RoutingRuleAction, 7 iifName string omit, 8 oifName string omit, 9 fwMark uint32 omit,
        10 fwMask uint32 omit
    """


class RoutingRuleSpec(Spec):
    """A rule that the kernel should have; the id is its family and priority, ``inet4/00100``."""

    family: str = "inet4"
    src: str = ""
    dst: str = ""
    table: str = "main"
    priority: int = 0
    action: str = "unicast"
    iif_name: str = ""
    oif_name: str = ""
    fw_mark: int = 0
    fw_mask: int = 0
    layer: str = "configuration"

    WIRE = """
        1 family enum:Family, 2 src prefix, 3 dst prefix, 4 table enum:RoutingTable, 5 priority uint32,
        6 action enum:RoutingRuleAction, 7 iifName string omit, 8 oifName string omit, 9 fwMark uint32 omit,
        10 fwMask uint32 omit, 11 layer enum:ConfigLayer
    """


ROUTING_RULE_SPEC = Kind(
    "RoutingRuleSpecs.net.talos.dev",
    "network",
    RoutingRuleSpec,
    "RoutingRuleSpec",
    aliases=("routingrulespec", "rrs"),
)

ROUTING_RULE_STATUS = Kind(
    "RoutingRuleStatuses.net.talos.dev",
    "network",
    RoutingRuleStatusSpec,
    "RoutingRuleStatus",
    aliases=("routingrule", "routingrules", "routingrulestatus", "rrs"),
    columns=(("Src", "{.src}"), ("Dst", "{.dst}"), ("Table", "{.table}"), ("Priority", "{.priority}")),
)


class StaticHostSpec(Spec):
    """A name of the hosts file and its addresses; the id is the name."""

    addresses: tuple[str, ...] = ()

    WIRE = "1 addresses [addr]"


STATIC_HOST = Kind(
    "StaticHosts.net.talos.dev",
    "network",
    StaticHostSpec,
    "StaticHost",
    aliases=("statichost", "sh", "shs"),
    columns=(("Addresses", "{.addresses}"),),
)


class NodeAddressFilterSpec(Spec):
    """Addresses within one of ``include`` (none means all) and none of ``exclude``; ids ``no-k8s``, ``only-k8s``."""

    include_subnets: tuple[str, ...] = ()
    exclude_subnets: tuple[str, ...] = ()

    WIRE = "1 includeSubnets [prefix], 2 excludeSubnets [prefix]"


NODE_ADDRESS_FILTER = Kind(
    "NodeAddressFilters.net.talos.dev",
    "network",
    NodeAddressFilterSpec,
    "NodeAddressFilter",
    aliases=("nodeaddressfilter", "naf", "nafs"),
    columns=(("Include Subnets", "{.includeSubnets}"), ("Exclude Subnets", "{.excludeSubnets}")),
)


class HostDNSConfigSpec(Spec):
    """Whether and where the node answers questions for names itself; id ``config``."""

    enabled: bool = False
    listen_addresses: tuple[str, ...] = ()
    service_host_dns_address: str = ""
    resolve_member_names: bool = False
    service_host_dns_address_v6: str = ""

    WIRE = """
        1 enabled bool, 2 listenAddresses [addrport] omit, 3 serviceHostDNSAddress addr omit,
        4 resolveMemberNames bool omit, 5 serviceHostDNSAddressV6 addr omit
    """


HOST_DNS_CONFIG = Kind(
    "HostDNSConfigs.net.talos.dev",
    "network",
    HostDNSConfigSpec,
    "HostDNSConfig",
    aliases=("hostdnsconfig", "hdnsc", "hdnscs"),
    columns=(("Enabled", "{.enabled}"),),
)


class DNSResolveCacheSpec(Spec):
    """A place where the node answers: ``running``. The id is ``udp-`` or ``tcp-``, address and port."""

    status: str = ""

    WIRE = "1 status string"


DNS_RESOLVE_CACHE = Kind(
    "DNSResolveCaches.net.talos.dev",
    "network",
    DNSResolveCacheSpec,
    "DNSResolveCach",
    aliases=("dnsresolvecach", "dnsrc", "dnsrcs"),
    columns=(("Status", "{.status}"),),
)


class DNSUpstreamSpec(Spec):
    """A name server that the node asks, and whether it answers; the id is its address."""

    healthy: bool = False
    addr: str = ""

    WIRE = "1 healthy bool, 2 addr string"


DNS_UPSTREAM = Kind(
    "DNSUpstreams.net.talos.dev",
    "network",
    DNSUpstreamSpec,
    "DNSUpstream",
    aliases=("dnsupstream", "dnsu", "dnsus"),
    columns=(("Healthy", "{.healthy}"), ("Address", "{.addr}")),
)
