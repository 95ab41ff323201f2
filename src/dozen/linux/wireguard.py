"""WireGuard links: their key and peers, told and read over generic netlink (include/uapi/linux/wireguard.h).

A key is 32 bytes, which people write in base64. What a link has may be longer than a message: peers are told some at a
time, and read as a dump in which the rest of a peer's networks may follow in the next message.
"""

from __future__ import annotations

import asyncio
import socket
import struct
import sys
from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from collections.abc import Iterable, Iterator

from dozen.linux.genetlink import NESTED, Family, UnknownFamily
from dozen.linux.netlink import MalformedMessage, iterate_attributes, pack_attributes, unpack_attributes, unpack_u32
from dozen.linux.rtnetlink import format_address
from dozen.machinery.addresses import INET4, INET6, pack_address, pack_prefix
from dozen.machinery.resources.link import Wireguard, WireguardPeer

FAMILY = "wireguard"
GET_DEVICE, SET_DEVICE = 0, 1
IFNAME, PRIVATE_KEY, PUBLIC_KEY, FLAGS, LISTEN_PORT, FWMARK, PEERS = 2, 3, 4, 5, 6, 7, 8
REPLACE_PEERS = 1
PEER_PUBLIC_KEY, PEER_PRESHARED_KEY, PEER_FLAGS, PEER_ENDPOINT, PEER_KEEPALIVE, PEER_ALLOWED = 1, 2, 3, 4, 5, 9
REPLACE_ALLOWED = 2
ALLOWED_FAMILY, ALLOWED_ADDRESS, ALLOWED_LENGTH = 1, 2, 3
KEY_SIZE = 32
SECOND = 1_000_000_000  # resources count nanoseconds
PEERS_AT_ONCE = 32  # 64 KiB is the most that an attribute holds
SOCKADDR4 = struct.Struct("!H4s8x")
SOCKADDR6 = struct.Struct("!HI16s")


async def set_up(link: str, settings: Wireguard) -> None:
    """Give a link its key and exactly these peers; names of endpoints are looked up. Raises OSError, ValueError."""
    endpoints = [await _resolve(peer.endpoint) for peer in settings.peers]
    with Family(FAMILY) as family:
        for attributes in pack_device(link, settings, endpoints):
            family.ask(SET_DEVICE, attributes)


def read(link: str) -> Wireguard | None:
    """What a link has, without its secrets; None when it is gone, or the kernel does not speak WireGuard."""
    try:
        with Family(FAMILY) as family:
            return unpack_device(family.dump(GET_DEVICE, [(IFNAME, link.encode() + b"\0")]))
    except (UnknownFamily, OSError):
        return None


async def _resolve(endpoint: str) -> tuple[str, int] | None:
    """Address and port of ``host:port``; raises ValueError for what is not that, OSError for an unknown name."""
    if not endpoint:
        return None
    host, colon, port = endpoint.rpartition(":")
    if not colon or not port.isdecimal() or not host:
        raise ValueError(f'expected an endpoint like "192.0.2.1:51820", found "{endpoint}"')
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host.strip("[]"), int(port), type=socket.SOCK_DGRAM)
    return str(found[0][4][0]), int(port)


def pack_device(
    link: str, settings: Wireguard, endpoints: Iterable[tuple[str, int] | None]
) -> Iterator[list[tuple[int, bytes]]]:
    """The messages that set a link up, as attributes; ``endpoints`` are those of the peers, as numbers."""
    name = (IFNAME, link.encode() + b"\0")
    first = [
        name,
        (PRIVATE_KEY, unpack_key(settings.private_key) if settings.private_key else bytes(KEY_SIZE)),
        (FLAGS, REPLACE_PEERS.to_bytes(4, sys.byteorder)),
        (LISTEN_PORT, settings.listen_port.to_bytes(2, sys.byteorder)),
        (FWMARK, settings.firewall_mark.to_bytes(4, sys.byteorder)),
    ]
    peers = [_pack_peer(peer, endpoint) for peer, endpoint in zip(settings.peers, endpoints, strict=True)]
    for start in range(0, max(len(peers), 1), PEERS_AT_ONCE):
        some = pack_attributes([(n | NESTED, peer) for n, peer in enumerate(peers[start : start + PEERS_AT_ONCE])])
        yield [*(first if start == 0 else [name]), *([(PEERS | NESTED, some)] if some else [])]


