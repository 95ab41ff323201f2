"""Runs a DHCP client on each link that should have one, and publishes what it obtains.

A client runs while its link is up and has a carrier. A link that loses its carrier keeps its lease: when the cable is
back, the client asks for the same address again. The lease goes when the server refuses it, when it ends, when the
link is gone, or when no operator is wanted there any more. What is particular to DHCPv6 is in `dhcp6`, which is loaded
where it is wanted.
"""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING, NamedTuple, NoReturn, Protocol

from dozen.linux.dhcp import ETHERNET, Lease
from dozen.linux.dhcp_socket import LeaseKeeper
from dozen.machinery.resources.hardware import SYSTEM_INFORMATION
from dozen.machinery.resources.link import LINK_STATUS
from dozen.machinery.resources.network import ADDRESS_STATUS
from dozen.machinery.resources.operator import (
    DHCP4,
    DHCP6,
    DHCP_LEASE,
    OPERATOR_SPEC,
    ClientIdentifier,
    DHCP4Operator,
    DHCP6Operator,
    DHCPLease,
    LeasedRoute,
    OperatorSpec,
)
from dozen.machinery.resources.settings import NETWORK, NETWORK_SETTINGS
from dozen.node.controllers.network.matching import is_up

if TYPE_CHECKING:
    from dozen.engine.publisher import Publisher
    from dozen.engine.store import Store

RETRY = 1.0  # seconds until a client that failed, usually because its link just went, is started again


class Wanted(NamedTuple):
    """A client that should run. It is another one if any of this changes. ``machine`` is the machine's UUID."""

    link: str
    hardware: str
    options: DHCP4Operator | DHCP6Operator
    hostname: str
    machine: str = ""


class Keeper(Protocol):
    """A client that obtains leases for as long as it runs."""

    async def run(self) -> NoReturn: ...


