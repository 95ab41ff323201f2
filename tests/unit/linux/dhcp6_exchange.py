"""What tests of the DHCPv6 client share: questions read, answers made of data, clients that have come so far."""

from __future__ import annotations

from typing import NamedTuple

import pytest

from dozen.linux import dhcp6
from dozen.linux.dhcp6 import Association, LeasedAddress, Status
from dozen.linux.dhcp6_client import Action, Client, Granted, Send, State
from dozen.linux.dhcp6_lease import LiveAddress

DUID = dhcp6.make_link_duid(b"\x52\x54\0\x12\x34\x56")
SERVER, OTHER = b"\0\4" + bytes(16), b"\0\4" + b"\1" * 16
NUMBER = 7
SENDER = "fe80::99"
FIRST, SECOND = "fd77::50", "fd77::51"


def middle(count: int) -> bytes:
    """Entropy that is always in the middle: waits are not varied, transactions are all alike."""
    return b"\x7f" + b"\xff" * (count - 1)


class Question(NamedTuple):
    kind: int
    transaction: int
    options: dict[int, bytes]

    @property
    def addresses(self) -> list[str]:
        return [each.address for each in dhcp6.read_association(self.options[dhcp6.IA_NA]).addresses]

    @property
    def elapsed(self) -> int:
        return int.from_bytes(self.options[dhcp6.ELAPSED_TIME], "big")


def question(action: Action) -> Question:
    assert isinstance(action, Send)
    kind, transaction, listed = dhcp6.parse_message(action.message)
    options = dict(listed)
    assert len(options) == len(listed)
    assert options[dhcp6.CLIENT_ID] == DUID
    return Question(kind, transaction, options)


def granted(action: Action) -> list[LiveAddress]:
    assert isinstance(action, Granted)
    return list(action.lease.addresses)


def leased(*addresses: str, preferred: int = 1000, valid: int = 2000) -> tuple[LeasedAddress, ...]:
    return tuple(LeasedAddress(address, preferred, valid) for address in addresses)


def answer(
    kind: int,
    to: Question,
    addresses: tuple[LeasedAddress, ...] | None = leased(FIRST),
    *more: tuple[int, bytes],
    times: tuple[int, int] = (0, 0),
    status: int = 0,
    whole: int = 0,
    server: bytes = SERVER,
    number: int = NUMBER,
    client: bytes = DUID,
) -> bytes:
    """A server's message: ``status`` is the association's, ``whole`` that of all."""
    options = [(dhcp6.CLIENT_ID, client), (dhcp6.SERVER_ID, server), *more]
    if addresses is not None:
        association = Association(number, *times, addresses, Status(status))
        options.append((dhcp6.IA_NA, dhcp6.pack_association(association)))
    if whole:
        options.append((dhcp6.STATUS_CODE, dhcp6.pack_status(Status(whole, "so"))))
    return dhcp6.pack_message(kind, to.transaction, options)


def soliciting(hostname: str = "") -> tuple[Client, Question]:
    """A client that asks all servers at the time 0."""
    client = Client(DUID, NUMBER, hostname, middle)
    assert client.start(-0.5) == []
    assert client.deadline == pytest.approx(0, abs=1e-6), "the first question is delayed by up to a second"
    (solicit,) = client.expire(client.deadline)
    return client, question(solicit)


RAPID = (dhcp6.RAPID_COMMIT, b"")


def bound(*addresses: LeasedAddress, times: tuple[int, int] = (0, 0)) -> Client:
    """A client that got addresses at the time 0."""
    client, solicit = soliciting()
    actions = client.receive(answer(dhcp6.REPLY, solicit, addresses or leased(FIRST), RAPID, times=times), SENDER, 0.0)
    assert len(granted(actions[0])) == len(addresses or (FIRST,))
    assert client.state is State.BOUND
    return client
