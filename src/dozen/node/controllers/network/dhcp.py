"""Runs a DHCP client on each link that should have one, and publishes what it obtains.

A client runs while its link is up and has a carrier. A link that loses its carrier keeps its lease: when the cable is
back, the client asks for the same address again. The lease goes when the server refuses it, when it ends, when the
link is gone, or when no operator is wanted there any more.
"""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING, NamedTuple

from dozen.linux.dhcp import ETHERNET, Lease
from dozen.linux.dhcp_socket import LeaseKeeper
from dozen.machinery.resources.link import LINK_STATUS
from dozen.machinery.resources.operator import (
    DHCP4,
    DHCP_LEASE,
    OPERATOR_SPEC,
    ClientIdentifier,
    DHCP4Operator,
    DHCPLease,
    LeasedRoute,
)
from dozen.machinery.resources.settings import NETWORK, NETWORK_SETTINGS
from dozen.node.controllers.network.matching import is_up

if TYPE_CHECKING:
    from dozen.engine.publisher import Publisher
    from dozen.engine.store import Store

RETRY = 1.0  # seconds until a client that failed, usually because its link just went, is started again


class Wanted(NamedTuple):
    """A client that should run. It is another one if any of this changes."""

    hardware: str
    options: DHCP4Operator
    hostname: str


class DHCPOperator:
    """OperatorSpec + LinkStatus → DHCPLease."""

    name = "network-dhcp"
    outputs = (DHCP_LEASE,)

    def __init__(self, store: Store, log: logging.Logger) -> None:
        self._store = store
        self._log = log
        self._clients: dict[str, tuple[Wanted, LeaseKeeper]] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}

    async def run(self, publish: Publisher) -> None:
        changed = asyncio.Event()
        kinds = (OPERATOR_SPEC, LINK_STATUS)
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
        for link in list(self._clients):
            if self._clients[link][0] != wanted.get(link):
                self._stop(link)
                del self._clients[link]
                publish.remove(DHCP_LEASE, link)
        for link in set(self._tasks) - ready:
            self._stop(link)
        for link, wish in wanted.items():
            if link not in self._clients:
                self._clients[link] = (wish, self._make_client(publish, link, wish))
            if link in ready and link not in self._tasks:
                client = self._clients[link][1]
                self._tasks[link] = asyncio.create_task(self._keep(link, client), name=f"dhcp {link}")

    def _survey(self) -> tuple[dict[str, Wanted], set[str]]:
        """Clients that should be there, and the links on which they can work now."""
        settings = self._store.find(NETWORK_SETTINGS, NETWORK)
        hostname = settings.spec.hostname if settings else ""
        wanted: dict[str, Wanted] = {}
        ready: set[str] = set()
        for operator in self._store.list(OPERATOR_SPEC):
            spec = operator.spec
            link = self._store.find(LINK_STATUS, spec.link_name)
            if spec.operator != DHCP4 or link is None or len(link.spec.hardware_addr) != len("00:00:00:00:00:00"):
                continue
            options = spec.dhcp4 or DHCP4Operator()
            wanted[link.id] = Wanted(link.spec.hardware_addr, options, hostname.partition(".")[0])
            if is_up(link.spec) and link.spec.link_state:
                ready.add(link.id)
        return wanted, ready

    def _make_client(self, publish: Publisher, link: str, wish: Wanted) -> LeaseKeeper:
        def granted(lease: Lease) -> None:
            publish.put(DHCP_LEASE, link, describe_lease(link, lease, wish.options, time.time()))

        def lost(reason: str) -> None:
            publish.remove(DHCP_LEASE, link)

        hardware = bytes.fromhex(wish.hardware.replace(":", ""))
        identifier = identify(hardware, wish.options.client_identifier)
        return LeaseKeeper(link, hardware, granted, lost, hostname=wish.hostname, identifier=identifier, log=self._log)

    async def _keep(self, link: str, client: LeaseKeeper) -> None:
        while True:
            try:
                await client.run()
            except OSError as error:
                self._log.warning("dhcp client stopped link=%s error=%s", link, error)
            await asyncio.sleep(RETRY)

    def _stop(self, link: str) -> None:
        task = self._tasks.pop(link, None)
        if task is not None:
            task.cancel()


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
