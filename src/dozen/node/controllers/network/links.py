"""Brings links up: loopback, every physical one that the configuration does not tell us to ignore, with the right
MTU.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from dozen.machinery.effects.network import AcceptRouters, Each, SetLink
from dozen.machinery.plan import Effect, Input, Put, Step, View
from dozen.machinery.resource import Resource
from dozen.machinery.resources.link import LINK_SPEC, LINK_STATUS, LinkSpec, LinkStatusSpec
from dozen.machinery.resources.operator import DHCP_LEASE
from dozen.machinery.resources.settings import NETWORK, NETWORK_SETTINGS, NetworkSettings
from dozen.node.controllers.network.matching import LOOPBACK, find_settings, is_physical, is_up


class LinkController:
    """LinkStatus + NetworkSettings + DHCPLease → LinkSpec, and the links are set up."""

    name = "network-links"
    inputs = (Input(LINK_STATUS), Input(NETWORK_SETTINGS), Input(DHCP_LEASE))
    outputs = (LINK_SPEC,)

    def plan(self, view: View) -> Iterable[Step]:
        settings = view.get(NETWORK_SETTINGS, NETWORK)
        effects: list[Effect] = []
        wanted: list[tuple[str, LinkSpec]] = []
        for link in view.list(LINK_STATUS):
            spec = _wish(view, link, settings.spec if settings else None)
            if spec is not None:
                wanted.append((link.id, spec))
                effects.extend(_changes(link, spec))
        if effects:
            yield Each(tuple(effects))
        for id, spec in wanted:
            yield Put(LINK_SPEC, id, spec)


def _wish(view: View, link: Resource[LinkStatusSpec], settings: NetworkSettings | None) -> LinkSpec | None:
    """What a link should be like; None if it is nothing of ours."""
    if link.id == LOOPBACK:
        return LinkSpec(name=link.id, up=True, type=link.spec.type, layer="default")
    if settings is None:
        return None  # not yet known
    entry = find_settings(settings, link)
    if entry is not None:
        if entry.ignore:
            return None
        mtu = entry.mtu or _leased_mtu(view, link.id)
        return LinkSpec(name=link.id, up=True, mtu=mtu, type=link.spec.type, layer="configuration")
    if not is_physical(link.spec):
        return None
    return LinkSpec(name=link.id, up=True, mtu=_leased_mtu(view, link.id), type=link.spec.type, layer="default")


def _leased_mtu(view: View, link: str) -> int:
    lease = view.get(DHCP_LEASE, link)
    return lease.spec.mtu if lease else 0


def _changes(link: Resource[LinkStatusSpec], spec: LinkSpec) -> Iterator[Effect]:
    wrong_mtu = spec.mtu not in (0, link.spec.mtu)
    if is_up(link.spec) and not wrong_mtu:
        return
    if not is_up(link.spec) and link.id != LOOPBACK:
        yield AcceptRouters(link.id)
    yield SetLink(link.id, up=True, mtu=spec.mtu if wrong_mtu else 0)
