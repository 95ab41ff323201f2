"""Links, addresses and routes: what rtnetlink messages mean.

The kernel's words: a *link* is a network interface, known by its index; an *address* belongs to a link; a *route* says
through which link (and gateway) a destination is reached. Each has messages to make, remove, and list it, and a
multicast group that tells of every change in the same form. This module translates between those messages and small
records, and knows no policy. Formats: rtnetlink(7), include/uapi/linux/{if_link,if_addr,rtnetlink}.h.

Addresses are text ("10.0.2.15"), prefixes are text with a length ("10.0.2.15/24"); the empty text means none.
"""

from __future__ import annotations

import struct
import sys
from socket import inet_ntop

import msgspec

from dozen.linux.netlink import (
    MalformedMessage,
    Message,
    iterate_attributes,
    pack_attributes,
    unpack_attributes,
    unpack_text,
    unpack_u32,
)
from dozen.machinery.addresses import INET4, INET6, pack_address, pack_prefix

RTM_NEWLINK, RTM_DELLINK, RTM_GETLINK, RTM_SETLINK = 16, 17, 18, 19
RTM_NEWLINKPROP, RTM_DELLINKPROP = 108, 109
RTM_NEWADDR, RTM_DELADDR, RTM_GETADDR = 20, 21, 22
RTM_NEWROUTE, RTM_DELROUTE, RTM_GETROUTE = 24, 25, 26

GROUP_LINK = 1
GROUP_IPV4_ADDRESS = 5
GROUP_IPV4_ROUTE = 7
GROUP_IPV6_ADDRESS = 9
GROUP_IPV6_ROUTE = 11

LINK_HEADER = struct.Struct("=BxHiII")  # family, hardware type, index, flags, mask of the flags to change
ADDRESS_HEADER = struct.Struct("=BBBBI")  # family, prefix length, flags, scope, link index
ROUTE_HEADER = struct.Struct("=BBBBBBBBI")  # family, dst length, src length, tos, table, protocol, scope, type, flags

NESTED = 0x8000  # NLA_F_NESTED: newer messages insist on it

AF_BRIDGE = b"\x07"

IFF_UP = 0x1
IFF_LOOPBACK = 0x8
IFF_RUNNING = 0x40
IFF_MULTICAST = 0x1000

IFLA_ADDRESS, IFLA_BROADCAST, IFLA_IFNAME, IFLA_MTU, IFLA_LINK, IFLA_QDISC = 1, 2, 3, 4, 5, 6
IFLA_MASTER, IFLA_OPERSTATE, IFLA_LINKINFO, IFLA_IFALIAS, IFLA_GROUP = 10, 16, 18, 20, 27
IFLA_CARRIER, IFLA_LINK_NETNSID, IFLA_PROP_LIST, IFLA_ALT_IFNAME, IFLA_PERM_ADDRESS = 33, 37, 52, 53, 54
IFLA_INFO_KIND, IFLA_INFO_DATA, IFLA_INFO_SLAVE_KIND = 1, 2, 4

IFA_ADDRESS, IFA_LOCAL, IFA_LABEL, IFA_BROADCAST, IFA_ANYCAST, IFA_CACHEINFO = 1, 2, 3, 4, 5, 6
IFA_FLAGS, IFA_RT_PRIORITY = 8, 9
CACHE_INFO = struct.Struct("=IIII")  # preferred and valid lifetime in seconds, created, updated
FOREVER = 0xFFFFFFFF

RTA_DST, RTA_OIF, RTA_GATEWAY, RTA_PRIORITY, RTA_PREFSRC, RTA_METRICS, RTA_MULTIPATH = 1, 4, 5, 6, 7, 8, 9
RTA_TABLE = 15
RTAX_MTU = 2
RTM_F_CLONED = 0x200
RTNH_F_ONLINK = 0x4
TABLE_MAIN, TABLE_LOCAL = 254, 255
SCOPE_GLOBAL, SCOPE_LINK, SCOPE_HOST = 0, 253, 254
PROTOCOL_STATIC, PROTOCOL_DHCP = 4, 16
TYPE_UNICAST = 1
NEXT_HOP = struct.Struct("=HBBi")  # length, flags, weight less one, link index

LOOPBACK_TYPE = 772  # ARPHRD_LOOPBACK
ETHERNET_TYPE = 1  # ARPHRD_ETHER


