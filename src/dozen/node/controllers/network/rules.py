"""Publishes the routing rules that the kernel has, as they come and go."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from typing import TYPE_CHECKING

from dozen.machinery.resources.enums import name_of
from dozen.machinery.resources.routing import ROUTING_RULE_STATUS, RoutingRuleStatusSpec

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


def describe_rules(rules: Iterable[Rule]) -> dict[str, RoutingRuleStatusSpec]:
    """Rules as resources. Of two with one family and priority, which the kernel allows, the later one is told."""
    found = {}
    for rule in rules:
        family = name_of("Family", rule.family)
        found[f"{family}/{rule.priority:05d}"] = RoutingRuleStatusSpec(
            family=family,
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
    return found
