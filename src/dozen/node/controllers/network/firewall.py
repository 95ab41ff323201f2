"""The node's firewall: what the configuration says about it as chains of rules, and these into the kernel.

There are two chains. ``ingress`` sees packets for the node itself. ``prerouting`` sees all, before Kubernetes has
turned those for a service's port on the node into ones for a pod; of them it looks only at what is for the node's
addresses, so that packets between pods are none of its business.

The rules are read in two ways. Where everything is blocked, a rule says who may come in besides. Where everything is
accepted, a rule says that nobody else may come in at its ports.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from dozen.machinery.addresses import address_of, canonical_prefix
from dozen.machinery.effects.firewall import SetFirewall
from dozen.machinery.plan import Input, Put, Step, View
from dozen.machinery.resource import Phase
from dozen.machinery.resources.firewall import (
    NFTABLES_CHAIN,
    AddressMatch,
    ConntrackMatch,
    IfNameMatch,
    Layer4Match,
    NfTablesChainSpec,
    NfTablesRule,
    PortMatch,
    PortRange,
)
from dozen.machinery.resources.network import NODE_ADDRESS
from dozen.machinery.resources.settings import NETWORK, NETWORK_SETTINGS, FirewallRule, FirewallSettings

INGRESS, PREROUTING = "ingress", "prerouting"
# Routers and DHCPv6 servers speak from addresses of the link to ones that no connection was made from.
LINK_LOCAL = "fe80::/10"
DHCP6_CLIENT = PortRange(lo=546, hi=546)


class FirewallChainController:
    """NetworkSettings + NodeAddress → NfTablesChain, if the configuration says anything about a firewall."""

    name = "network-firewall-chains"
    inputs = (Input(NETWORK_SETTINGS), Input(NODE_ADDRESS, "current"))
    outputs = (NFTABLES_CHAIN,)

    def plan(self, view: View) -> Iterable[Step]:
        settings = view.get(NETWORK_SETTINGS, NETWORK)
        if settings is None or settings.spec.firewall is None:
            return
        addresses = view.get(NODE_ADDRESS, "current")
        own = tuple(address_of(each) for each in addresses.spec.addresses) if addresses else ()
        firewall = settings.spec.firewall
        yield Put(NFTABLES_CHAIN, INGRESS, plan_ingress(firewall))
        yield Put(NFTABLES_CHAIN, PREROUTING, plan_prerouting(firewall, own))


class FirewallController:
    """NfTablesChain → the kernel has these chains, and in one step whenever one changes."""

    name = "network-firewall"
    inputs = (Input(NFTABLES_CHAIN, finalize=True),)
    outputs = ()

    def plan(self, view: View) -> Iterable[Step]:
        chains = view.list(NFTABLES_CHAIN)
        if chains:
            running = [each for each in chains if each.metadata.phase is Phase.RUNNING]
            yield SetFirewall(tuple((each.id, each.spec) for each in running))


def plan_ingress(firewall: FirewallSettings) -> NfTablesChainSpec:
    """What packets for the node itself meet."""
    rules = (*_always(firewall), *(_rule(each, firewall.block, None) for each in firewall.rules))
    return NfTablesChainSpec(hook="input", policy="drop" if firewall.block else "accept", rules=rules)


def plan_prerouting(firewall: FirewallSettings, own: Iterable[str]) -> NfTablesChainSpec:
    """The same for packets to the node's addresses that are about to become packets to pods."""
    target = AddressMatch(include_subnets=tuple(canonical_prefix(each) for each in own))
    rules: list[NfTablesRule] = []
    if target.include_subnets:
        rules += [*_always(firewall), *(_rule(each, firewall.block, target) for each in firewall.rules)]
        if firewall.block:
            rules.append(NfTablesRule(match_destination_address=target, verdict="drop"))
    return NfTablesChainSpec(hook="prerouting", priority="mangle", rules=tuple(rules))


def _always(firewall: FirewallSettings) -> Iterator[NfTablesRule]:
    """What is let in, or not, whatever the rules say."""
    yield NfTablesRule(match_i_if_name=IfNameMatch(interface_name=("lo",)), verdict="accept")
    known = ConntrackMatch(states=("established", "related"))
    yield NfTablesRule(match_conntrack_state=known, verdict="accept")
    yield NfTablesRule(match_conntrack_state=ConntrackMatch(states=("invalid",)), verdict="drop")
    for protocol in ("icmp", "icmpv6"):  # without it neither neighbours nor the size of packets are found
        yield NfTablesRule(match_layer4=Layer4Match(protocol=protocol), verdict="accept")
    yield NfTablesRule(
        match_source_address=AddressMatch(include_subnets=(LINK_LOCAL,)),
        match_layer4=Layer4Match(protocol="udp", match_destination_port=PortMatch(ranges=(DHCP6_CLIENT,))),
        verdict="accept",
    )
    if firewall.inside:
        yield NfTablesRule(match_source_address=AddressMatch(include_subnets=firewall.inside), verdict="accept")


def _rule(rule: FirewallRule, block: bool, target: AddressMatch | None) -> NfTablesRule:
    ranges = tuple(_read_ports(each) for each in rule.ports)
    ports = PortMatch(ranges=ranges) if ranges else None
    return NfTablesRule(
        match_source_address=AddressMatch(
            include_subnets=tuple(canonical_prefix(each) for each in rule.subnets),
            exclude_subnets=tuple(canonical_prefix(each) for each in rule.excepted),
            invert=not block,
        ),
        match_destination_address=target,
        match_layer4=Layer4Match(protocol=rule.protocol, match_destination_port=ports),
        verdict="accept" if block else "drop",
    )


def _read_ports(text: str) -> PortRange:
    low, _, high = text.partition("-")
    return PortRange(lo=int(low), hi=int(high or low))