class Link(msgspec.Struct, frozen=True):
    """One network interface. ``kind`` names the driver of a virtual one ("vlan", "bridge"), and ``data`` is what that
    driver says, for `dozen.linux.linkkinds` to read; a physical one has neither. With ``foreign_parent`` the number of
    the parent is one of another network namespace.
    """

    index: int
    name: str
    type: int
    flags: int
    hardware_address: str = ""
    permanent_address: str = ""
    broadcast_address: str = ""
    mtu: int = 0
    queue_discipline: str = ""
    parent_index: int = 0
    master_index: int = 0
    operational_state: int = 0
    kind: str = ""
    slave_kind: str = ""
    carrier: bool = False
    alias: str = ""
    other_names: tuple[str, ...] = ()
    data: bytes = b""
    foreign_parent: bool = False


class Address(msgspec.Struct, frozen=True):
    """One address of a link, a prefix. ``valid`` and ``preferred`` are seconds, or `FOREVER`."""

    family: int
    address: str
    link_index: int
    scope: int = SCOPE_GLOBAL
    flags: int = 0
    local: str = ""
    broadcast: str = ""
    anycast: str = ""
    label: str = ""
    priority: int = 0
    valid: int = FOREVER
    preferred: int = FOREVER


class NextHop(msgspec.Struct, frozen=True):
    """One way of a route that has several."""

    gateway: str
    link_index: int
    weight: int


class Route(msgspec.Struct, frozen=True):
    """One route. A ``destination`` of "" is the default route."""

    family: int
    destination: str = ""
    source: str = ""
    gateway: str = ""
    link_index: int = 0
    table: int = TABLE_MAIN
    priority: int = 0
    scope: int = SCOPE_GLOBAL
    type: int = TYPE_UNICAST
    protocol: int = PROTOCOL_STATIC
    flags: int = 0
    mtu: int = 0
    next_hops: tuple[NextHop, ...] = ()


def format_hardware(data: bytes) -> str:
    """A hardware address as people write it: "52:54:00:12:34:56"."""
    return data.hex(":")


def format_address(family: int, data: bytes) -> str:
    """An address as text; raises `MalformedMessage` when its size does not fit its family."""
    if len(data) != {INET4: 4, INET6: 16}.get(family):
        raise MalformedMessage(f"an address of {len(data)} bytes in family {family}")
    return inet_ntop(family, data)


def parse_link(message: Message) -> Link:
    """A link from its NEWLINK or DELLINK message; raises `MalformedMessage`.

    A bridge tells of its ports in messages of these types as well: they come, go and change as ports, not as links.
    """
    if message.payload[:1] == AF_BRIDGE:
        raise MalformedMessage("a bridge's message about a port")
    _, kind, index, flags, _ = _unpack_header(LINK_HEADER, message)
    attributes = unpack_attributes(message.payload[LINK_HEADER.size :])
    info = unpack_attributes(attributes.get(IFLA_LINKINFO, b""))
    names = _list_other_names(attributes.get(IFLA_PROP_LIST, b""))
    return Link(
        index=index,
        name=unpack_text(attributes, IFLA_IFNAME),
        type=kind,
        flags=flags,
        hardware_address=format_hardware(attributes.get(IFLA_ADDRESS, b"")),
        permanent_address=format_hardware(attributes.get(IFLA_PERM_ADDRESS, b"")),
        broadcast_address=format_hardware(attributes.get(IFLA_BROADCAST, b"")),
        mtu=unpack_u32(attributes, IFLA_MTU),
        queue_discipline=unpack_text(attributes, IFLA_QDISC),
        parent_index=unpack_u32(attributes, IFLA_LINK),
        master_index=unpack_u32(attributes, IFLA_MASTER),
        operational_state=_unpack_u8(attributes.get(IFLA_OPERSTATE, b"")),
        kind=unpack_text(info, IFLA_INFO_KIND),
        slave_kind=unpack_text(info, IFLA_INFO_SLAVE_KIND),
        carrier=_unpack_u8(attributes.get(IFLA_CARRIER, b"")) == 1,
        alias=unpack_text(attributes, IFLA_IFALIAS),
        other_names=names,
        data=info.get(IFLA_INFO_DATA, b""),
        foreign_parent=IFLA_LINK_NETNSID in attributes,
    )


