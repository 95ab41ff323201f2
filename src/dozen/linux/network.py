"""The network of this machine: list it, hear of changes, carry out effects on it.

`Network` asks and changes, `Changes` listens. Both translate through `rtnetlink`; what should be done, and when, is not
decided here.
"""

from __future__ import annotations

import errno
import struct
from collections.abc import Callable
from types import TracebackType

from dozen.linux import rtnetlink as rt
from dozen.linux.netlink import (
    NLM_F_CREATE,
    NLM_F_EXCL,
    NLM_F_REPLACE,
    MalformedMessage,
    Message,
    Netlink,
    NetlinkError,
    pack_attributes,
)
from dozen.machinery.addresses import INET4, INET6, address_of, pack_prefix
from dozen.machinery.effects import network as effects
from dozen.machinery.plan import Effect, Temporary

Record = rt.Link | rt.Address | rt.Route

GROUPS = (rt.GROUP_LINK, rt.GROUP_IPV4_ADDRESS, rt.GROUP_IPV6_ADDRESS, rt.GROUP_IPV4_ROUTE, rt.GROUP_IPV6_ROUTE)
BUFFER = 1 << 20  # a node starting its pods makes hundreds of changes at once

PARSERS: dict[int, Callable[[Message], Record]] = {
    rt.RTM_NEWLINK: rt.parse_link,
    rt.RTM_DELLINK: rt.parse_link,
    rt.RTM_NEWADDR: rt.parse_address,
    rt.RTM_DELADDR: rt.parse_address,
    rt.RTM_NEWROUTE: rt.parse_route,
    rt.RTM_DELROUTE: rt.parse_route,
}
REMOVALS = frozenset((rt.RTM_DELLINK, rt.RTM_DELADDR, rt.RTM_DELROUTE))


class UnknownLink(LookupError):
    """No link has this name."""


