"""DHCP messages: what a client and a server say to each other about an IPv4 address.

A message is a fixed part of 236 bytes (from BOOTP), four bytes of *magic cookie*, and *options*: a code, a length and a
value each. This module writes a client's messages and reads a server's; when to say what is `dhcp_client`'s concern,
how it reaches the wire `dhcp_socket`'s. Formats: RFC 2131 and 2132; classless routes RFC 3442; long options RFC 3396;
search domains RFC 3397.

Servers are believed as little as possible: an option of the wrong size is left out, and text that does not look like a
name never gets further than here.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterable, Mapping

import msgspec

FIXED = struct.Struct(">BBBBIHH4s4s4s4s16s64s128s")
COOKIE = b"\x63\x82\x53\x63"
MINIMUM_SIZE = 300  # BOOTP's message size; some relays drop smaller ones (RFC 1542, 2.1)

REQUEST, REPLY = 1, 2
ETHERNET = 1

DISCOVER, OFFER, ASK, DECLINE, ACK, NAK, RELEASE, INFORM = 1, 2, 3, 4, 5, 6, 7, 8

PAD, END = 0, 255
SUBNET_MASK, ROUTER, DNS_SERVER, HOST_NAME, DOMAIN_NAME, INTERFACE_MTU = 1, 3, 6, 12, 15, 26
NTP_SERVERS, REQUESTED_ADDRESS, LEASE_TIME, OVERLOAD, MESSAGE_TYPE, SERVER_ID = 42, 50, 51, 52, 53, 54
PARAMETER_LIST, MESSAGE, MAX_SIZE, RENEWAL_TIME, REBINDING_TIME, CLASS_ID, CLIENT_ID = 55, 56, 57, 58, 59, 60, 61
DOMAIN_SEARCH, CLASSLESS_ROUTES = 119, 121

# RFC 3442 wants classless routes before routers
_HOST = (SUBNET_MASK, CLASSLESS_ROUTES, ROUTER, DNS_SERVER, HOST_NAME, DOMAIN_NAME, INTERFACE_MTU, NTP_SERVERS)
ASKED_FOR = (*_HOST, LEASE_TIME, SERVER_ID, RENEWAL_TIME, REBINDING_TIME, DOMAIN_SEARCH)

INFINITE = 0xFFFFFFFF
DEFAULT_LEASE = 3600  # when a server forgets to say
SHORTEST_LEASE = 30  # a server that says less would have us do nothing but renew
MINIMUM_MTU = 576  # what every host must accept (RFC 791); the 68 that RFC 2132 allows would break most traffic


class MalformedReply(ValueError):
    """Bytes that are no DHCP message for us."""


class Reply(msgspec.Struct, frozen=True):
    """A server's message. ``address`` is the one offered; ``options`` are as they came."""

    type: int
    transaction: int
    hardware: bytes
    address: str
    server: str
    options: Mapping[int, bytes]


class LeaseRoute(msgspec.Struct, frozen=True):
    """A route that came with a lease; the default route has the destination 0.0.0.0/0. No gateway means on the link."""

    destination: str
    gateway: str


class Lease(msgspec.Struct, frozen=True):
    """What a server granted. Times are seconds from when it was asked for; ``duration`` may be `INFINITE`."""

    address: str
    prefix: int
    server: str
    duration: int
    renewal: int
    rebinding: int
    routes: tuple[LeaseRoute, ...] = ()
    dns_servers: tuple[str, ...] = ()
    search_domains: tuple[str, ...] = ()
    hostname: str = ""
    domain: str = ""
    time_servers: tuple[str, ...] = ()
    mtu: int = 0


class Request(msgspec.Struct, frozen=True):
    """A client's message. ``client`` is its own address, once it has one; ``options`` go out in order."""

    type: int
    transaction: int
    hardware: bytes
    seconds: int = 0
    client: str = ""
    options: tuple[tuple[int, bytes], ...] = ()


def pack_request(request: Request) -> bytes:
    """A client's message as it goes on the wire."""
    fixed = FIXED.pack(
        REQUEST,
        ETHERNET,
        len(request.hardware),
        0,
        request.transaction,
        min(request.seconds, 0xFFFF),
        0,  # we read the link itself, so the server need not broadcast its answer
        socket.inet_aton(request.client or "0.0.0.0"),
        bytes(4),
        bytes(4),
        bytes(4),
        request.hardware,
        b"",
        b"",
    )
    options = pack_options([(MESSAGE_TYPE, bytes([request.type])), *request.options])
    return (fixed + COOKIE + options).ljust(MINIMUM_SIZE, b"\0")