def parse_address(message: Message) -> Address:
    """An address from its NEWADDR or DELADDR message; raises `MalformedMessage`."""
    family, length, flags, scope, index = _unpack_header(ADDRESS_HEADER, message)
    attributes = unpack_attributes(message.payload[ADDRESS_HEADER.size :])

    def text(kind: int) -> str:
        return format_address(family, attributes[kind]) if kind in attributes else ""

    # IFA_LOCAL is the address itself; IFA_ADDRESS is the other end on a point-to-point link, else the same
    own = text(IFA_LOCAL) or text(IFA_ADDRESS)
    if not own:
        raise MalformedMessage("an address message without an address")
    cache = attributes.get(IFA_CACHEINFO, b"")
    preferred, valid, _, _ = CACHE_INFO.unpack(cache) if len(cache) == CACHE_INFO.size else (FOREVER, FOREVER, 0, 0)
    return Address(
        family=family,
        address=f"{own}/{length}",
        link_index=index,
        scope=scope,
        flags=unpack_u32(attributes, IFA_FLAGS, flags),
        local=text(IFA_LOCAL),
        broadcast=text(IFA_BROADCAST),
        anycast=text(IFA_ANYCAST),
        label=unpack_text(attributes, IFA_LABEL),
        priority=unpack_u32(attributes, IFA_RT_PRIORITY),
        valid=valid,
        preferred=preferred,
    )


def parse_route(message: Message) -> Route:
    """A route from its NEWROUTE or DELROUTE message; raises `MalformedMessage`."""
    family, length, _, _, table, protocol, scope, kind, flags = _unpack_header(ROUTE_HEADER, message)
    attributes = unpack_attributes(message.payload[ROUTE_HEADER.size :])

    def text(name: int) -> str:
        return format_address(family, attributes[name]) if name in attributes else ""

    destination = text(RTA_DST)
    return Route(
        family=family,
        destination=f"{destination}/{length}" if destination else "",
        source=text(RTA_PREFSRC),
        gateway=text(RTA_GATEWAY),
        link_index=unpack_u32(attributes, RTA_OIF),
        table=unpack_u32(attributes, RTA_TABLE, table),
        priority=unpack_u32(attributes, RTA_PRIORITY),
        scope=scope,
        type=kind,
        protocol=protocol,
        flags=flags,
        mtu=unpack_u32(unpack_attributes(attributes.get(RTA_METRICS, b"")), RTAX_MTU),
        next_hops=_list_next_hops(family, attributes.get(RTA_MULTIPATH, b"")),
    )


class LinkChange(msgspec.Struct, frozen=True):
    """What a link should be like from now on: None, "" and no MTU or parent leave what there is.

    ``master`` is the number of a bridge, bond or VRF, and 0 frees the link of any. ``told`` has the kernel tell of the
    link even if nothing changed that it tells of by itself.
    """

    up: bool | None = None
    multicast: bool | None = None
    mtu: int = 0
    name: str = ""
    hardware_address: str = ""
    master: int | None = None
    parent: int = 0
    kind: str = ""
    data: bytes = b""
    told: bool = False


def pack_other_name(index: int, name: str) -> bytes:
    """The payload of a NEWLINKPROP or DELLINKPROP about another name of a link."""
    listed = pack_attributes([(IFLA_ALT_IFNAME, name.encode() + b"\0")])
    return LINK_HEADER.pack(0, 0, index, 0, 0) + pack_attributes([(IFLA_PROP_LIST | NESTED, listed)])


def pack_alias(index: int, alias: str) -> bytes:
    """The payload of a SETLINK that gives a link its alias, a text that nothing is found by; "" takes it off."""
    return LINK_HEADER.pack(0, 0, index, 0, 0) + pack_attributes([(IFLA_IFALIAS, alias.encode())])


def pack_link_change(index: int, change: LinkChange) -> bytes:
    """The payload of a SETLINK, or of a NEWLINK with index 0: only what is given changes."""
    flags = mask = 0
    for bit, said in ((IFF_UP, change.up), (IFF_MULTICAST, change.multicast)):
        if said is not None:
            flags, mask = flags | bit * said, mask | bit
    attributes = []
    if change.hardware_address:
        attributes.append((IFLA_ADDRESS, bytes.fromhex(change.hardware_address.replace(":", ""))))
    if change.mtu:
        attributes.append((IFLA_MTU, _pack_u32(change.mtu)))
    if change.name:
        attributes.append((IFLA_IFNAME, change.name.encode() + b"\0"))
    if change.master is not None:
        attributes.append((IFLA_MASTER, _pack_u32(change.master)))
    if change.parent:
        attributes.append((IFLA_LINK, _pack_u32(change.parent)))
    if change.told:
        attributes.append((IFLA_GROUP, _pack_u32(0)))  # the group that every link is in anyway: setting it is told
    if change.kind:
        info = [(IFLA_INFO_KIND, change.kind.encode() + b"\0")]
        info += [(IFLA_INFO_DATA, change.data)] if change.data else []
        attributes.append((IFLA_LINKINFO, pack_attributes(info)))
    return LINK_HEADER.pack(0, 0, index, flags, mask) + pack_attributes(attributes)


