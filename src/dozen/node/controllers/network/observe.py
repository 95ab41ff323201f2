"""Publishes the links, addresses and routes that the kernel has, as they come and go.

One watcher for all three, because the kernel tells of them in one order and addresses and routes name their link by its
number, which only the links explain.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from dozen.linux import rtnetlink as rt
from dozen.linux.linkdetails import LinkDetails, Speed, read_details, read_speed
from dozen.linux.netlink import Overrun
from dozen.linux.network import Changes, Network, Record
from dozen.machinery.addresses import INET4
from dozen.machinery.resources.enums import flags_text, name_of
from dozen.machinery.resources.link import LINK_STATUS, LinkStatusSpec
from dozen.machinery.resources.network import (
    ADDRESS_STATUS,
    ROUTE_STATUS,
    AddressStatusSpec,
    NextHop,
    RouteStatusSpec,
)

if TYPE_CHECKING:
    from dozen.engine.publisher import Publisher

MADE = frozenset(
    ("vlan", "bond", "bridge", "vrf", "veth", "wireguard")
)  # kinds of links of which there is more to tell
ROUTE_FLAGS = 0xFF & ~0x10  # the low bits; 0x10 (linkdown) and above 0xFF is news of the moment, not part of the route


class NetworkWatcher:
    """Publishes LinkStatus, AddressStatus and RouteStatus."""

    name = "network"
    outputs = (LINK_STATUS, ADDRESS_STATUS, ROUTE_STATUS)

    async def run(self, publish: Publisher) -> None:
        changes = Changes()
        try:
            while True:
                picture = Picture(publish)
                with Network() as network:
                    picture.start(network.list_links(), network.list_addresses())
                    picture.replace_routes(network.list_routes())
                try:
                    await self._follow(changes, picture)
                except Overrun:
                    continue  # some changes were lost: look at everything again
        finally:
            changes.close()

    async def _follow(self, changes: Changes, picture: Picture) -> None:
        while True:
            batch = await changes.read()
            for exists, record in batch:
                picture.change(exists, record)
            if any(hides_routes(exists, record) for exists, record in batch):
                with Network() as network:
                    picture.replace_routes(network.list_routes())


class Picture:
    """The network as published so far."""

    def __init__(
        self,
        publish: Publisher,
        details: Callable[[str], LinkDetails] = read_details,
        speed: Callable[[str], Speed] = read_speed,
    ) -> None:
        self._publish = publish
        self._read_details = details
        self._read_speed = speed
        self._names: dict[int, str] = {}
        self._details: dict[int, LinkDetails] = {}

    def start(self, links: list[rt.Link], addresses: list[rt.Address]) -> None:
        """Publish what there is, and nothing else."""
        self._names = {link.index: link.name for link in links}
        self._publish.replace(LINK_STATUS, {link.name: self._describe_link(link) for link in links})
        found = [self._describe_address(address) for address in addresses]
        self._publish.replace(ADDRESS_STATUS, {address_id(spec): spec for spec in found})

    def replace_routes(self, routes: list[rt.Route]) -> None:
        """Publish these routes, and no others."""
        ways = [self._describe_route(route) for route in routes]
        self._publish.replace(ROUTE_STATUS, {route_id(spec): spec for spec in ways})

    def change(self, exists: bool, record: Record) -> None:
        """Publish one change."""
        if isinstance(record, rt.Link):
            self._change_link(exists, record)
        elif isinstance(record, rt.Address):
            address = self._describe_address(record)
            if exists:
                self._publish.put(ADDRESS_STATUS, address_id(address), address)
            else:
                self._publish.remove(ADDRESS_STATUS, address_id(address))
        else:
            route = self._describe_route(record)
            if exists:
                self._publish.put(ROUTE_STATUS, route_id(route), route)
            else:
                self._publish.remove(ROUTE_STATUS, route_id(route))

    def _change_link(self, exists: bool, link: rt.Link) -> None:
        before = self._names.get(link.index)
        if before is not None and (before != link.name or not exists):
            self._publish.remove(LINK_STATUS, before)
        if exists:
            self._names[link.index] = link.name
            self._publish.put(LINK_STATUS, link.name, self._describe_link(link))
        else:
            self._names.pop(link.index, None)
            self._details.pop(link.index, None)

    def _name(self, index: int) -> str:
        return self._names.get(index, str(index)) if index else ""

    def _describe_link(self, link: rt.Link) -> LinkStatusSpec:
        details = self._details.get(link.index)
        if details is None:
            details = self._details[link.index] = self._read_details(link.name)
        speed = self._read_speed(link.name) if details.bus_path and link.carrier else Speed()
        return LinkStatusSpec(
            alias=link.alias,
            alt_names=link.other_names,
            index=link.index,
            type=name_of("LinkType", link.type),
            link_index=link.parent_index,
            flags=flags_text("LinkFlags", link.flags),
            hardware_addr=link.hardware_address,
            permanent_addr=link.permanent_address or link.hardware_address,
            broadcast_addr=link.broadcast_address,
            mtu=link.mtu,
            queue_disc=link.queue_discipline,
            master_index=link.master_index,
            operational_state=name_of("OperationalState", link.operational_state),
            kind=link.kind,
            slave_kind=link.slave_kind,
            bus_path=details.bus_path,
            pci_id=details.pci_id,
            driver=details.driver,
            product_id=details.product_id,
            vendor_id=details.vendor_id,
            link_state=link.carrier,
            speed_mbit=speed.mbit,
            port="Other",
            duplex=speed.duplex,
            **(self._describe_kind(link) if link.kind in MADE else {}),
        )

    def _describe_kind(self, link: rt.Link) -> dict[str, Any]:
        if link.kind == "wireguard":
            from dozen.linux import wireguard

            return {"wireguard": wireguard.read(link.name)}
        from dozen.linux.linkkinds import describe

        return describe(link, self._name)

    def _describe_address(self, address: rt.Address) -> AddressStatusSpec:
        return AddressStatusSpec(
            address=address.address,
            local=address.local,
            broadcast=address.broadcast,
            anycast=address.anycast,
            link_index=address.link_index,
            link_name=self._name(address.link_index),
            family=name_of("Family", address.family),
            scope=name_of("Scope", address.scope),
            flags=flags_text("AddressFlags", address.flags),
            priority=address.priority,
        )

    def _describe_route(self, route: rt.Route) -> RouteStatusSpec:
        return RouteStatusSpec(
            family=name_of("Family", route.family),
            dst=route.destination,
            src=route.source,
            gateway=route.gateway,
            out_link_index=route.link_index,
            out_link_name=self._name(route.link_index),
            table=name_of("RoutingTable", route.table),
            priority=route.priority,
            scope=name_of("Scope", route.scope),
            type=name_of("RouteType", route.type),
            flags=flags_text("RouteFlags", route.flags & ROUTE_FLAGS),
            protocol=name_of("RouteProtocol", route.protocol),
            mtu=route.mtu,
            next_hops=tuple(
                NextHop(gateway=hop.gateway, out_link_name=self._name(hop.link_index), weight=hop.weight)
                for hop in route.next_hops
            ),
        )


def hides_routes(exists: bool, record: Record) -> bool:
    """Whether a change may have taken routes with it: the kernel does not tell of IPv4 routes that go with their link
    or their source address (fib_sync_down_dev and fib_sync_down_addr flush without a message).
    """
    if isinstance(record, rt.Link):
        return not exists or not record.flags & rt.IFF_UP
    return isinstance(record, rt.Address) and not exists and record.family == INET4


def address_id(spec: AddressStatusSpec) -> str:
    """An address may be on several links."""
    return f"{spec.link_name}/{spec.address}"


def route_id(spec: RouteStatusSpec) -> str:
    """What the kernel tells routes apart by, and their table if it is not the main one."""
    table = "" if spec.table == "main" else f"{spec.table}/"
    kind = "" if spec.type == "unicast" else f"{spec.type}/"
    return f"{table}{kind}{spec.out_link_name}/{spec.family}/{spec.gateway}/{spec.dst}/{spec.priority}"