def pack_options(options: Iterable[tuple[int, bytes]]) -> bytes:
    """Options and their end; long values are split (RFC 3396)."""
    out = bytearray()
    for code, value in options:
        for start in range(0, max(len(value), 1), 255):
            part = value[start : start + 255]
            out += bytes((code, len(part))) + part
    out.append(END)
    return bytes(out)


def parse_reply(data: bytes) -> Reply:
    """Read a server's message; raises `MalformedReply`."""
    if len(data) < FIXED.size + len(COOKIE):
        raise MalformedReply(f"only {len(data)} bytes")
    operation, kind, length, _, transaction, _, _, _, address, _, _, hardware, server_name, boot_file = (
        FIXED.unpack_from(data)
    )
    if operation != REPLY or kind != ETHERNET or length > 16:
        raise MalformedReply("it is no reply on Ethernet")
    if data[FIXED.size : FIXED.size + 4] != COOKIE:
        raise MalformedReply("it is BOOTP, not DHCP")
    options = parse_options(data[FIXED.size + 4 :])
    # a server short of space may put options into two fixed fields that nobody uses otherwise
    overload = options.get(OVERLOAD, b"\0")[:1] or b"\0"
    if overload[0] & 1:
        _merge(options, parse_options(boot_file))
    if overload[0] & 2:
        _merge(options, parse_options(server_name))
    kind_of_message = options.get(MESSAGE_TYPE, b"")
    if len(kind_of_message) != 1:
        raise MalformedReply("it has no message type")
    return Reply(
        type=kind_of_message[0],
        transaction=transaction,
        hardware=hardware[:length],
        address=socket.inet_ntoa(address),
        server=next(iter(read_addresses(options.get(SERVER_ID, b""))), ""),
        options=options,
    )


def parse_options(data: bytes) -> dict[int, bytes]:
    """Options by code, repeated ones joined (RFC 3396); one that reaches beyond the end closes the list."""
    options: dict[int, bytes] = {}
    offset = 0
    while offset < len(data):
        code = data[offset]
        offset += 1
        if code == PAD:
            continue
        if code == END or offset >= len(data):
            break
        length = data[offset]
        offset += 1
        if offset + length > len(data):
            break
        options[code] = options.get(code, b"") + data[offset : offset + length]
        offset += length
    return options


