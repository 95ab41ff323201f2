"""A DHCP server for tests, with the bad habits that one asks it for; run in its own network namespace.

``python dhcp_server.py LINK ADDRESS HABIT...``. Habits: ``noisy`` sends rubbish before each answer, ``deaf`` ignores
the first question, ``moving`` refuses to renew and then has another address to give, ``impatient`` wants to be asked
again after 1 s, ``named`` gives a host name, ``strict=HEX`` answers only who says that it is this (none: says nothing).
"""

from __future__ import annotations

import os
import socket
import struct
import sys

from dozen.linux import dhcp

POOL = ("10.77.0.50", "10.77.0.51")


def serve(link: str, address: str, habits: set[str]) -> None:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, link.encode() + b"\0")
    sock.bind(("0.0.0.0", 67))
    os.write(1, b"ready\n")
    heard = moved = 0
    while True:
        data, sender = sock.recvfrom(2048)
        heard += 1
        if "deaf" in habits and heard == 1:
            continue
        fields = dhcp.FIXED.unpack_from(data)
        options = dhcp.parse_options(data[dhcp.FIXED.size + 4 :])
        if any(
            habit.startswith("strict=") and habit != f"strict={options.get(dhcp.CLIENT_ID, b'').hex()}"
            for habit in habits
        ):
            continue
        asked = options[dhcp.MESSAGE_TYPE][0]
        renewing = fields[7] != bytes(4)
        if asked == dhcp.ASK and renewing and "moving" in habits and not moved:
            kind, moved = dhcp.NAK, 1
        else:
            kind = dhcp.OFFER if asked == dhcp.DISCOVER else dhcp.ACK
        target = sender[0] if renewing and kind == dhcp.ACK else "255.255.255.255"
        if "noisy" in habits:
            for rubbish in (b"", b"\2" * 300, data, reply(dhcp.OFFER, fields, "127.0.0.1", address, habits)):
                sock.sendto(rubbish, (target, 68))
        sock.sendto(reply(kind, fields, POOL[moved], address, habits), (target, 68))


def reply(kind: int, question: tuple[object, ...], address: str, server: str, habits: set[str]) -> bytes:
    transaction, hardware = question[4], question[11]
    fixed = dhcp.FIXED.pack(
        *(2, 1, 6, 0, transaction, 0, 0, bytes(4), socket.inet_aton(address), bytes(4), bytes(4)),
        *(hardware, b"", b""),
    )
    lease, renewal, rebinding = (30, 1, 20) if "impatient" in habits else (3600, 1800, 3150)
    options = [
        (dhcp.MESSAGE_TYPE, bytes([kind])),
        (dhcp.SERVER_ID, socket.inet_aton(server)),
        (dhcp.SUBNET_MASK, bytes((255, 255, 255, 0))),
        (dhcp.ROUTER, socket.inet_aton(server)),
        (dhcp.DNS_SERVER, socket.inet_aton(server)),
        (dhcp.DOMAIN_NAME, b"example.org"),
        (dhcp.INTERFACE_MTU, (1400).to_bytes(2, "big")),
        (dhcp.LEASE_TIME, struct.pack(">I", lease)),
        (dhcp.RENEWAL_TIME, struct.pack(">I", renewal)),
        (dhcp.REBINDING_TIME, struct.pack(">I", rebinding)),
    ]
    if "named" in habits:
        options.append((dhcp.HOST_NAME, b"leased"))
    return fixed + dhcp.COOKIE + dhcp.pack_options(options)


if __name__ == "__main__":
    serve(sys.argv[1], sys.argv[2], set(sys.argv[3:]))