def _pack_peer(peer: WireguardPeer, endpoint: tuple[str, int] | None) -> bytes:
    attributes = [
        (PEER_PUBLIC_KEY, unpack_key(peer.public_key)),
        (PEER_FLAGS, REPLACE_ALLOWED.to_bytes(4, sys.byteorder)),
        (PEER_PRESHARED_KEY, unpack_key(peer.preshared_key) if peer.preshared_key else bytes(KEY_SIZE)),
        (PEER_KEEPALIVE, (peer.persistent_keepalive_interval // SECOND).to_bytes(2, sys.byteorder)),
    ]
    if endpoint is not None:
        attributes.append((PEER_ENDPOINT, _pack_endpoint(*endpoint)))
    networks = []
    for number, text in enumerate(peer.allowed_ips):
        family, address, length = pack_prefix(text)
        network = [(ALLOWED_FAMILY, family.to_bytes(2, sys.byteorder)), (ALLOWED_ADDRESS, address)]
        networks.append((number | NESTED, pack_attributes([*network, (ALLOWED_LENGTH, bytes([length]))])))
    return pack_attributes([*attributes, (PEER_ALLOWED | NESTED, pack_attributes(networks))])


def _pack_endpoint(address: str, port: int) -> bytes:
    """A struct sockaddr_in or sockaddr_in6."""
    family, data = pack_address(address)
    head = family.to_bytes(2, sys.byteorder)
    return head + (SOCKADDR4.pack(port, data) if family == INET4 else SOCKADDR6.pack(port, 0, data) + bytes(4))


def unpack_device(messages: Iterable[dict[int, bytes]]) -> Wireguard | None:
    """A link from the messages of a dump; None when there are none. Raises `MalformedMessage`."""
    first: dict[int, bytes] | None = None
    peers: dict[str, WireguardPeer] = {}
    for attributes in messages:
        first = first or attributes
        for _, data in iterate_attributes(attributes.get(PEERS, b"")):
            peer = _unpack_peer(data)
            before = peers.get(peer.public_key)
            allowed = (*(before.allowed_ips if before else ()), *peer.allowed_ips)
            peers[peer.public_key] = WireguardPeer(
                public_key=peer.public_key,
                endpoint=peer.endpoint or (before.endpoint if before else ""),
                persistent_keepalive_interval=peer.persistent_keepalive_interval
                or (before.persistent_keepalive_interval if before else 0),
                allowed_ips=allowed,
            )
    if first is None:
        return None
    return Wireguard(
        public_key=b64encode(first.get(PUBLIC_KEY, b"")).decode(),
        listen_port=int.from_bytes(first.get(LISTEN_PORT, b""), sys.byteorder),
        firewall_mark=unpack_u32(first, FWMARK),
        peers=tuple(peers.values()),
    )


def _unpack_peer(data: bytes) -> WireguardPeer:
    attributes = unpack_attributes(data)
    networks = []
    for _, each in iterate_attributes(attributes.get(PEER_ALLOWED, b"")):
        network = unpack_attributes(each)
        family = int.from_bytes(network.get(ALLOWED_FAMILY, b""), sys.byteorder)
        length = int.from_bytes(network.get(ALLOWED_LENGTH, b""), sys.byteorder)
        networks.append(f"{format_address(family, network.get(ALLOWED_ADDRESS, b''))}/{length}")
    return WireguardPeer(
        public_key=b64encode(attributes.get(PEER_PUBLIC_KEY, b"")).decode(),
        endpoint=_unpack_endpoint(attributes.get(PEER_ENDPOINT, b"")),
        persistent_keepalive_interval=int.from_bytes(attributes.get(PEER_KEEPALIVE, b""), sys.byteorder) * SECOND,
        allowed_ips=tuple(networks),
    )


def _unpack_endpoint(data: bytes) -> str:
    """``address:port``; empty for a peer that has not been heard of."""
    if not data:
        return ""
    family = int.from_bytes(data[:2], sys.byteorder)
    try:
        if family == INET6:
            port, _, address = SOCKADDR6.unpack_from(data, 2)
            return f"[{format_address(family, address)}]:{port}"
        port, address = SOCKADDR4.unpack_from(data, 2)
    except struct.error:
        raise MalformedMessage(f"an endpoint of {len(data)} bytes") from None
    return f"{format_address(family, address)}:{port}"


def unpack_key(text: str) -> bytes:
    """The 32 bytes of a key; raises ValueError that does not show it."""
    try:
        key = b64decode(text, validate=True)
    except (Base64Error, ValueError):
        key = b""
    if len(key) != KEY_SIZE:
        raise ValueError("a WireGuard key is 32 bytes in base64")
    return key
