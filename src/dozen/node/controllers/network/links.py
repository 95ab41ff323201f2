"""Links: which ones there should be and what they should be like, and making them so.

Loopback and every physical link that the configuration does not tell us to ignore are brought up. Links made of
software are made when their parent is there, and removed when the configuration no longer has them; each plan does what
the links that are there allow, and the kernel's news of it starts the next one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from dozen.machinery.effects.network import AcceptRouters, Each, SetLink
from dozen.machinery.plan import Effect, Input, Put, Step, View
from dozen.machinery.resource import Phase, Resource
from dozen.machinery.resources.link import LINK_SPEC, LINK_STATUS, LinkSpec, LinkStatusSpec
from dozen.machinery.resources.operator import DHCP_LEASE
from dozen.machinery.resources.settings import NETWORK, NETWORK_SETTINGS
from dozen.node.controllers.network.matching import (
    LOOPBACK,
    called,
    find_members,
    is_physical,
    is_up,
    settings_by_link,
)

if TYPE_CHECKING:
    from dozen.machinery.resources.settings import LinkSettings

Links = Mapping[str, Resource[LinkStatusSpec]]


class LinkSpecController:
    """LinkStatus + NetworkSettings + DHCPLease → LinkSpec."""

    name = "network-link-specs"
    inputs = (Input(LINK_STATUS), Input(NETWORK_SETTINGS), Input(DHCP_LEASE))
    outputs = (LINK_SPEC,)

    def plan(self, view: View) -> Iterable[Step]:
        links = {link.id: link for link in view.list(LINK_STATUS)}
        if LOOPBACK in links:
            type_ = links[LOOPBACK].spec.type
            yield Put(LINK_SPEC, LOOPBACK, LinkSpec(name=LOOPBACK, up=True, type=type_, layer="default"))
        settings = view.get(NETWORK_SETTINGS, NETWORK)
        if settings is None:
            return  # not yet known
        links = {link.id: link for link in called(settings.spec, links.values())}
        entries = settings_by_link(settings.spec, links.values())
        members = find_members(entries, links.values())
        for name in dict.fromkeys((*links, *entries)):
            entry = entries.get(name)
            if name == LOOPBACK or (entry.ignore if entry else not _is_ours(name, links, members)):
                continue
            spec = _describe(view, name, links.get(name), entry)
            if name in members or (entry and entry.logical):
                from dozen.node.controllers.network.logical import complete

                spec = complete(spec, entry, members.get(name), links)
            yield Put(LINK_SPEC, name, spec)


class LinkController:
    """LinkSpec + LinkStatus → the links that should be there are, and are as they should be."""

    name = "network-links"
    inputs = (Input(LINK_SPEC, finalize=True), Input(LINK_STATUS))
    outputs = ()

    def plan(self, view: View) -> Iterable[Step]:
        links = {link.id: link for link in view.list(LINK_STATUS)}
        specs = view.list(LINK_SPEC)
        made = frozenset(each.id for each in specs if each.spec.logical)
        effects: list[Effect] = []
        for each in specs:
            effects.extend(_settle(each, links, made))
        if effects:
            yield Each(tuple(effects))


def _settle(resource: Resource[LinkSpec], links: Links, made: frozenset[str]) -> Iterator[Effect]:
    """What is to be done now about one link; ``made`` are those that are made of software by us."""
    spec, link = resource.spec, links.get(resource.id)
    leaving = resource.metadata.phase is Phase.TEARING_DOWN
    if spec.logical:
        from dozen.node.controllers.network.logical import change, make_or_remove

        first = tuple(make_or_remove(spec, link, links, leaving))
        if first:
            yield from first
            return
        if link is not None and not leaving:
            yield from change(spec, link, links)
    if link is None or leaving:
        return
    if link.spec.master_index or _has_master(spec):
        from dozen.node.controllers.network.logical import join

        yield from join(spec, link, links, made)
    yield from _changes(link, spec, links)


def _is_ours(name: str, links: Links, members: Mapping[str, object]) -> bool:
    """Whether a link that the configuration does not describe is set up all the same."""
    return name in members or (name in links and is_physical(links[name].spec))


def _describe(view: View, name: str, link: Resource[LinkStatusSpec] | None, entry: LinkSettings | None) -> LinkSpec:
    """What a link should be like, whatever it is made of."""
    lease = view.get(DHCP_LEASE, name)
    leased = lease.spec.mtu if lease else 0
    type_ = link.spec.type if link is not None else "ether"
    if entry is None:
        return LinkSpec(name=name, up=True, mtu=leased, type=type_, layer="default")
    return LinkSpec(
        name=name,
        up=entry.up,
        mtu=entry.mtu or leased,
        multicast=entry.multicast,
        type=type_,
        layer="configuration",
    )


def _has_master(spec: LinkSpec) -> bool:
    return bool(spec.bond_slave or spec.bridge_slave or spec.vrf_slave)


def _changes(link: Resource[LinkStatusSpec], spec: LinkSpec, links: Links) -> Iterator[Effect]:
    mtu = spec.mtu if spec.mtu != link.spec.mtu else 0
    # a bond gives its members its own address
    address = spec.hardware_addr if spec.hardware_addr.lower() != link.spec.hardware_addr else ""
    multicast = spec.multicast
    if multicast == ("MULTICAST" in link.spec.flags.split(",")):
        multicast = None
    if spec.up == is_up(link.spec) and not (mtu or address or multicast is not None):
        return
    if spec.up and spec.parent_name and not (spec.parent_name in links and is_up(links[spec.parent_name].spec)):
        return  # the kernel refuses a VLAN on a link that is down
    if spec.up and not is_up(link.spec) and link.id != LOOPBACK and not link.spec.master_index:
        yield AcceptRouters(link.id)
    yield SetLink(link.id, spec.up, mtu, address, multicast)
