"""WireGuard links get their keys and peers.

What such a link was told is remembered rather than compared with what it has: the kernel does not give secrets back in
a form to compare, and an endpoint changes by itself when a peer moves.
"""

from __future__ import annotations

from collections.abc import Iterable

from dozen.machinery.effects.links import SetWireguard
from dozen.machinery.effects.network import Each
from dozen.machinery.plan import Effect, Input, Put, Step, View
from dozen.machinery.resources.link import LINK_SPEC, LINK_STATUS, TUNNEL_STATUS, TunnelStatusSpec


class TunnelController:
    """LinkSpec of kind wireguard + LinkStatus → TunnelStatus, and the links are set up."""

    name = "network-tunnels"
    inputs = (Input(LINK_SPEC), Input(LINK_STATUS))
    outputs = (TUNNEL_STATUS,)

    def plan(self, view: View) -> Iterable[Step]:
        effects: list[Effect] = []
        told: list[tuple[str, TunnelStatusSpec]] = []
        for wanted in view.list(LINK_SPEC):
            settings, link = wanted.spec.wireguard, view.get(LINK_STATUS, wanted.id)
            if settings is None or link is None or link.spec.kind != wanted.spec.kind:
                continue
            status = TunnelStatusSpec(index=link.spec.index, spec_version=str(wanted.metadata.version))
            before = view.get(TUNNEL_STATUS, wanted.id)
            if before is None or before.spec != status:
                effects.append(SetWireguard(wanted.id, settings))
            told.append((wanted.id, status))
        if effects:
            yield Each(tuple(effects))
        for id, status in told:
            yield Put(TUNNEL_STATUS, id, status)
