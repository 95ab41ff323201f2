"""Which links there are to set up, and which part of the configuration is about which link."""

from __future__ import annotations

from dozen.machinery.resource import Resource
from dozen.machinery.resources.link import LinkStatusSpec
from dozen.machinery.resources.settings import LinkSelector, LinkSettings, NetworkSettings

LOOPBACK = "lo"


def is_physical(link: LinkStatusSpec) -> bool:
    """Whether a link is hardware, or looks like it in a virtual machine: Ethernet that was not made of other links."""
    return link.type == "ether" and not link.kind


def is_up(link: LinkStatusSpec) -> bool:
    """Whether the link was brought up; whether anybody is at the other end is its ``link_state``."""
    return "UP" in link.flags.split(",")


def find_settings(settings: NetworkSettings, link: Resource[LinkStatusSpec]) -> LinkSettings | None:
    """What the configuration says about a link; the first entry that fits."""
    for entry in settings.links:
        if entry.name and entry.name in (link.id, link.spec.alias, *link.spec.alt_names):
            return entry
        if entry.selector is not None and selects(entry.selector, link.spec):
            return entry
    return None


def selects(selector: LinkSelector, link: LinkStatusSpec) -> bool:
    """Whether a link is what a selector describes. One that says nothing selects nothing."""
    from fnmatch import fnmatchcase

    said = (
        (selector.bus_path, link.bus_path),
        (selector.hardware_addr.lower(), link.hardware_addr),
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
