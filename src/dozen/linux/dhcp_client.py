"""A DHCP client's decisions: what to send when, what to make of an answer, when to give an address up.

It is a machine without any I/O: it is told what arrived and what time it is, and returns what to do. `dhcp_socket`
gives it a network and a clock. The states are RFC 2131's (figure 5):

SELECTING
    asks everybody for an offer (DISCOVER) and takes the first usable one.
REQUESTING, REBOOTING
    asks for the address that was offered, or that it had before its link was down (REQUEST).
BOUND
    has an address and is silent until half of the lease is over.
RENEWING, REBINDING
    asks its server, later everybody, to prolong the lease. At its end the address must be given up.

The RFC's first wait for an answer is 4 s; here it is 1 s, since the first frame after a link came up is lost most
often and a node waits for this. The offered address is not probed with ARP before use: it costs seconds at each boot,
and servers probe it themselves.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from enum import Enum

import msgspec

from dozen.linux import dhcp
from dozen.linux.dhcp import Lease, MalformedReply, Reply, Request

FIRST_WAIT, LONGEST_WAIT = 1.0, 64.0  # seconds for an answer, doubled each time
JITTER = 0.25  # of a wait, either way, so that a rack that got its power back does not ask in chorus
REQUEST_ATTEMPTS = 4
SHORTEST_RENEWAL_WAIT = 60.0  # RFC 2131, 4.4.5
CLASS = b"dozen"
MAX_MESSAGE = 1472  # an Ethernet frame less the IP and UDP heads

State = Enum("State", "IDLE SELECTING REQUESTING REBOOTING BOUND RENEWING REBINDING")


class Broadcast(msgspec.Struct, frozen=True):
    """Send to everybody on the link. ``source`` is "" as long as the client has no address."""

    message: bytes
    source: str = ""


class Unicast(msgspec.Struct, frozen=True):
    """Send to the server alone, from the client's address."""

    message: bytes
    server: str
    source: str


class Granted(msgspec.Struct, frozen=True):
    """The lease is ours from now on, or goes on with these contents."""

    lease: Lease


class Lost(msgspec.Struct, frozen=True):
    """The address must not be used any more."""

    reason: str


Action = Broadcast | Unicast | Granted | Lost


