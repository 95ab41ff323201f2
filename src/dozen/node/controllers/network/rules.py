"""Routing rules: which ones the kernel has, which ones it should have, and telling it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from dozen.machinery.addresses import canonical_prefix, network_of
from dozen.machinery.effects.network import Each
from dozen.machinery.effects.routing import AddRule, RemoveRule
from dozen.machinery.plan import Effect, Input, Put, Step, View
from dozen.machinery.resource import Phase
from dozen.machinery.resources.enums import name_of, number_of
from dozen.machinery.resources.routing import (
    ROUTING_RULE_SPEC,
    ROUTING_RULE_STATUS,
    RoutingRuleSpec,
    RoutingRuleStatusSpec,
)
from dozen.machinery.resources.settings import NETWORK, NETWORK_SETTINGS, RuleSettings

if TYPE_CHECKING:
    from dozen.engine.publisher import Publisher
    from dozen.linux.rules import Rule


class RoutingRuleWatcher:
    """Publishes RoutingRuleStatus: the whole list at each change, since there are few and changes are rare."""

    name = "network-rules"
    outputs = (ROUTING_RULE_STATUS,)

    async def run(self, publish: Publisher) -> None:
        from dozen.linux.netlink import Overrun
        from dozen.linux.rules import RuleChanges, list_rules

        changes = RuleChanges()
        try:
            while True:
                publish.replace(ROUTING_RULE_STATUS, describe_rules(list_rules()))
                with contextlib.suppress(Overrun):
                    await changes.wait()
        finally:
            changes.close()


class RoutingRuleSpecController:
    """NetworkSettings → RoutingRuleSpec. A rule without addresses is one for each family."""

    name = "network-rule-specs"
    inputs = (Input(NETWORK_SETTINGS),)
    outputs = (ROUTING_RULE_SPEC,)

    def plan(self, view: View) -> Iterable[Step]:
        settings = view.get(NETWORK_SETTINGS, NETWORK)
        for rule in settings.spec.rules if settings else ():
            for spec in read_rule(rule):
                yield Put(ROUTING_RULE_SPEC, rule_id(spec), spec)


class RoutingRuleController:
    """RoutingRuleSpec + RoutingRuleStatus → the kernel has the rules that it should have, and not those that ended."""

    name = "network-rule-changes"
    inputs = (Input(ROUTING_RULE_SPEC, finalize=True), Input(ROUTING_RULE_STATUS))
    outputs = ()

    def plan(self, view: View) -> Iterable[Step]:
        effects: list[Effect] = []
        for wanted in view.list(ROUTING_RULE_SPEC):
            status = view.get(ROUTING_RULE_STATUS, wanted.id)
            there = _as_spec(status.spec) if status is not None else None
            leaving = wanted.metadata.phase is Phase.TEARING_DOWN
            if there is not None and (leaving or there != wanted.spec):
                effects.append(RemoveRule(there))
            if not leaving and there != wanted.spec:
                effects.append(AddRule(wanted.spec))
        if effects:
            yield Each(tuple(effects))


def read_rule(rule: RuleSettings) -> Iterator[RoutingRuleSpec]:
    """A rule as the kernel will tell of it, for each family that it is about."""
    texts = (rule.source, rule.destination)
    families = [family for family, mark in (("inet4", "."), ("inet6", ":")) if any(mark in text for text in texts)]
    for family in families or ("inet4", "inet6"):
        yield RoutingRuleSpec(
            family=family,
            src=canonical_prefix(network_of(rule.source)) if rule.source else "",
            dst=canonical_prefix(network_of(rule.destination)) if rule.destination else "",
            table=name_of("RoutingTable", number_of("RoutingTable", rule.table)),
            priority=rule.priority,
            action=name_of("RoutingRuleAction", rule.action or 1),
            iif_name=rule.incoming,
            oif_name=rule.outgoing,
            fw_mark=rule.mark,
            fw_mask=rule.mask or (0xFFFFFFFF if rule.mark else 0),
        )


def rule_id(spec: RoutingRuleSpec | RoutingRuleStatusSpec) -> str:
    """What tells rules apart here."""
    return f"{spec.family}/{spec.priority:05d}"


def _as_spec(status: RoutingRuleStatusSpec) -> RoutingRuleSpec:
    values = {name: getattr(status, name) for name in status.__struct_fields__}
    return RoutingRuleSpec(**values)


def describe_rules(rules: Iterable[Rule]) -> dict[str, RoutingRuleStatusSpec]:
    """Rules as resources. Of two with one family and priority, which the kernel allows, the later one is told."""
    found: dict[str, RoutingRuleStatusSpec] = {}
    for rule in rules:
        spec = RoutingRuleStatusSpec(
            family=name_of("Family", rule.family),
            src=rule.source,
            dst=rule.destination,
            table=name_of("RoutingTable", rule.table),
            priority=rule.priority,
            action=name_of("RoutingRuleAction", rule.action),
            iif_name=rule.incoming,
            oif_name=rule.outgoing,
            fw_mark=rule.mark,
            fw_mask=rule.mask,
        )
        found[rule_id(spec)] = spec
    return found