def read_lease(reply: Reply) -> Lease:
    """What an OFFER or an ACK grants; raises `MalformedReply` if it is unusable."""
    options = reply.options
    packed = socket.inet_aton(reply.address)
    # 0/8 is "this network", 127/8 loopback, 224/4 and above are no host's addresses
    if packed[0] in (0, 127) or packed[0] >= 224:
        raise MalformedReply(f"{reply.address} cannot be a host's address")
    duration = _read_seconds(options, LEASE_TIME, DEFAULT_LEASE)
    duration = max(duration, SHORTEST_LEASE)
    renewal = _read_seconds(options, RENEWAL_TIME, duration // 2)
    rebinding = _read_seconds(options, REBINDING_TIME, duration * 7 // 8)
    if not 0 < renewal < rebinding < duration:
        renewal, rebinding = duration // 2, duration * 7 // 8
    domain = read_domain(options.get(DOMAIN_NAME, b""))
    return Lease(
        address=reply.address,
        prefix=_read_prefix(options, packed),
        server=reply.server,
        duration=duration,
        renewal=renewal,
        rebinding=rebinding,
        routes=_list_routes(options),
        dns_servers=read_addresses(options.get(DNS_SERVER, b"")),
        search_domains=read_search(options.get(DOMAIN_SEARCH, b"")),
        hostname=read_domain(options.get(HOST_NAME, b"")),
        domain=domain,
        time_servers=read_addresses(options.get(NTP_SERVERS, b"")),
        mtu=_read_mtu(options.get(INTERFACE_MTU, b"")),
    )


def read_addresses(value: bytes) -> tuple[str, ...]:
    """Addresses, four bytes each; none if the size does not fit. 0.0.0.0 is left out."""
    if len(value) % 4:
        return ()
    found = (socket.inet_ntoa(value[i : i + 4]) for i in range(0, len(value), 4))
    return tuple(address for address in found if address != "0.0.0.0")


def read_domain(value: bytes) -> str:
    """A host or domain name, or "" if it is none: it ends up in files, so nothing else may be in it."""
    text = value.rstrip(b"\0").decode("ascii", "replace").rstrip(".")
    labels = text.split(".")
    if len(text) > 253 or not all(_is_label(label) for label in labels):
        return ""
    return text


def read_search(value: bytes) -> tuple[str, ...]:
    """Domains in DNS form, which may point back to earlier ones (RFC 1035, 4.1.4); what is broken ends the list."""
    domains: list[str] = []
    offset = 0
    while offset < len(value):
        labels, offset = _read_labels(value, offset)
        name = ".".join(labels)
        if offset < 0:
            break
        if name and read_domain(name.encode("ascii", "replace")):
            domains.append(name)
    return tuple(domains)


def read_classless_routes(value: bytes) -> tuple[LeaseRoute, ...]:
    """Routes: a prefix length, as much of the destination as that needs, and a gateway; none if one is broken."""
    routes = []
    offset = 0
    while offset < len(value):
        length = value[offset]
        size = (length + 7) // 8
        end = offset + 1 + size + 4
        if length > 32 or end > len(value):
            return ()
        destination = socket.inet_ntoa(value[offset + 1 : offset + 1 + size].ljust(4, b"\0"))
        gateway = socket.inet_ntoa(value[end - 4 : end])
        routes.append(LeaseRoute(f"{destination}/{length}", "" if gateway == "0.0.0.0" else gateway))
        offset = end
    return tuple(routes)


def _list_routes(options: Mapping[int, bytes]) -> tuple[LeaseRoute, ...]:
    """Classless routes if there are any, and then no routers (RFC 3442), else the first router."""
    routes = read_classless_routes(options.get(CLASSLESS_ROUTES, b""))
    if routes:
        return routes
    return tuple(LeaseRoute("0.0.0.0/0", gateway) for gateway in read_addresses(options.get(ROUTER, b""))[:1])


def _read_prefix(options: Mapping[int, bytes], address: bytes) -> int:
    """The length of the subnet mask; without a usable one that of the address's class."""
    mask = int.from_bytes(options.get(SUBNET_MASK, b""), "big") if len(options.get(SUBNET_MASK, b"")) == 4 else 0
    host = ~mask & 0xFFFFFFFF
    if mask and host & (host + 1) == 0:
        return 32 - host.bit_length()
    return 8 if address[0] < 128 else 16 if address[0] < 192 else 24


def _read_seconds(options: Mapping[int, bytes], code: int, default: int) -> int:
    value = options.get(code, b"")
    return int.from_bytes(value, "big") if len(value) == 4 else default


def _read_mtu(value: bytes) -> int:
    mtu = int.from_bytes(value, "big") if len(value) == 2 else 0
    return mtu if mtu >= MINIMUM_MTU else 0


def _is_label(label: str) -> bool:
    plain = label.replace("-", "").replace("_", "")
    return 0 < len(label) <= 63 and plain.isascii() and plain.isalnum() and label[0] != "-" and label[-1] != "-"


def _read_labels(value: bytes, offset: int) -> tuple[list[str], int]:
    """The labels at ``offset`` and where the next name begins; -1 if it is broken."""
    labels: list[str] = []
    after = -1
    limit = offset  # a pointer must point before the place that it stands in, so that following them ends
    while offset < len(value):
        length = value[offset]
        if length == 0:
            return labels, offset + 1 if after < 0 else after
        if length & 0xC0 == 0xC0:
            target = int.from_bytes(value[offset : offset + 2], "big") & 0x3FFF
            if offset + 2 > len(value) or target >= limit:
                break
            after = offset + 2 if after < 0 else after
            limit = offset = target
            continue
        if length & 0xC0 or offset + 1 + length > len(value):
            break
        labels.append(value[offset + 1 : offset + 1 + length].decode("ascii", "replace"))
        offset += 1 + length
    return [], -1


def _merge(options: dict[int, bytes], more: Mapping[int, bytes]) -> None:
    for code, value in more.items():
        options[code] = options.get(code, b"") + value
