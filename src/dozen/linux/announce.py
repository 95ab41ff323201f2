"""Telling a link's neighbours that an address is here now.

IPv4: an ARP request for one's own address, as RFC 5227 (2.3) has announcements. IPv6: an unsolicited neighbour
advertisement to all nodes with the override flag (RFC 4861, 7.2.6). Both are sent once; neighbours that miss it find
out when their entry expires.
"""

from __future__ import annotations

import socket
import struct

from dozen.machinery.addresses import INET4, pack_address

ETH_P_ARP = 0x0806
_ETHERNET = struct.Struct("!6s6sH")
_ARP = struct.Struct("!HHBBH6s4s6s4s")
_BROADCAST, _NOBODY = b"\xff" * 6, bytes(6)
_HARDWARE_ETHERNET, _PROTOCOL_IPV4, _REQUEST = 1, 0x0800, 1
_ADVERTISEMENT, _OVERRIDE, _TARGET_LINK_LAYER = 136, 0x20000000, 2
_ALL_NODES, _HOP_LIMIT = "ff02::1", 255


def announce(link: str, hardware: bytes, address: str) -> None:
    """``hardware`` is the link's own address, 6 bytes. Raises OSError."""
    family, data = pack_address(address)
    if family == INET4:
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ARP)) as raw:
            raw.bind((link, ETH_P_ARP))
            raw.send(arp_announcement(hardware, data))
        return
    with socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6) as raw:
        raw.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, _HOP_LIMIT)
        raw.sendto(neighbour_advertisement(hardware, data), (_ALL_NODES, 0, 0, socket.if_nametoindex(link)))


def arp_announcement(hardware: bytes, address: bytes) -> bytes:
    """The whole frame."""
    kinds = (_HARDWARE_ETHERNET, _PROTOCOL_IPV4, len(hardware), len(address), _REQUEST)
    return _ETHERNET.pack(_BROADCAST, hardware, ETH_P_ARP) + _ARP.pack(*kinds, hardware, address, _NOBODY, address)


def neighbour_advertisement(hardware: bytes, address: bytes) -> bytes:
    """The ICMPv6 message; the kernel fills in its checksum."""
    option = bytes((_TARGET_LINK_LAYER, 1)) + hardware
    return struct.pack("!BBHI", _ADVERTISEMENT, 0, 0, _OVERRIDE) + address + option
