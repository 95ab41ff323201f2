"""DHCP: on which links it should run, and what it obtained.

An *operator* configures the network by itself, from what it learns while running. ``OperatorSpec`` says that one should
run; ``DHCPLease`` is what it holds, from which controllers derive addresses, routes and the rest in the layer
``operator``.
"""

from __future__ import annotations

from dozen.machinery.resource import Kind, Sensitivity
from dozen.machinery.resources.spec import Spec

DHCP4, DHCP6 = "dhcp4", "dhcp6"


class ClientIdentifier(Spec):
    """By what a DHCP server knows the client: nothing, its hardware address, or a DUID, here in hexadecimal."""

    client_identifier: str = "mac"
    duid_raw_hex: str = ""

    WIRE = "1 clientIdentifier enum:ClientIdentifier, 2 duidRawHex string omit"


class DHCP4Operator(Spec):
    """Settings of the DHCP client. ``route_metric`` is that of the routes it brings, unless it skips them.

    With ``skip_hostname_request`` a name that comes with the lease is not taken.
    """

    route_metric: int = 0
    skip_hostname_request: bool = False
    client_identifier: ClientIdentifier | None = None
    skip_routes: bool = False

    WIRE = """
        1 routeMetric uint32, 2 skipHostnameRequest bool omit, 3 clientIdentifier ClientIdentifier omit,
        4 skipRoutes bool omit
    """


class DHCP6Operator(Spec):
    """Settings of the DHCPv6 client. It brings no routes: ``route_metric`` is that of the addresses' own."""

    route_metric: int = 0
    skip_hostname_request: bool = False
    client_identifier: ClientIdentifier | None = None

    WIRE = "2 routeMetric uint32, 3 skipHostnameRequest bool omit, 4 clientIdentifier ClientIdentifier omit"


class OperatorSpec(Spec):
    """An operator that should run on a link; id ``dhcp4/LINK`` or ``dhcp6/LINK``."""

    operator: str = DHCP4
    link_name: str = ""
    require_up: bool = True
    dhcp4: DHCP4Operator | None = None
    dhcp6: DHCP6Operator | None = None
    layer: str = "default"

    WIRE = """
        1 operator enum:Operator, 2 linkName string, 3 requireUp bool, 4 dhcp4 DHCP4Operator omit,
        5 dhcp6 DHCP6Operator omit, 7 layer enum:ConfigLayer
    """


OPERATOR_SPEC = Kind(
    "OperatorSpecs.net.talos.dev",
    "network",
    OperatorSpec,
    "OperatorSpec",
    aliases=("operatorspec", "os"),
    sensitivity=Sensitivity.SENSITIVE,
)


class VirtualAddressSpec(Spec):
    """An address that nodes of the control plane share; its id is the address. ``holder`` is the node that has it."""

    link_name: str = ""
    held: bool = False
    holder: str = ""

    WIRE = "1 linkName string, 2 held bool, 3 holder string omit"


VIRTUAL_ADDRESS = Kind(
    "VirtualAddresses.net.dozen",
    "network",
    VirtualAddressSpec,
    "VirtualAddress",
    aliases=("virtualaddress", "vip"),
    columns=(("Link", "{.linkName}"), ("Here", "{.held}"), ("Holder", "{.holder}")),
)


class LeasedRoute(Spec):
    """A route that came with a lease; without a gateway the destination is on the link."""

    destination: str = ""
    gateway: str = ""

    WIRE = "1 destination string, 2 gateway string omit"


class LeasedAddress(Spec):
    """An address (a prefix) that came with a lease; a ``deprecated`` one is for the connections that there are."""

    address: str = ""
    deprecated: bool = False

    WIRE = "1 address string, 2 deprecated bool omit"


class DHCPLease(Spec):
    """What a DHCP server granted for a link; its id is the link, for DHCPv6 with ``/dhcp6`` behind it.

    ``duration`` is seconds, or `FOREVER`. DHCPv6 may grant several ``addresses``, of which ``address`` is the first.
    """

    link_name: str = ""
    address: str = ""
    server: str = ""
    duration: int = 0
    granted: float = 0.0
    route_metric: int = 0
    routes: tuple[LeasedRoute, ...] = ()
    dns_servers: tuple[str, ...] = ()
    search_domains: tuple[str, ...] = ()
    hostname: str = ""
    domain: str = ""
    time_servers: tuple[str, ...] = ()
    mtu: int = 0
    addresses: tuple[LeasedAddress, ...] = ()

    WIRE = """
        1 linkName string, 2 address string, 3 server string, 4 duration uint32, 5 granted double,
        6 routeMetric uint32, 7 routes [LeasedRoute] omit, 8 dnsServers [string] omit,
        9 searchDomains [string] omit, 10 hostname string omit, 11 domain string omit,
        12 timeServers [string] omit, 13 mtu uint32 omit, 14 addresses [LeasedAddress] omit
    """


FOREVER = 0xFFFFFFFF

DHCP_LEASE = Kind(
    "DHCPLeases.net.dozen",
    "network",
    DHCPLease,
    "DHCPLease",
    aliases=("lease", "leases", "dhcplease"),
    columns=(("Address", "{.address}"), ("Server", "{.server}"), ("Duration", "{.duration}")),
)
