"""Effects on the network: links, addresses, routes and the host's name.

Links are named, not numbered: a plan is made from resources, and an index may be another link's by the time it is run.
Adding what is already there and removing what is already gone succeed, so that a plan may be carried out twice.
"""

from __future__ import annotations

import msgspec

from dozen.machinery.plan import Effect

FOREVER = 0xFFFFFFFF


class SetLink(Effect, msgspec.Struct, frozen=True):
    """Bring a link up (or down) and set what it is like; 0, "" and None leave that."""

    link: str
    up: bool = True
    mtu: int = 0
    hardware_addr: str = ""
    multicast: bool | None = None

    def __str__(self) -> str:
        words = [f"set link {self.link} {'up' if self.up else 'down'}"]
        words += [f"mtu {self.mtu}"] if self.mtu else []
        words += [f"address {self.hardware_addr}"] if self.hardware_addr else []
        words += [] if self.multicast is None else [f"multicast {'on' if self.multicast else 'off'}"]
        return " ".join(words)


class AcceptRouters(Effect, msgspec.Struct, frozen=True):
    """Have the kernel configure IPv6 on a link from what routers announce, although this host forwards packets itself.

    Forwarding turns that off unless accept_ra is 2 (Documentation/networking/ip-sysctl.rst).
    """

    link: str

    def __str__(self) -> str:
        return f"accept IPv6 routers on {self.link}"


class AddAddress(Effect, msgspec.Struct, frozen=True):
    """Put an address (a prefix) on a link, or renew its lifetimes, which are seconds."""

    link: str
    address: str
    scope: int = 0
    flags: int = 0
    priority: int = 0
    valid: int = FOREVER
    preferred: int = FOREVER

    def __str__(self) -> str:
        return f"add address {self.address} to {self.link}"


class RemoveAddress(Effect, msgspec.Struct, frozen=True):
    """Take an address off a link."""

    link: str
    address: str

    def __str__(self) -> str:
        return f"remove address {self.address} from {self.link}"


class AnnounceAddress(Effect, msgspec.Struct, frozen=True):
    """Tell a link's neighbours that this host has an address (a prefix) now: they may remember another one's."""

    link: str
    address: str

    def __str__(self) -> str:
        return f"announce address {self.address} on {self.link}"


class RouteEntry(Effect, msgspec.Struct, frozen=True):
    """What a route consists of; ``destination`` "" is the default route of ``family`` (2 is IPv4, 10 is IPv6)."""

    family: int
    destination: str = ""
    gateway: str = ""
    source: str = ""
    link: str = ""
    table: int = 254
    priority: int = 0
    scope: int = 0
    type: int = 1
    protocol: int = 4
    flags: int = 0
    mtu: int = 0

    def describe(self) -> str:
        """The route in the order in which people read it."""
        words = [self.destination or "default"]
        words += [f"via {self.gateway}"] if self.gateway else []
        words += [f"on {self.link}"] if self.link else []
        return " ".join([*words, f"metric {self.priority}"])


class AddRoute(RouteEntry, frozen=True):
    """Add a route, or change the one with the same destination, table and metric."""

    def __str__(self) -> str:
        return f"add route {self.describe()}"


class RemoveRoute(RouteEntry, frozen=True):
    """Remove a route."""

    def __str__(self) -> str:
        return f"remove route {self.describe()}"


class SetHostname(Effect, msgspec.Struct, frozen=True):
    """Tell the kernel the host's name and its domain ("" for none)."""

    hostname: str
    domain: str = ""

    def __str__(self) -> str:
        return f"set hostname {self.hostname}" + (f" in {self.domain}" if self.domain else "")


class Each(Effect, msgspec.Struct, frozen=True):
    """Several effects that do not depend on each other: each is tried even if another one fails, then that is told.

    So one link that cannot be brought up, or one impossible route, does not keep the node from the others.
    """

    effects: tuple[Effect, ...]

    def __str__(self) -> str:
        return "; ".join(str(effect) for effect in self.effects)