class Network:
    """The kernel's network configuration. Every method raises `NetlinkError` when the kernel refuses."""

    def __init__(self) -> None:
        self._netlink = Netlink()

    def __enter__(self) -> Network:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._netlink.close()

    def list_links(self) -> list[rt.Link]:
        """Every link."""
        return [rt.parse_link(m) for m in self._netlink.dump(rt.RTM_GETLINK, rt.LINK_HEADER.pack(0, 0, 0, 0, 0))]

    def list_addresses(self) -> list[rt.Address]:
        """Every address of both families."""
        return [rt.parse_address(m) for m in self._netlink.dump(rt.RTM_GETADDR, rt.ADDRESS_HEADER.pack(0, 0, 0, 0, 0))]

    def list_routes(self) -> list[rt.Route]:
        """Every route of both families and all tables, but not the kernel's cache entries."""
        found = []
        for family in (INET4, INET6):
            header = rt.ROUTE_HEADER.pack(family, 0, 0, 0, 0, 0, 0, 0, 0)
            found += [rt.parse_route(m) for m in self._netlink.dump(rt.RTM_GETROUTE, header)]
        return [route for route in found if not route.flags & rt.RTM_F_CLONED]

    def find_link(self, name: str) -> rt.Link:
        """A link by its name; raises `UnknownLink`."""
        request = rt.LINK_HEADER.pack(0, 0, 0, 0, 0) + pack_attributes([(rt.IFLA_IFNAME, name.encode() + b"\0")])
        try:
            return rt.parse_link(self._netlink.request(rt.RTM_GETLINK, request)[0])
        except NetlinkError as error:
            if error.errno in (errno.ENODEV, errno.ERANGE, errno.EINVAL):
                raise UnknownLink(f"there is no link {name!r}") from error
            raise

    def set_link(self, name: str, change: rt.LinkChange) -> None:
        """Change a link; raises `UnknownLink`."""
        index = self.find_link(name).index
        # What a driver is told goes by NEWLINK alone: to SETLINK it is nothing (rtnl_setlink in the kernel).
        kind = rt.RTM_NEWLINK if change.kind else rt.RTM_SETLINK
        self._netlink.request(kind, rt.pack_link_change(index, change))

    def make_link(self, change: rt.LinkChange) -> None:
        """Make a link of ``change.kind``."""
        self._netlink.request(rt.RTM_NEWLINK, rt.pack_link_change(0, change), NLM_F_CREATE | NLM_F_EXCL)

    def add_other_name(self, index: int, name: str) -> None:
        """Give a link one more name by which it is found; raises NetlinkError (EEXIST) for one that a link has."""
        self._netlink.request(rt.RTM_NEWLINKPROP, rt.pack_other_name(index, name))

    def set_alias(self, index: int, alias: str) -> None:
        self._netlink.request(rt.RTM_SETLINK, rt.pack_alias(index, alias))

    def remove_other_name(self, index: int, name: str) -> None:
        self._netlink.request(rt.RTM_DELLINKPROP, rt.pack_other_name(index, name))

    def remove_link(self, index: int) -> None:
        """Remove a link that is made of software; one that is gone is fine."""
        self._forget(rt.RTM_DELLINK, rt.LINK_HEADER.pack(0, 0, index, 0, 0))

    def add_address(self, address: rt.Address) -> None:
        """Add an address, or give the existing one new lifetimes."""
        self._netlink.request(rt.RTM_NEWADDR, rt.pack_address_change(address), NLM_F_CREATE | NLM_F_REPLACE)

    def remove_address(self, address: rt.Address) -> None:
        """Remove an address; one that is gone is fine."""
        self._forget(rt.RTM_DELADDR, rt.pack_address_change(address))

    def add_route(self, route: rt.Route) -> None:
        """Add a route, or replace the one with the same destination, table and metric."""
        self._netlink.request(rt.RTM_NEWROUTE, rt.pack_route_change(route), NLM_F_CREATE | NLM_F_REPLACE)

    def remove_route(self, route: rt.Route) -> None:
        """Remove a route; one that is gone is fine."""
        self._forget(rt.RTM_DELROUTE, rt.pack_route_change(route))

    def _forget(self, kind: int, payload: bytes) -> None:
        try:
            self._netlink.request(kind, payload)
        except NetlinkError as error:
            if error.errno not in (errno.EADDRNOTAVAIL, errno.ESRCH, errno.ENODEV):
                raise


class Changes:
    """Hears of every change. Open it before listing, so that nothing happens unseen between the two."""

    def __init__(self) -> None:
        self._netlink = Netlink(groups=GROUPS, buffer=BUFFER)

    def close(self) -> None:
        self._netlink.close()

    async def read(self) -> list[tuple[bool, Record]]:
        """The next changes in order, each with whether the thing now exists; raises `Overrun` when some were lost."""
        found: list[tuple[bool, Record]] = []
        for message in await self._netlink.receive():
            parse = PARSERS.get(message.type)
            if parse is None:
                continue
            try:
                record = parse(message)
            except (MalformedMessage, struct.error):
                continue  # a bridge's words about a port; those about the link come by themselves
            if isinstance(record, rt.Route) and record.flags & rt.RTM_F_CLONED:
                continue
            found.append((message.type not in REMOVALS, record))
        return found


async def run(effect: Effect) -> None:
    """Carry out one effect of `dozen.machinery.effects.network`; raises `Temporary` naming it and the kernel's
    reason.
    """
    if isinstance(effect, effects.Each):
        await _run_each(effect)
        return
    if type(effect).__module__ != effects.__name__:
        await _run_other(effect)
        return
    try:
        with Network() as network:
            _run(network, effect)
    except (OSError, UnknownLink, ValueError) as error:
        raise Temporary(f"{effect}: {error.strerror if isinstance(error, OSError) else error}") from error


async def _run_other(effect: Effect) -> None:
    """Effects on what most nodes have none of: who carries them out is loaded when it is first needed."""
    theme = type(effect).__module__.rpartition(".")[2]
    if theme == "routing":
        from dozen.linux import rules

        await rules.run(effect)
    elif theme == "firewall":
        from dozen.linux import firewall

        firewall.run(effect)
    else:
        from dozen.linux import links

        await links.run(effect)


