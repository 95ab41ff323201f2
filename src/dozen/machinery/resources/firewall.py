"""The node's packet filter: chains of rules, each of which matches packets and says what becomes of them."""

from __future__ import annotations

from dozen.machinery.resource import Kind
from dozen.machinery.resources.spec import Spec


class IfNameMatch(Spec):
    """Packets of links by name."""

    interface_name: tuple[str, ...] = ()
    operator: str = "=="

    WIRE = "3 interfaceName [string], 2 operator enum:MatchOperator"


class ConntrackMatch(Spec):
    """Packets by what is known of their connection."""

    states: tuple[str, ...] = ()

    WIRE = "1 states [enum:ConntrackState]"


class AddressMatch(Spec):
    """Packets of addresses that are in one of ``include_subnets`` and in none of ``exclude_subnets``, or the others."""

    include_subnets: tuple[str, ...] = ()
    exclude_subnets: tuple[str, ...] = ()
    invert: bool = False

    WIRE = "1 includeSubnets [prefix] omit, 2 excludeSubnets [prefix] omit, 3 invert bool omit"


class PortRange(Spec):
    """Ports from ``lo`` to ``hi``."""

    lo: int = 0
    hi: int = 0

    WIRE = "1 lo uint32, 2 hi uint32"


class PortMatch(Spec):
    """Packets of ports."""

    ranges: tuple[PortRange, ...] = ()

    WIRE = "1 ranges [PortRange] omit"


class Layer4Match(Spec):
    """Packets of a protocol above IP."""

    protocol: str = "tcp"
    match_source_port: PortMatch | None = None
    match_destination_port: PortMatch | None = None

    WIRE = "1 protocol enum:Protocol, 2 matchSourcePort PortMatch omit, 3 matchDestinationPort PortMatch omit"


class NfTablesRule(Spec):
    """What fits all that is given gets the verdict."""

    match_i_if_name: IfNameMatch | None = None
    match_conntrack_state: ConntrackMatch | None = None
    match_source_address: AddressMatch | None = None
    match_destination_address: AddressMatch | None = None
    match_layer4: Layer4Match | None = None
    verdict: str = ""

    WIRE = """
        8 matchIIfName IfNameMatch omit, 11 matchConntrackState ConntrackMatch omit,
        5 matchSourceAddress AddressMatch omit, 6 matchDestinationAddress AddressMatch omit,
        7 matchLayer4 Layer4Match omit, 2 verdict enum:NfTablesVerdict omit
    """


class NfTablesChainSpec(Spec):
    """Where in a packet's way the rules are asked, and what becomes of packets that none of them is about."""

    type: str = "filter"
    hook: str = "input"
    priority: str = "filter"
    policy: str = "accept"
    rules: tuple[NfTablesRule, ...] = ()

    WIRE = """
        1 type string, 2 hook enum:NfTablesChainHook, 3 priority enum:NfTablesChainPriority,
        5 policy enum:NfTablesVerdict, 4 rules [NfTablesRule]
    """


NFTABLES_CHAIN = Kind(
    "NfTablesChains.net.talos.dev",
    "network",
    NfTablesChainSpec,
    "NfTablesChain",
    aliases=("chain", "chains", "nftableschain", "ntc", "ntcs"),
    columns=(
        ("Type", "{.type}"),
        ("Hook", "{.hook}"),
        ("Priority", "{.priority}"),
        ("Policy", "{.policy}"),
    ),
)