class DHCPOperator:
    """OperatorSpec + LinkStatus + AddressStatus → DHCPLease."""

    name = "network-dhcp"
    outputs = (DHCP_LEASE,)

    def __init__(self, store: Store, log: logging.Logger) -> None:
        self._store = store
        self._log = log
        # by the lease's id
        self._clients: dict[str, tuple[Wanted, Keeper]] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}

    async def run(self, publish: Publisher) -> None:
        changed = asyncio.Event()
        kinds = (OPERATOR_SPEC, LINK_STATUS, ADDRESS_STATUS, SYSTEM_INFORMATION)
        stops = [self._store.listen(kind, lambda event: changed.set()) for kind in kinds]
        try:
            while True:
                self._reconcile(publish)
                changed.clear()
                await changed.wait()
        finally:
            for stop in stops:
                stop()
            for task in self._tasks.values():
                task.cancel()
            self._tasks.clear()

    def _reconcile(self, publish: Publisher) -> None:
        wanted, ready = self._survey()
        for id in list(self._clients):
            if self._clients[id][0] != wanted.get(id):
                self._stop(id)
                del self._clients[id]
                publish.remove(DHCP_LEASE, id)
        for id in set(self._tasks) - ready:
            self._stop(id)
        for id, wish in wanted.items():
            if id not in self._clients:
                self._clients[id] = (wish, self._make_client(publish, id, wish))
            if isinstance(wish.options, DHCP6Operator):
                self._decline(id)
            if id in ready and id not in self._tasks:
                client = self._clients[id][1]
                self._tasks[id] = asyncio.create_task(self._keep(wish.link, client), name=f"dhcp {id}")

    def _survey(self) -> tuple[dict[str, Wanted], set[str]]:
        """Clients that should be there, by their lease's id, and those that can work now."""
        settings = self._store.find(NETWORK_SETTINGS, NETWORK)
        hostname = settings.spec.hostname if settings else ""
        wanted: dict[str, Wanted] = {}
        ready: set[str] = set()
        for operator in self._store.list(OPERATOR_SPEC):
            spec = operator.spec
            link = self._store.find(LINK_STATUS, spec.link_name)
            if link is None or len(link.spec.hardware_addr) != len("00:00:00:00:00:00"):
                continue
            wish = Wanted(link.id, link.spec.hardware_addr, _options(spec), hostname.partition(".")[0])
            works = is_up(link.spec) and link.spec.link_state
            if spec.operator == DHCP4:
                id = link.id
            elif (machine := self._find_machine(spec)) is None:
                continue
            else:
                id, wish = f"{link.id}/{DHCP6}", wish._replace(machine=machine)
                works = works and self._has_link_address(link.id)
            wanted[id] = wish
            if works:
                ready.add(id)
        return wanted, ready

    def _find_machine(self, spec: OperatorSpec) -> str | None:
        """The machine's UUID where a client is to say it, else ""; None if it is not known yet."""
        chosen = spec.dhcp6.client_identifier if spec.dhcp6 else None
        if chosen is None or chosen.client_identifier != "none":
            return ""
        system = self._store.find(SYSTEM_INFORMATION, "systeminformation")
        return system.spec.uuid if system else None

    def _has_link_address(self, link: str) -> bool:
        from dozen.node.controllers.network.dhcp6 import has_link_address

        return has_link_address(link, (each.spec for each in self._store.list(ADDRESS_STATUS)))

    def _decline(self, id: str) -> None:
        """Give back addresses that another host turned out to have."""
        from dozen.linux.dhcp6_socket import LeaseKeeper as LeaseKeeper6
        from dozen.node.controllers.network.dhcp6 import find_conflicts

        keeper, lease = self._clients[id][1], self._store.find(DHCP_LEASE, id)
        if lease is None or not isinstance(keeper, LeaseKeeper6):
            return
        for address in find_conflicts(lease.spec, (each.spec for each in self._store.list(ADDRESS_STATUS))):
            self._stop(id)
            keeper.decline(address)

    def _make_client(self, publish: Publisher, id: str, wish: Wanted) -> Keeper:
        def lost(reason: str) -> None:
            publish.remove(DHCP_LEASE, id)

        hardware = bytes.fromhex(wish.hardware.replace(":", ""))
        options = wish.options
        if isinstance(options, DHCP6Operator):
            from dozen.node.controllers.network.dhcp6 import make_keeper

            def obtained(lease: DHCPLease) -> None:
                publish.put(DHCP_LEASE, id, lease)

            return make_keeper(wish.link, hardware, wish.hostname, options, wish.machine, obtained, lost, self._log)

        def granted(lease: Lease) -> None:
            publish.put(DHCP_LEASE, id, describe_lease(wish.link, lease, options, time.time()))

        identifier = identify(hardware, options.client_identifier)
        return LeaseKeeper(
            wish.link, hardware, granted, lost, hostname=wish.hostname, identifier=identifier, log=self._log
        )

    async def _keep(self, link: str, client: Keeper) -> None:
        while True:
            try:
                await client.run()
            except OSError as error:
                self._log.warning("dhcp client stopped link=%s error=%s", link, error)
            await asyncio.sleep(RETRY)

    def _stop(self, id: str) -> None:
        task = self._tasks.pop(id, None)
        if task is not None:
            task.cancel()


def _options(spec: OperatorSpec) -> DHCP4Operator | DHCP6Operator:
    return (spec.dhcp6 or DHCP6Operator()) if spec.operator == DHCP6 else (spec.dhcp4 or DHCP4Operator())


def identify(hardware: bytes, chosen: ClientIdentifier | None) -> bytes:
    """What a client tells a server of who it is; empty for nothing. A DUID that is not given is made of the hardware
    address (DUID-LL, RFC 8415, 11.4).
    """
    kind = chosen.client_identifier if chosen is not None else "mac"
    if kind == "none":
        return b""
    if chosen is not None and kind == "duid":
        return bytes.fromhex(chosen.duid_raw_hex) or b"\0\3\0\1" + hardware
    return bytes([ETHERNET]) + hardware


def describe_lease(link: str, lease: Lease, options: DHCP4Operator, now: float) -> DHCPLease:
    """A lease as a resource; ``now`` is when it was granted, seconds since the epoch."""
    routes = () if options.skip_routes else lease.routes
    return DHCPLease(
        link_name=link,
        address=f"{lease.address}/{lease.prefix}",
        server=lease.server,
        duration=lease.duration,
        granted=now,
        route_metric=options.route_metric,
        routes=tuple(LeasedRoute(destination=r.destination, gateway=r.gateway) for r in routes),
        dns_servers=lease.dns_servers,
        search_domains=lease.search_domains,
        hostname="" if options.skip_hostname_request else lease.hostname,
        domain=lease.domain,
        time_servers=lease.time_servers,
        mtu=lease.mtu,
    )
