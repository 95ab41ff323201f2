"""Effects on the rules by which the kernel chooses a table of routes."""

from __future__ import annotations

import msgspec

from dozen.machinery.plan import Effect
from dozen.machinery.resources.routing import RoutingRuleSpec


class AddRule(Effect, msgspec.Struct, frozen=True):
    """Add a rule; one that is there is fine."""

    rule: RoutingRuleSpec

    def __str__(self) -> str:
        return f"add {self.rule.family} routing rule {self.rule.priority} to table {self.rule.table}"


class RemoveRule(Effect, msgspec.Struct, frozen=True):
    """Remove a rule; one that is gone is fine."""

    rule: RoutingRuleSpec

    def __str__(self) -> str:
        return f"remove {self.rule.family} routing rule {self.rule.priority}"
