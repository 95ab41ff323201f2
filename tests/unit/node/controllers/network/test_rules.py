"""Routing rules and routes into nowhere: what should be there, and what is done about it."""

from __future__ import annotations

import pytest

from dozen.linux.netlink import Message
from dozen.linux.rules import RTM_NEWRULE, Rule, pack_rule, parse_rule
from dozen.machinery.effects.network import Each
from dozen.machinery.effects.routing import AddRule, RemoveRule
from dozen.machinery.plan import Put
from dozen.machinery.resource import Phase
from dozen.machinery.resources.network import ROUTE_SPEC, ROUTE_STATUS, RouteSpec, RouteStatusSpec
from dozen.machinery.resources.routing import (
    ROUTING_RULE_SPEC,
    ROUTING_RULE_STATUS,
    RoutingRuleSpec,
    RoutingRuleStatusSpec,
)
from dozen.machinery.resources.settings import (
    NETWORK,
    NETWORK_SETTINGS,
    BlackholeSettings,
    NetworkSettings,
    RuleSettings,
)
from dozen.node.controllers.network.routes import RouteController, RouteSpecController
from dozen.node.controllers.network.rules import RoutingRuleController, RoutingRuleSpecController
from dozen.testing.controllers import PlainView

SPEC = RoutingRuleSpec(src="10.0.0.0/8", table="100", priority=7)
STATUS = RoutingRuleStatusSpec(family="inet4", src="10.0.0.0/8", table="100", priority=7, action="unicast")


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        (RuleSettings(priority=7, table="100", source="10.1.2.3/8"), {"inet4/00007": SPEC}),
        (
            RuleSettings(priority=7, table="254", mark=5),
            {
                "inet4/00007": RoutingRuleSpec(priority=7, fw_mark=5, fw_mask=0xFFFFFFFF),
                "inet6/00007": RoutingRuleSpec(family="inet6", priority=7, fw_mark=5, fw_mask=0xFFFFFFFF),
            },
        ),
        (
            RuleSettings(priority=9, table="main", destination="FD00::1/16", action=6),
            {"inet6/00009": RoutingRuleSpec(family="inet6", dst="fd00::/16", priority=9, action="blackhole")},
        ),
    ],
)
def test_rules_of_a_configuration(rule: RuleSettings, expected: dict[str, RoutingRuleSpec]) -> None:
    view = PlainView((NETWORK_SETTINGS, NETWORK, NetworkSettings(rules=(rule,))))
    steps = list(RoutingRuleSpecController().plan(view))
    assert {step.id: step.spec for step in steps if isinstance(step, Put)} == expected


def test_a_rule_is_added_changed_and_removed() -> None:
    view = PlainView((ROUTING_RULE_SPEC, "inet4/00007", SPEC))
    assert list(RoutingRuleController().plan(view)) == [Each((AddRule(SPEC),))]
    view.add(ROUTING_RULE_STATUS, "inet4/00007", STATUS)
    assert list(RoutingRuleController().plan(view)) == []
    other = RoutingRuleSpec(src="10.0.0.0/8", table="101", priority=7)
    view.add(ROUTING_RULE_SPEC, "inet4/00007", other)
    assert list(RoutingRuleController().plan(view)) == [Each((RemoveRule(SPEC), AddRule(other)))]
    view.add(ROUTING_RULE_SPEC, "inet4/00007", SPEC, Phase.TEARING_DOWN)
    assert list(RoutingRuleController().plan(view)) == [Each((RemoveRule(SPEC),))]


@pytest.mark.parametrize(
    "rule",
    [
        Rule(family=2, priority=7, table=100, action=1, source="10.0.0.0/8", incoming="eth0"),
        Rule(family=10, priority=8, table=70000, action=6, destination="fd00::/16", outgoing="eth1", mark=5, mask=0xFF),
    ],
)
def test_a_rule_is_written_as_it_is_read(rule: Rule) -> None:
    assert parse_rule(Message(RTM_NEWRULE, 0, 0, 0, pack_rule(rule))) == rule


def test_a_route_into_nowhere_needs_no_link() -> None:
    settings = NetworkSettings(blackholes=(BlackholeSettings(network="10.9.1.1/16", metric=3),))
    view = PlainView((NETWORK_SETTINGS, NETWORK, settings))
    (step,) = RouteSpecController().plan(view)
    assert isinstance(step, Put)
    assert step.id == "blackhole//inet4//10.9.0.0/16/3"
    spec = RouteSpec(dst="10.9.0.0/16", priority=3, type="blackhole", layer="configuration")
    assert step.spec == spec
    view.add(ROUTE_SPEC, step.id, spec)
    (each,) = RouteController().plan(view)
    assert str(each) == "add route 10.9.0.0/16 metric 3"
    view.add(ROUTE_STATUS, "r", RouteStatusSpec(dst="10.9.0.0/16", priority=3, out_link_name="lo"))
    assert len(list(RouteController().plan(view))) == 1, "that one leads somewhere"
    view.add(ROUTE_STATUS, "r", RouteStatusSpec(dst="10.9.0.0/16", priority=3, type="blackhole", out_link_name="lo"))
    assert list(RouteController().plan(view)) == []
