"""A DHCPv6 client's decisions: what to send when, what to make of an answer, when to give an address up.

It is a machine without any I/O, like `dhcp_client` for IPv4: it is told what arrived and what time it is, and returns
what to do. `dhcp6_socket` gives it a network and a clock. What it does in which state (RFC 8415, 18.2):

SOLICITING
    asks all servers what they would give (Solicit). One may give at once (*rapid commit*); else it collects what they
    advertise until the first wait is over and takes the best.
REQUESTING
    asks for what the chosen server advertised (Request), or once more for addresses that it has forgotten.
CONFIRMING
    has addresses, but the link was down: asks whether they are of this link. No answer means that they may be.
BOUND
    has addresses and is silent.
RENEWING, REBINDING
    asks its server, later all, to prolong them. Each address is given up when its own lifetime ends.
DECLINING
    tells the server that another host uses an address that it gave.

All questions go to the group of all servers: a server says itself which of them are meant for it.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from enum import Enum
from typing import NamedTuple

import msgspec

from dozen.linux import dhcp6
from dozen.linux.dhcp6 import Association, LeasedAddress, MalformedMessage, Reply
from dozen.linux.dhcp6_lease import Holdings, Lease

State = Enum("State", "IDLE SOLICITING REQUESTING CONFIRMING BOUND RENEWING REBINDING DECLINING")


class Pace(NamedTuple):
    """How a question is repeated (RFC 8415, 15): the waits in seconds begin with ``first`` and double until
    ``longest``; the first question is itself delayed by up to ``delay``. It is given up after so many ``attempts``, or
    so many ``seconds``; 0 is never.
    """

    kind: int
    first: float
    longest: float
    delay: float = 0.0
    attempts: int = 0
    seconds: float = 0.0


# RFC 8415, 7.6
PACES = {
    State.SOLICITING: Pace(dhcp6.SOLICIT, 1, 3600, delay=1),
    State.REQUESTING: Pace(dhcp6.REQUEST, 1, 30, attempts=10),
    State.CONFIRMING: Pace(dhcp6.CONFIRM, 1, 4, delay=1, seconds=10),
    State.RENEWING: Pace(dhcp6.RENEW, 10, 600),
    State.REBINDING: Pace(dhcp6.REBIND, 10, 600),
    State.DECLINING: Pace(dhcp6.DECLINE, 1, 600, attempts=4),
}
JITTER = 0.1  # of a wait, either way (RFC 8415, 15)
BEST_PREFERENCE = 255  # a server that says this need not be compared with others
SOLICIT_LIMITS = range(60, 86401)  # seconds, which a server may set as the longest wait of a Solicit (21.24)
LONGEST_PAUSE = 120.0  # seconds after a server that advertises and then refuses


class Send(msgspec.Struct, frozen=True):
    """Send to all servers on the link."""

    message: bytes


class Granted(msgspec.Struct, frozen=True):
    """These addresses are ours from now on, and no others."""

    lease: Lease


class Lost(msgspec.Struct, frozen=True):
    """No address must be used any more."""

    reason: str


class Refused(msgspec.Struct, frozen=True):
    """A server answered and gives nothing; it is said once for each reason."""

    reason: str


Action = Send | Granted | Lost | Refused


class Client:
    """One client on one link. ``deadline`` is when `expire` wants to be called, infinite if never.

    ``duid`` is by what servers know the host, ``number`` by what they tell its links apart.
    """

    def __init__(
        self, duid: bytes, number: int, hostname: str = "", entropy: Callable[[int], bytes] = os.urandom
    ) -> None:
        self.state = State.IDLE
        self._duid = duid
        self._number = number
        self._hostname = hostname
        self._entropy = entropy
        self._held = Holdings()
        self._offer: Reply | None = None
        self._declined: tuple[str, ...] = ()
        self._solicit_limit = PACES[State.SOLICITING].longest
        self._refusals = 0
        self._told = ""
        self._transaction = 0
        self._began = 0.0  # when the present question was first asked
        self._attempt = 0
        self._wait = 0.0
        self._resend = math.inf

    @property
    def deadline(self) -> float:
        moments = [self._resend, self._held.next_end]
        if self.state is State.BOUND:
            moments += (self._held.renewal, self._held.rebinding)
        elif self.state is State.RENEWING:
            moments.append(self._held.rebinding)
        return min(moments)

    def start(self, now: float) -> list[Action]:
        """The link came up. A client that has addresses asks whether they are still of this link."""
        actions = self._age(now)
        if self._declined:
            return [*actions, *self._begin(State.DECLINING, now)]
        return [*actions, *self._begin(State.CONFIRMING if self._held else State.SOLICITING, now)]

    def expire(self, now: float) -> list[Action]:
        """The deadline came."""
        had = bool(self._held)
        actions = self._age(now)
        if had and not self._held and self.state is not State.DECLINING:
            return [*actions, *self._begin(State.SOLICITING, now)]
        if self.state in (State.BOUND, State.RENEWING) and now >= self._held.rebinding:
            return [*actions, *self._begin(State.REBINDING, now)]
        if self.state is State.BOUND and now >= self._held.renewal:
            return [*actions, *self._begin(State.RENEWING, now)]
        return [*actions, *self._repeat(now)] if now >= self._resend else actions

    def receive(self, data: bytes, sender: str, now: float) -> list[Action]:
        """Something arrived. What is not an answer to the question that was asked is ignored."""
        if self.state in (State.IDLE, State.BOUND) or not self._attempt:
            return []
        try:
            reply = dhcp6.parse_reply(data)
        except MalformedMessage:
            return []
        if reply.transaction != self._transaction or reply.client != self._duid:
            return []
        if reply.solicit_limit in SOLICIT_LIMITS:
            self._solicit_limit = reply.solicit_limit  # counts even if nothing else of the message does (21.24)
        if self.state is State.SOLICITING and reply.type == dhcp6.ADVERTISE:
            return self._take_advertisement(reply, now)
        if reply.type != dhcp6.REPLY or (self.state is State.SOLICITING and not reply.rapid):
            return []
        if self.state is State.CONFIRMING:
            return self._take_confirmation(reply, now)
        if self.state is State.DECLINING:
            return self._end_decline(now)
        asked = self._find_server()
        if asked and reply.server != asked:
            return []
        return self._take_reply(reply, sender, now)

    def decline(self, address: str, now: float) -> list[Action]:
        """Another host has this address, if it is ours. The server is told at the next `start`."""
        if address not in self._held.addresses:
            return []
        self._held.give_up([address])
        self._declined = (*self._declined, address)
        return self._show(now, f"another host has {address}")

    def _begin(self, state: State, now: float) -> list[Action]:
        """Start a new exchange: its own transaction, its own sequence of waits."""
        self.state = state
        self._transaction = int.from_bytes(self._entropy(3), "big")
        self._attempt = 0
        self._wait = 0.0
        if state is not State.REQUESTING:
            self._offer = None
        delay = PACES[state].delay
        if delay:
            self._resend = now + delay * self._draw()
            return []
        return self._repeat(now)

    def _repeat(self, now: float) -> list[Action]:
        """Ask again, or do what comes after the last time."""
        if self.state is State.IDLE:
            return self._begin(State.SOLICITING, now)
        if self.state is State.SOLICITING and self._offer is not None:
            return self._begin(State.REQUESTING, now)
        pace = PACES[self.state]
        if self._attempt == 0:
            self._began = now
        elif (pace.attempts and self._attempt >= pace.attempts) or (pace.seconds and now >= self._began + pace.seconds):
            return self._give_up(now)
        self._attempt += 1
        self._wait = self._next_wait(pace)
        self._resend = now + self._wait
        if pace.seconds:
            self._resend = min(self._resend, self._began + pace.seconds)
        return [Send(self._compose(pace.kind, now))]

    def _next_wait(self, pace: Pace) -> float:
        """RFC 8415, 15; the first wait of a Solicit is never shorter than its nominal one (18.2.1)."""
        share = self._draw()
        vary = JITTER * (share if self.state is State.SOLICITING and self._attempt == 1 else 2 * share - 1)
        longest = self._solicit_limit if self.state is State.SOLICITING else pace.longest
        wait = pace.first * (1 + vary) if self._attempt == 1 else self._wait * (2 + vary)
        return wait if wait <= longest else longest * (1 + vary)

    def _give_up(self, now: float) -> list[Action]:
        if self.state is State.CONFIRMING:
            return self._rest()
        if self.state is State.DECLINING:
            return self._end_decline(now)
        return self._begin(State.SOLICITING, now)

    def _rest(self) -> list[Action]:
        """Go on with the addresses that there are, until it is time to prolong them."""
        self.state = State.BOUND
        self._resend = math.inf
        return []

    def _take_advertisement(self, reply: Reply, now: float) -> list[Action]:
        association = self._find(reply)
        status = association.status if association and association.status.code else reply.status
        if status.code or association is None or not any(each.valid for each in association.addresses):
            return self._tell(str(status) if status.code else "it advertises no address")
        if self._offer is None or reply.preference > self._offer.preference:
            self._offer = reply
        if self._attempt > 1 or reply.preference == BEST_PREFERENCE:
            return self._begin(State.REQUESTING, now)
        return []

    def _take_confirmation(self, reply: Reply, now: float) -> list[Action]:
        if reply.status.code == dhcp6.NOT_ON_LINK:
            self._held.give_up(self._held.addresses)
            return [*self._show(now, str(reply.status)), *self._begin(State.SOLICITING, now)]
        return self._rest() if reply.status.code == dhcp6.SUCCESS else []

    def _take_reply(self, reply: Reply, sender: str, now: float) -> list[Action]:
        """An answer to a question for addresses: they come, are prolonged, end, or are refused."""
        association = self._find(reply)
        status = association.status if association and association.status.code else reply.status
        prolonged = self.state in (State.RENEWING, State.REBINDING)
        if prolonged and status.code == dhcp6.NO_BINDING:
            self._offer = reply
            return [*self._tell(str(status)), *self._begin(State.REQUESTING, now)]
        if status.code in (dhcp6.FAILED, dhcp6.USE_MULTICAST) or (prolonged and status.code):
            return self._tell(str(status))  # it is asked again, in time
        if status.code:
            return self._refuse(str(status), now)
        if association is None or association.renewal > association.rebinding > 0:
            return []
        if not prolonged:
            self._held.give_up(self._held.addresses)
        self._held.remember(reply, sender)
        if not self._held.prolong(association, now):
            return self._refuse("it gives no address", now)
        self._refusals = 0 if prolonged else self._refusals
        self._told, self._offer = "", None
        lease = self._held.describe(now)
        return [*self._rest(), *([Granted(lease)] if lease is not None else ())]

    def _refuse(self, reason: str, now: float) -> list[Action]:
        """Nothing is left. A server that goes on refusing is asked more and more slowly."""
        self._held.give_up(self._held.addresses)
        self._offer = None
        told = self._show(now, reason) or self._tell(reason)
        return [*told, *self._pause(now)]

    def _pause(self, now: float) -> list[Action]:
        self.state = State.IDLE
        wait = min(2.0 ** min(self._refusals, 10), LONGEST_PAUSE)
        self._resend = now + wait * (1 + JITTER * (2 * self._draw() - 1))
        self._refusals += 1
        return []

    def _end_decline(self, now: float) -> list[Action]:
        self._declined = ()
        return self._rest() if self._held else self._pause(now)

    def _tell(self, reason: str) -> list[Action]:
        if reason == self._told:
            return []
        self._told = reason
        return [Refused(reason)]

    def _age(self, now: float) -> list[Action]:
        """Give up the addresses whose time is over."""
        self._held.age(now)
        return self._show(now, "nobody prolonged it")

    def _show(self, now: float, reason: str) -> list[Action]:
        """Tell what addresses there are, if they are others than before."""
        if not self._held.has_changed(now):
            return []
        lease = self._held.describe(now)
        return [Lost(reason) if lease is None else Granted(lease)]

    def _find(self, reply: Reply) -> Association | None:
        """The association of this link among those of a message."""
        return next((each for each in reply.associations if each.number == self._number), None)

    def _find_server(self) -> bytes:
        """The DUID of the server that is asked; empty for all."""
        if self.state is State.REQUESTING and self._offer is not None:
            return self._offer.server
        if self.state in (State.RENEWING, State.DECLINING):
            return self._held.server
        return b""

    def _compose(self, kind: int, now: float) -> bytes:
        """The question that the present state asks."""
        server = self._find_server()
        elapsed = min(int((now - self._began) * 100), 0xFFFF)
        addresses = self._held.addresses
        if self.state is State.DECLINING:
            addresses = self._declined
        elif self.state is State.REQUESTING and self._offer is not None and (found := self._find(self._offer)):
            addresses = tuple(each.address for each in found.addresses) or addresses
        # a client's lifetimes and times are zeros, which servers do not look at
        association = Association(self._number, 0, 0, tuple(LeasedAddress(each, 0, 0) for each in addresses))
        options = [(dhcp6.CLIENT_ID, self._duid), *([(dhcp6.SERVER_ID, server)] if server else ())]
        options += [
            (dhcp6.ELAPSED_TIME, elapsed.to_bytes(2, "big")),
            (dhcp6.IA_NA, dhcp6.pack_association(association)),
        ]
        if self.state is State.SOLICITING:
            options.append((dhcp6.RAPID_COMMIT, b""))
        if self.state not in (State.CONFIRMING, State.DECLINING):
            asked_for = b"".join(code.to_bytes(2, "big") for code in dhcp6.ASKED_FOR)
            options.append((dhcp6.OPTION_REQUEST, asked_for))
            if self._hostname:
                options.append((dhcp6.CLIENT_FQDN, dhcp6.pack_name(self._hostname)))
        return dhcp6.pack_message(kind, self._transaction, options)

    def _draw(self) -> float:
        """A random number from 0 up to 1."""
        return int.from_bytes(self._entropy(4), "big") / 0xFFFFFFFF
