"""A DHCPv6 server for tests, with the bad habits that one asks it for; run in its own network namespace.

``python dhcp6_server.py LINK HABIT...``. It prints a line for each question: its type and what was asked for. Habits:

=================  ====================================================================
``rapid``          gives at once what is asked for with rapid commit
``deaf``           ignores the first question
``noisy``          sends rubbish before each answer
``impatient``      wants to be asked again after 1 s
``brief``          gives lifetimes of 2 s (preferred) and 4 s, and never hears a Renew or Rebind
``full``           has no addresses
``refusing``       advertises, and then says that it has no addresses
``forgetful``      does not know who renews for the first time
``moved``          says that addresses are not of this link when asked to confirm them
``strict=DUID``    answers only who says that it is this, in hexadecimal
``named``          gives a host name
``pool=ADDRESS``   what it gives first, and the next ones after it when that is declined
=================  ====================================================================
"""

from __future__ import annotations

import os
import socket
import struct
import sys
from ipaddress import IPv6Address

from dozen.linux import dhcp6
from dozen.linux.dhcp6 import Association, LeasedAddress, Status

SERVER = dhcp6.make_link_duid(b"\2\0\0\0\0\x99")
TIME_SERVER, NAME_SERVER = "fd77::123", "fd77::53"
NAMES = ("", "solicit", "advertise", "request", "confirm", "renew", "rebind", "reply", "release", "decline")


class Server:
    """Answers questions; its habits are words."""

    def __init__(self, habits: set[str]) -> None:
        self.habits = habits
        said = dict(habit.split("=", 1) for habit in habits if "=" in habit)
        self.strict = said.get("strict", "")
        self.address = IPv6Address(said.get("pool", "fd77::50"))
        self.heard = 0
        self.forgotten = False

    def answer(self, data: bytes) -> bytes | None:
        kind, transaction, listed = dhcp6.parse_message(data)
        options = dict(listed)
        asked = dhcp6.read_association(options[dhcp6.IA_NA])
        client = options[dhcp6.CLIENT_ID]
        words = [NAMES[kind], client.hex(), *(each.address for each in asked.addresses)]
        os.write(1, (" ".join(words) + "\n").encode())
        self.heard += 1
        if (self.strict and client.hex() != self.strict) or ("deaf" in self.habits and self.heard == 1):
            return None
        if dhcp6.SERVER_ID in options and options[dhcp6.SERVER_ID] != SERVER:
            return None
        if "brief" in self.habits and kind in (dhcp6.RENEW, dhcp6.REBIND):
            return None
        rapid = kind == dhcp6.SOLICIT and "rapid" in self.habits and dhcp6.RAPID_COMMIT in options
        reply = dhcp6.ADVERTISE if kind == dhcp6.SOLICIT and not rapid else dhcp6.REPLY
        made = [(dhcp6.CLIENT_ID, client), (dhcp6.SERVER_ID, SERVER), *self.give(kind, asked.number)]
        made += [(dhcp6.RAPID_COMMIT, b"")] if rapid else []
        return dhcp6.pack_message(reply, transaction, made)

    def give(self, kind: int, number: int) -> list[tuple[int, bytes]]:
        if kind == dhcp6.CONFIRM:
            status = Status(dhcp6.NOT_ON_LINK if "moved" in self.habits else dhcp6.SUCCESS)
            return [(dhcp6.STATUS_CODE, dhcp6.pack_status(status))]
        if kind == dhcp6.DECLINE:
            self.address += 1
            return [(dhcp6.STATUS_CODE, dhcp6.pack_status(Status()))]
        code = dhcp6.SUCCESS
        if "full" in self.habits or ("refusing" in self.habits and kind != dhcp6.SOLICIT):
            code = dhcp6.NO_ADDRESSES
        elif "forgetful" in self.habits and kind == dhcp6.RENEW and not self.forgotten:
            code, self.forgotten = dhcp6.NO_BINDING, True
        if code:
            return [(dhcp6.IA_NA, dhcp6.pack_association(Association(number, 0, 0, (), Status(code, "sorry"))))]
        preferred, valid = (2, 4) if "brief" in self.habits else (1800, 3600)
        renewal, rebinding = (1, 20) if "impatient" in self.habits else (0, 0)
        given = (LeasedAddress(str(self.address), preferred, valid),)
        more = [(dhcp6.CLIENT_FQDN, dhcp6.pack_name("leased.example.org"))] if "named" in self.habits else []
        return [
            (dhcp6.IA_NA, dhcp6.pack_association(Association(number, renewal, rebinding, given))),
            (dhcp6.DNS_SERVERS, IPv6Address(NAME_SERVER).packed),
            (dhcp6.DOMAIN_LIST, b"\7example\3org\0\3lab\7example\3org\0"),
            (dhcp6.NTP_SERVER, struct.pack(">HH", dhcp6.NTP_ADDRESS, 16) + IPv6Address(TIME_SERVER).packed),
            *more,
        ]


def serve(link: str, habits: set[str]) -> None:
    sock = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, link.encode() + b"\0")
    sock.bind(("::", 547))
    group = socket.inet_pton(socket.AF_INET6, "ff02::1:2") + struct.pack("@I", socket.if_nametoindex(link))
    sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, group)
    os.write(1, b"ready\n")
    server = Server(habits)
    while True:
        data, sender = sock.recvfrom(4096)
        made = server.answer(data)
        if made is None:
            continue
        if "noisy" in habits:
            wrong = bytes((made[0],)) + bytes(3) + made[4:]
            for rubbish in (b"", b"\7", made[:-1], made + b"\0", data, wrong):
                sock.sendto(rubbish, sender)
        sock.sendto(made, sender)


if __name__ == "__main__":
    serve(sys.argv[1], set(sys.argv[2:]))
