"""What a configuration says about packets, as chains of rules."""

from __future__ import annotations

from dozen.machinery.effects.firewall import SetFirewall
from dozen.machinery.plan import Put
from dozen.machinery.resource import Phase
from dozen.machinery.resources.firewall import NFTABLES_CHAIN, AddressMatch, NfTablesChainSpec, NfTablesRule, PortRange
from dozen.machinery.resources.network import NODE_ADDRESS, NodeAddressSpec
from dozen.machinery.resources.settings import (
    NETWORK,
    NETWORK_SETTINGS,
    FirewallRule,
    FirewallSettings,
    NetworkSettings,
)
from dozen.node.controllers.network.firewall import FirewallChainController, FirewallController
from dozen.testing.controllers import PlainView

RULE = FirewallRule(name="api", ports=("50000", "6000-6010"), subnets=("10.0.0.5/8",), excepted=("10.1.0.0/16",))


def chains(firewall: FirewallSettings | None, *addresses: str) -> dict[str, NfTablesChainSpec]:
    view = PlainView((NETWORK_SETTINGS, NETWORK, NetworkSettings(firewall=firewall)))
    view.add(NODE_ADDRESS, "current", NodeAddressSpec(addresses=addresses))
    return {step.id: step.spec for step in FirewallChainController().plan(view) if isinstance(step, Put)}  # type: ignore[misc]


def ours(chain: NfTablesChainSpec) -> list[NfTablesRule]:
    """The rules that come of the configuration, behind those that are always there."""
    return [rule for rule in chain.rules if rule.match_layer4 and rule.match_layer4.protocol == "tcp" and rule.verdict]


def test_without_a_word_there_is_no_firewall() -> None:
    assert chains(None, "10.0.0.1/24") == {}


def test_blocked_but_for_the_rules() -> None:
    found = chains(FirewallSettings(block=True, rules=(RULE,), inside=("10.244.0.0/16",)), "10.0.0.1/24")
    assert (found["ingress"].policy, found["prerouting"].policy) == ("drop", "accept")
    (rule,) = ours(found["ingress"])
    assert rule.match_source_address == AddressMatch(
        include_subnets=("10.0.0.5/8",), exclude_subnets=("10.1.0.0/16",), invert=False
    )
    assert rule.verdict == "accept"
    assert rule.match_layer4 is not None
    assert rule.match_layer4.match_destination_port is not None
    assert rule.match_layer4.match_destination_port.ranges == (PortRange(50000, 50000), PortRange(6000, 6010))
    last = found["prerouting"].rules[-1]
    assert (last.match_destination_address, last.verdict) == (AddressMatch(include_subnets=("10.0.0.1/32",)), "drop")
    assert NfTablesRule(match_source_address=AddressMatch(include_subnets=("10.244.0.0/16",)), verdict="accept") in (
        found["ingress"].rules
    )


def test_open_but_for_the_rules_ports() -> None:
    found = chains(FirewallSettings(rules=(RULE,)), "10.0.0.1/24")
    (rule,) = ours(found["ingress"])
    assert rule.match_source_address is not None
    assert (found["ingress"].policy, rule.verdict, rule.match_source_address.invert) == ("accept", "drop", True)
    (same,) = ours(found["prerouting"])
    assert same.match_destination_address == AddressMatch(include_subnets=("10.0.0.1/32",))


def test_as_long_as_no_address_is_known_nothing_is_dropped_before() -> None:
    assert chains(FirewallSettings(block=True))["prerouting"].rules == ()


def test_chains_reach_the_kernel_together() -> None:
    chain = NfTablesChainSpec()
    view = PlainView((NFTABLES_CHAIN, "a", chain), (NFTABLES_CHAIN, "b", chain))
    assert list(FirewallController().plan(view)) == [SetFirewall((("a", chain), ("b", chain)))]
    for name in "ab":
        view.add(NFTABLES_CHAIN, name, chain, Phase.TEARING_DOWN)
    assert list(FirewallController().plan(view)) == [SetFirewall(())]
    assert list(FirewallController().plan(PlainView())) == []
