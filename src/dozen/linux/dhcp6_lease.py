"""What a DHCPv6 client holds: addresses, each with its own end, and the times at which to have them prolonged.

A lifetime is in two parts. While an address is *preferred* it is used for everything; then it is *deprecated* and
serves only the connections that there are; at the end of its *valid* lifetime it is nobody's (RFC 4862, 5.5.4).
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import NamedTuple

import msgspec

from dozen.linux.dhcp6 import INFINITE, Association, Reply

RENEWAL_SHARE, REBINDING_SHARE = 0.5, 0.8  # of the shortest preferred lifetime, where the server leaves it to us (21.4)
SHORTEST_RENEWAL = 1.0  # seconds; a server that says less would have us do nothing but renew


class LiveAddress(msgspec.Struct, frozen=True):
    """An address that the host has. A ``deprecated`` one is for the connections that there are."""

    address: str
    deprecated: bool = False


class Lease(msgspec.Struct, frozen=True):
    """What a server granted. ``server`` is its address; ``duration`` are the seconds left, or `INFINITE`."""

    addresses: tuple[LiveAddress, ...]
    server: str
    duration: int
    dns_servers: tuple[str, ...] = ()
    search_domains: tuple[str, ...] = ()
    time_servers: tuple[str, ...] = ()
    hostname: str = ""


class Lifetimes(NamedTuple):
    """Until when an address may be used, for new connections and at all; on the caller's clock."""

    preferred: float
    valid: float


class Holdings:
    """The addresses of one link. ``renewal`` and ``rebinding`` are when to ask for more time, on the caller's clock."""

    def __init__(self) -> None:
        self.renewal = self.rebinding = math.inf
        self.server = b""  # the DUID of who gave them
        self._until: dict[str, Lifetimes] = {}
        self._reply: Reply | None = None
        self._sender = ""
        self._shown: tuple[LiveAddress, ...] = ()

    def __bool__(self) -> bool:
        return bool(self._until)

    @property
    def addresses(self) -> tuple[str, ...]:
        return tuple(self._until)

    @property
    def next_end(self) -> float:
        """When the next address is deprecated or ends."""
        deprecated = {each.address for each in self._shown if each.deprecated}
        preferred = (until.preferred for address, until in self._until.items() if address not in deprecated)
        return min((*preferred, *(until.valid for until in self._until.values())), default=math.inf)

    def prolong(self, association: Association, now: float) -> bool:
        """Give addresses new lifetimes, add those that are new, end those that get none. Whether any is left.

        An address that the server does not mention stays as it was (RFC 8415, 18.2.10.1).
        """
        for each in association.addresses:
            self._until.pop(each.address, None)
            if each.valid:
                self._until[each.address] = Lifetimes(_moment(now, each.preferred), _moment(now, each.valid))
        if self._until:
            renewal, rebinding = self._choose_times(association, now)
            self.renewal = now + max(renewal, SHORTEST_RENEWAL)
            self.rebinding = now + max(rebinding, SHORTEST_RENEWAL)
        return bool(self._until)

    def remember(self, reply: Reply, sender: str) -> None:
        """Who gave the addresses, and what else came with them."""
        self._reply, self.server, self._sender = reply, reply.server, sender

    def give_up(self, addresses: Iterable[str]) -> None:
        """Hold these no longer; those that are not held are fine."""
        for address in tuple(addresses):
            self._until.pop(address, None)

    def age(self, now: float) -> None:
        """Hold no longer what has ended."""
        self.give_up([address for address, until in self._until.items() if until.valid <= now])

    def has_changed(self, now: float) -> bool:
        """Whether there are other addresses than at the last `describe`, or deprecated ones that were not."""
        return self._list_live(now) != self._shown

    def describe(self, now: float) -> Lease | None:
        """All of it; None if there is no address."""
        self._shown = self._list_live(now)
        if self._reply is None or not self._shown:
            return None
        end = max(until.valid for until in self._until.values())
        return Lease(
            addresses=self._shown,
            server=self._sender,
            duration=INFINITE if math.isinf(end) else round(end - now),
            dns_servers=self._reply.dns_servers,
            search_domains=self._reply.search_domains,
            time_servers=self._reply.time_servers,
            hostname=self._reply.hostname,
        )

    def _list_live(self, now: float) -> tuple[LiveAddress, ...]:
        return tuple(LiveAddress(address, until.preferred <= now) for address, until in self._until.items())

    def _choose_times(self, association: Association, now: float) -> tuple[float, float]:
        """Seconds until to renew and to rebind: the server's; where it says none a share of the shortest time for which
        an address is preferred, or there at all if it is not preferred.
        """
        left = (until.preferred if until.preferred > now else until.valid for until in self._until.values())
        shortest = min(left) - now
        rebinding = _moment(0.0, association.rebinding) if association.rebinding else REBINDING_SHARE * shortest
        if not association.renewal:
            return min(RENEWAL_SHARE * shortest, rebinding), rebinding
        renewal = _moment(0.0, association.renewal)
        return renewal, max(renewal, rebinding)


def _moment(now: float, seconds: int) -> float:
    return math.inf if seconds == INFINITE else now + seconds
