"""What a node says it misses when nobody can reach it."""

from __future__ import annotations

import pytest

from dozen.machinery.resources.link import LinkStatusSpec
from dozen.node.tasks.connection import explain

LOOPBACK = LinkStatusSpec(type="loopback", link_state=True)
DARK = LinkStatusSpec(link_state=False)
LIT = LinkStatusSpec(link_state=True)
BRIDGE = LinkStatusSpec(kind="bridge", link_state=True)


@pytest.mark.parametrize(
    ("links", "reason"),
    [
        ({}, "it has no network card, or none that a driver knows"),
        ({"lo": LOOPBACK, "br0": BRIDGE}, "it has no network card, or none that a driver knows"),
        ({"lo": LOOPBACK, "eth1": DARK, "eth0": DARK}, "no cable, or nobody at its other end: eth0, eth1"),
        ({"eth1": DARK, "eth0": LIT}, "no address: no answer by DHCP on eth0, and none in machine.network.interfaces"),
    ],
)
def test_the_reason_names_what_is_missing(links: dict[str, LinkStatusSpec], reason: str) -> None:
    assert explain(links) == reason
