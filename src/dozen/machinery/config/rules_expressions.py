"""Rules about documents that hold expressions."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from dozen.machinery.config import expressions

LONGEST_ALIAS = 64  # letters; the kernel allows 127
SHORTEST_SAMPLE = 0.05  # seconds


def check_alias_document(model: object) -> Iterator[tuple[str, str]]:
    """Rules of LinkAliasConfig."""
    said: Any = model
    name = said.name.replace("%d", "0", 1)
    if not 0 < len(name) <= LONGEST_ALIAS or any(char.isspace() or char in "/:%" for char in name):
        yield "name", f'expected a name for a link like "uplink", or "net%d" for several, found "{said.name}"'
    if said.selector is None or not said.selector.match:
        yield "selector", 'is required: an expression that chooses a link, like match: link.driver == "virtio_net"'
    elif words := expressions.check(said.selector.match, expressions.LINK):
        yield "selector.match", words


def check_oom_document(model: object) -> Iterator[tuple[str, str]]:
    """Rules of OOMConfig."""
    said: Any = model
    for field, text, variables in (
        ("triggerExpression", said.trigger_expression, expressions.TRIGGER),
        ("cgroupRankingExpression", said.cgroup_ranking_expression, expressions.RANKING),
    ):
        if text and (words := expressions.check(text, variables)):
            yield field, words
    if said.sample_interval is not None and said.sample_interval < SHORTEST_SAMPLE:
        yield "sampleInterval", f"expected at least {SHORTEST_SAMPLE:g} s, found {said.sample_interval:g} s"