async def _run_each(effect: effects.Each) -> None:
    failures = []
    for each in effect.effects:
        try:
            await run(each)
        except Temporary as error:
            failures.append(str(error))
    if failures:
        raise Temporary("; ".join(failures))


def _run(network: Network, effect: Effect) -> None:
    if isinstance(effect, effects.SetLink):
        change = rt.LinkChange(effect.up, effect.multicast, effect.mtu, hardware_address=effect.hardware_addr)
        network.set_link(effect.link, change)
    elif isinstance(effect, effects.AcceptRouters):
        _accept_routers(effect.link)
    elif isinstance(effect, effects.AddAddress):
        network.add_address(_make_address(network, effect))
    elif isinstance(effect, effects.RemoveAddress):
        _remove_address(network, effect)
    elif isinstance(effect, effects.AnnounceAddress):
        _announce(network, effect)
    elif isinstance(effect, effects.AddRoute):
        network.add_route(_make_route(network, effect))
    elif isinstance(effect, effects.RemoveRoute):
        _remove_route(network, effect)
    elif isinstance(effect, effects.SetHostname):
        set_hostname(effect.hostname, effect.domain)
    else:
        raise TypeError(f"{effect!r} is no effect on the network")


def _announce(network: Network, effect: effects.AnnounceAddress) -> None:
    from dozen.linux.announce import announce

    hardware = bytes.fromhex(network.find_link(effect.link).hardware_address.replace(":", ""))
    # What has no Ethernet address has no neighbours that remember one.
    if len(hardware) == 6:
        announce(effect.link, hardware, address_of(effect.address))


def set_hostname(hostname: str, domain: str = "") -> None:
    """Set the kernel's node name and its domain name, which "(none)" stands for when there is none."""
    for name, value in (("hostname", hostname), ("domainname", domain or "(none)")):
        with open(f"/proc/sys/kernel/{name}", "w", encoding="ascii") as file:
            file.write(value)


def _accept_routers(link: str) -> None:
    try:
        with open(f"/proc/sys/net/ipv6/conf/{link}/accept_ra", "w", encoding="ascii") as file:
            file.write("2")
    except FileNotFoundError:
        return  # a kernel without IPv6, or a link that has just gone


def _make_address(network: Network, effect: effects.AddAddress) -> rt.Address:
    family, data, length = pack_prefix(effect.address)
    return rt.Address(
        family=family,
        address=effect.address,
        link_index=network.find_link(effect.link).index,
        scope=effect.scope,
        flags=effect.flags,
        broadcast=_find_broadcast(data, length) if family == INET4 else "",
        priority=effect.priority,
        valid=effect.valid,
        preferred=effect.preferred,
    )


def _find_broadcast(address: bytes, length: int) -> str:
    """The subnet's last address; networks of one or two hosts have none."""
    if length >= 31:
        return ""
    host = (1 << (32 - length)) - 1
    return rt.format_address(INET4, (int.from_bytes(address, "big") | host).to_bytes(4, "big"))


def _remove_address(network: Network, effect: effects.RemoveAddress) -> None:
    try:
        index = network.find_link(effect.link).index
    except UnknownLink:
        return  # it took its addresses with it
    network.remove_address(rt.Address(pack_prefix(effect.address)[0], effect.address, index))


def _make_route(network: Network, effect: effects.RouteEntry) -> rt.Route:
    values = {name: getattr(effect, name) for name in effect.__struct_fields__}
    link = values.pop("link")
    return rt.Route(**values, link_index=network.find_link(link).index if link else 0)


def _remove_route(network: Network, effect: effects.RemoveRoute) -> None:
    try:
        route = _make_route(network, effect)
    except UnknownLink:
        return  # it took its routes with it
    network.remove_route(route)