class Client:
    """One client on one link. ``deadline`` is when `expire` wants to be called, infinite if never.

    ``identifier`` is by what servers know it: None for its hardware address, empty for nothing.
    """

    def __init__(
        self,
        hardware: bytes,
        hostname: str = "",
        entropy: Callable[[int], bytes] = os.urandom,
        identifier: bytes | None = None,
    ) -> None:
        self.state = State.IDLE
        self.lease: Lease | None = None
        self.deadline = math.inf
        self._hardware = hardware
        self._hostname = hostname
        self._identifier = bytes([dhcp.ETHERNET]) + hardware if identifier is None else identifier
        self._entropy = entropy
        self._offer: Lease | None = None
        self._transaction = 0
        self._began = 0.0  # when the present exchange began
        self._asked = 0.0  # when the present question was first asked
        self._bound = 0.0  # when the lease was asked for: its times count from there
        self._attempt = 0
        self._refusals = 0

    def start(self, now: float) -> list[Action]:
        """The link came up. A client that had a lease before asks for the same address again."""
        if self.lease is None:
            return self._select(now)
        lost = self._check_end(now)
        if lost:
            return [*lost, *self._select(now)]
        self._offer = self.lease
        return self._begin(State.REBOOTING, now)

    def expire(self, now: float) -> list[Action]:
        """The deadline came."""
        if self.state in (State.BOUND, State.RENEWING, State.REBINDING):
            return self._prolong(now)
        lost = self._check_end(now)
        if self.state is State.IDLE:
            return [*lost, *self._select(now)]
        if self.state is not State.SELECTING and self._attempt >= REQUEST_ATTEMPTS:
            # no answer to a REQUEST: an address from before goes on until its lease ends or another one comes
            return [*lost, *self._select(now)]
        return [*lost, *self._repeat(now)]

    def receive(self, data: bytes, now: float) -> list[Action]:
        """Something arrived. What is not an answer to the question that was asked is ignored."""
        if self.state in (State.IDLE, State.BOUND):
            return []
        try:
            reply = dhcp.parse_reply(data)
        except MalformedReply:
            return []
        if reply.transaction != self._transaction or reply.hardware != self._hardware:
            return []
        if self.state is State.SELECTING:
            return self._take_offer(reply, now) if reply.type == dhcp.OFFER else []
        if reply.type == dhcp.ACK:
            return self._take_acknowledgement(reply, now)
        if reply.type == dhcp.NAK:
            return self._take_refusal(reply, now)
        return []

    def _select(self, now: float) -> list[Action]:
        self._offer = None
        return self._begin(State.SELECTING, now)

    def _begin(self, state: State, now: float) -> list[Action]:
        """Start a new exchange: its own transaction, its own sequence of waits."""
        self.state = state
        self._transaction = int.from_bytes(self._entropy(4), "big")
        self._began = self._asked = now
        self._attempt = 0
        return self._repeat(now)

    def _repeat(self, now: float) -> list[Action]:
        wait = min(FIRST_WAIT * 2**self._attempt, LONGEST_WAIT)
        self._attempt += 1
        self.deadline = min(now + self._vary(wait), max(now, self._end()))
        return [Broadcast(self._compose(now))]

    def _take_offer(self, reply: Reply, now: float) -> list[Action]:
        try:
            offer = dhcp.read_lease(reply)
        except MalformedReply:
            return []
        if not offer.server:
            return []  # nobody could be asked for it
        self._offer = offer
        self.state = State.REQUESTING
        self._asked = now
        self._attempt = 0
        return self._repeat(now)

    def _take_acknowledgement(self, reply: Reply, now: float) -> list[Action]:
        try:
            lease = dhcp.read_lease(reply)
        except MalformedReply:
            return []
        asked_for = self._offer or self.lease
        if asked_for is not None and not lease.server:
            lease = msgspec.structs.replace(lease, server=asked_for.server)
        self.state = State.BOUND
        self.lease = lease
        self._bound = self._asked
        self._refusals = 0
        self.deadline = math.inf if lease.duration == dhcp.INFINITE else max(now, self._bound + lease.renewal)
        return [Granted(lease)]

    def _take_refusal(self, reply: Reply, now: float) -> list[Action]:
        wanted = self._offer or self.lease
        if self.state is State.REQUESTING and wanted and reply.server not in ("", wanted.server):
            return []  # another server than the one that was chosen
        text = reply.options.get(dhcp.MESSAGE, b"").decode("ascii", "replace")
        # the first time at once; a server that goes on refusing is asked more and more slowly
        wait = 0.0 if self._refusals == 0 else min(FIRST_WAIT * 2**self._refusals, LONGEST_WAIT)
        self._refusals += 1
        had, self.lease, self._offer = self.lease, None, None
        lost: list[Action] = [Lost(f"the server refused it{f': {text}' if text else ''}")] if had else []
        if wait:
            self.state = State.IDLE
            self.deadline = now + self._vary(wait)
            return lost
        return [*lost, *self._select(now)]

    def _check_end(self, now: float) -> list[Action]:
        """Give the address up if its lease is over."""
        if now < self._end():
            return []
        self.lease = None
        return [Lost("nobody prolonged it")]

    def _end(self) -> float:
        """When the address must not be used any more; infinite if there is none, or no end."""
        if self.lease is None or self.lease.duration == dhcp.INFINITE:
            return math.inf
        return self._bound + self.lease.duration

    def _prolong(self, now: float) -> list[Action]:
        """BOUND and later: renew, rebind, or give up, by how much of the lease is over."""
        lost = self._check_end(now)
        lease = self.lease
        if lease is None:
            return [*lost, *self._select(now)]
        rebinding, end = self._bound + lease.rebinding, self._bound + lease.duration
        self.state, until = (State.REBINDING, end) if now >= rebinding else (State.RENEWING, rebinding)
        # each question has its own number, so that the time of an answer's lease is known
        self._transaction = int.from_bytes(self._entropy(4), "big")
        self._began = self._asked = now
        self._offer = None
        wait = max((until - now) / 2, SHORTEST_RENEWAL_WAIT)
        self.deadline = min(now + wait, until)
        message = self._compose(now)
        if self.state is State.RENEWING and lease.server:
            return [Unicast(message, lease.server, lease.address)]
        return [Broadcast(message, lease.address)]

    def _compose(self, now: float) -> bytes:
        """The message that the present state sends."""
        options: list[tuple[int, bytes]] = [(dhcp.CLIENT_ID, self._identifier)] if self._identifier else []
        client = ""
        if self.state in (State.REQUESTING, State.REBOOTING) and self._offer:
            options.append((dhcp.REQUESTED_ADDRESS, _pack(self._offer.address)))
            if self.state is State.REQUESTING:
                options.append((dhcp.SERVER_ID, _pack(self._offer.server)))
        elif self.state in (State.RENEWING, State.REBINDING) and self.lease:
            client = self.lease.address
        options += [
            (dhcp.MAX_SIZE, MAX_MESSAGE.to_bytes(2, "big")),
            (dhcp.CLASS_ID, CLASS),
            (dhcp.PARAMETER_LIST, bytes(dhcp.ASKED_FOR)),
        ]
        if self._hostname:
            options.append((dhcp.HOST_NAME, self._hostname.encode("ascii", "ignore")[:63]))
        kind = dhcp.DISCOVER if self.state is State.SELECTING else dhcp.ASK
        seconds = int(now - self._began)
        return dhcp.pack_request(Request(kind, self._transaction, self._hardware, seconds, client, tuple(options)))

    def _vary(self, wait: float) -> float:
        share = int.from_bytes(self._entropy(2), "big") / 0xFFFF
        return wait * (1 + JITTER * (2 * share - 1))


def _pack(address: str) -> bytes:
    return bytes(int(part) for part in address.split("."))
