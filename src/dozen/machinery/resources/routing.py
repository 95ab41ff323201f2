"""Routing rules as the kernel has them, hosts that need no name server, subnets to sort addresses by."""

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
