"""Which links there are to set up, and which part of the configuration is about which link."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from dozen.machinery.resource import Resource
from dozen.machinery.resources.link import LinkStatusSpec
from dozen.machinery.resources.settings import LinkSelector, LinkSettings, LogicalLink, NetworkSettings

LOOPBACK = "lo"
# Kinds of links that have the hardware address of another link: who selects by address means that other one.
BORROWING = frozenset(("vlan", "bond", "bridge", "macvlan", "macvtap", "ipvlan", "team"))


def is_physical(link: LinkStatusSpec) -> bool:
    """Whether a link is hardware, or looks like it in a virtual machine: Ethernet that was not made of other links."""
    return link.type == "ether" and not link.kind


def is_up(link: LinkStatusSpec) -> bool:
    """Whether the link was brought up; whether anybody is at the other end is its ``link_state``."""
    return "UP" in link.flags.split(",")


def settings_by_link(settings: NetworkSettings, links: Iterable[Resource[LinkStatusSpec]]) -> dict[str, LinkSettings]:
    """What the configuration says, by the name of the link: of those that are there, and of those that are to be made.

    Of several entries that fit a link the first one counts.
    """
    there = tuple(called(settings, links))
    found: dict[str, LinkSettings] = {}
    for entry in settings.links:
        for name in _names(entry, there):
            found.setdefault(name, entry)
    return found


def called(settings: NetworkSettings, links: Iterable[Resource[LinkStatusSpec]]) -> Iterable[Resource[LinkStatusSpec]]:
    """The links with the names that the configuration gives them beside their own."""
    if not settings.aliases:
        return links
    from dozen.node.controllers.network.aliases import with_aliases

    return with_aliases(settings.aliases, links)


def _names(entry: LinkSettings, links: tuple[Resource[LinkStatusSpec], ...]) -> Iterable[str]:
    """The links that an entry is about."""
    if entry.logical is not None:
        if entry.name:
            return (entry.name,)
        return (name_vlan(parent, entry.logical) for parent in find_links(links, "", entry.logical.parent_selector))
    return find_links(links, entry.name, entry.selector)


def find_links(links: Iterable[Resource[LinkStatusSpec]], name: str, selector: LinkSelector | None) -> Iterator[str]:
    """The links that have a name, or another name, or are what a selector describes."""
    for link in links:
        if (name and name in (link.id, link.spec.alias, *link.spec.alt_names)) or (
            selector is not None and selects(selector, link.spec)
        ):
            yield link.id


def name_vlan(parent: str, logical: LogicalLink) -> str:
    """What a VLAN is called that has no name of its own: "eth0.5"; the kernel allows 15 letters."""
    number = str(logical.vlan.vlan_id if logical.vlan else 0)
    return f"{parent[: 14 - len(number)]}.{number}"


def selects(selector: LinkSelector, link: LinkStatusSpec) -> bool:
    """Whether a link is what a selector describes. One that says nothing selects nothing."""
    from fnmatch import fnmatchcase

    if link.kind in BORROWING:
        return False
    # a bond gives its own address to its members
    address = link.permanent_addr if link.slave_kind == "bond" else link.hardware_addr
    said = (
        (selector.bus_path, link.bus_path),
        (selector.hardware_addr.lower(), address),
        (selector.permanent_addr.lower(), link.permanent_addr),
        (selector.pci_id.lower(), link.pci_id.lower()),
        (selector.driver, link.driver),
    )
    patterns = [(pattern, value) for pattern, value in said if pattern]
    if not patterns and not selector.physical:
        return False
    if selector.physical and not is_physical(link):
        return False
    return all(fnmatchcase(value, pattern) for pattern, value in patterns)


class Membership(NamedTuple):
    """Which bond, bridge or VRF a link belongs to, by its kind and name, and as the how manieth."""

    kind: str
    master: str
    position: int = 0


def find_members(
    entries: Mapping[str, LinkSettings], links: Iterable[Resource[LinkStatusSpec]]
) -> dict[str, Membership]:
    """The links that the configuration puts into others. Of two that ask for the same link the first one gets it."""
    there = tuple(links)
    found: dict[str, Membership] = {}
    for master, entry in entries.items():
        if entry.logical is None or entry.ignore:
            continue
        wishes: list[tuple[str, LinkSelector | None]] = [(name, None) for name in entry.logical.links]
        wishes += [("", selector) for selector in entry.logical.link_selectors]
        for position, (name, selector) in enumerate(wishes):
            for member in find_links(there, name, selector):
                if member != master:
                    found.setdefault(member, Membership(entry.logical.kind, master, position))
    for name, entry in entries.items():
        if entry.bridge:
            found.setdefault(name, Membership("bridge", entry.bridge))
    return found