def pack_address_change(address: Address) -> bytes:
    """The payload of a NEWADDR or DELADDR."""
    family, data, length = pack_prefix(address.address)
    attributes = [(IFA_LOCAL, data), (IFA_ADDRESS, data)]
    if address.broadcast:
        attributes.append((IFA_BROADCAST, pack_address(address.broadcast)[1]))
    if address.flags:
        attributes.append((IFA_FLAGS, _pack_u32(address.flags)))
    if address.priority:
        attributes.append((IFA_RT_PRIORITY, _pack_u32(address.priority)))
    if (address.valid, address.preferred) != (FOREVER, FOREVER):
        attributes.append((IFA_CACHEINFO, CACHE_INFO.pack(address.preferred, address.valid, 0, 0)))
    head = ADDRESS_HEADER.pack(family, length, address.flags & 0xFF, address.scope, address.link_index)
    return head + pack_attributes(attributes)


def pack_route_change(route: Route) -> bytes:
    """The payload of a NEWROUTE or DELROUTE."""
    attributes = []
    length = 0
    if route.destination:
        _, data, length = pack_prefix(route.destination)
        attributes.append((RTA_DST, data))
    if route.source:
        attributes.append((RTA_PREFSRC, pack_address(route.source)[1]))
    if route.gateway:
        attributes.append((RTA_GATEWAY, pack_address(route.gateway)[1]))
    if route.link_index:
        attributes.append((RTA_OIF, _pack_u32(route.link_index)))
    if route.priority:
        attributes.append((RTA_PRIORITY, _pack_u32(route.priority)))
    if route.mtu:
        attributes.append((RTA_METRICS, pack_attributes([(RTAX_MTU, _pack_u32(route.mtu))])))
    if route.next_hops:
        attributes.append((RTA_MULTIPATH, b"".join(_pack_next_hop(hop) for hop in route.next_hops)))
    attributes.append((RTA_TABLE, _pack_u32(route.table)))
    table = route.table if route.table < 256 else 0
    head = ROUTE_HEADER.pack(route.family, length, 0, 0, table, route.protocol, route.scope, route.type, route.flags)
    return head + pack_attributes(attributes)


def _unpack_header(header: struct.Struct, message: Message) -> tuple[int, ...]:
    if len(message.payload) < header.size:
        raise MalformedMessage(f"a message of type {message.type} with only {len(message.payload)} bytes")
    return header.unpack_from(message.payload)


def _unpack_u8(data: bytes) -> int:
    return data[0] if len(data) == 1 else 0


def _pack_u32(value: int) -> bytes:
    return value.to_bytes(4, sys.byteorder)


def _list_other_names(data: bytes) -> tuple[str, ...]:
    return tuple(
        value.rstrip(b"\0").decode("utf-8", "replace")
        for kind, value in iterate_attributes(data)
        if kind == IFLA_ALT_IFNAME
    )


def _list_next_hops(family: int, data: bytes) -> tuple[NextHop, ...]:
    hops = []
    while len(data) >= NEXT_HOP.size:
        length, _, weight, index = NEXT_HOP.unpack_from(data)
        if length < NEXT_HOP.size or length > len(data):
            raise MalformedMessage(f"a next hop claims {length} of {len(data)} bytes")
        attributes = unpack_attributes(data[NEXT_HOP.size : length])
        gateway = format_address(family, attributes[RTA_GATEWAY]) if RTA_GATEWAY in attributes else ""
        hops.append(NextHop(gateway, index, weight + 1))
        data = data[(length + 3) & ~3 :]
    return tuple(hops)


def _pack_next_hop(hop: NextHop) -> bytes:
    attributes = pack_attributes([(RTA_GATEWAY, pack_address(hop.gateway)[1])] if hop.gateway else [])
    return NEXT_HOP.pack(NEXT_HOP.size + len(attributes), 0, max(hop.weight, 1) - 1, hop.link_index) + attributes
