"""Runs the node's DNS server as HostDNSConfig says, and publishes where it listens and whom it asks."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING

from dozen.machinery.resources.cluster import MEMBER
from dozen.machinery.resources.network import RESOLVER_STATUS
from dozen.machinery.resources.routing import (
    DNS_RESOLVE_CACHE,
    DNS_UPSTREAM,
    HOST_DNS_CONFIG,
    DNSResolveCacheSpec,
    DNSUpstreamSpec,
    HostDNSConfigSpec,
)
from dozen.node.controllers.network.hostdns import CONFIG
from dozen.node.controllers.network.names import RESOLVERS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dozen.engine.publisher import Publisher
    from dozen.engine.store import Store
    from dozen.machinery.resource import Resource
    from dozen.machinery.resources.cluster import MemberSpec
    from dozen.node.hostdns.server import Server

# An address that is not there yet is tried again after so many seconds.
RETRY = 1.0

log = logging.getLogger("dozen.dns")


class HostDNSWatcher:
    """HostDNSConfig, ResolverStatus, Member → a running server, DNSResolveCache, DNSUpstream."""

    name = "host-dns"
    outputs = (DNS_RESOLVE_CACHE, DNS_UPSTREAM)

    def __init__(self, store: Store) -> None:
        self._store = store
        self._servers: dict[str, Server] = {}

    async def run(self, publish: Publisher) -> None:
        changed = asyncio.Event()
        stops = [
            self._store.listen(kind, lambda _: changed.set()) for kind in (HOST_DNS_CONFIG, RESOLVER_STATUS, MEMBER)
        ]
        try:
            while not self._config().enabled:
                await changed.wait()
                changed.clear()
            await self._serve(publish, changed)
        finally:
            for stop in stops:
                stop()

    async def _serve(self, publish: Publisher, changed: asyncio.Event) -> None:
        from dozen.node.hostdns.resolver import Resolver
        from dozen.node.hostdns.upstreams import Upstreams

        upstreams = Upstreams(changed.set)
        resolver = Resolver(upstreams, time.monotonic)
        looking = asyncio.create_task(upstreams.look_after(), name="dns-upstreams")
        asked: tuple[str, ...] = ()
        try:
            while True:
                changed.clear()
                said = self._config()
                servers = self._upstreams() if said.enabled else ()
                if servers != asked:
                    asked = servers
                    upstreams.use(servers)
                    resolver.cache.clear()
                resolver.members = names_of_members(self._store.list(MEMBER)) if said.resolve_member_names else {}
                missing = await self._listen(said, resolver)
                self._publish(publish, {each.address: each.healthy for each in upstreams.all})
                try:
                    await asyncio.wait_for(changed.wait(), RETRY if missing else None)
                except TimeoutError:
                    continue
        finally:
            looking.cancel()
            for place in tuple(self._servers):
                await self._servers.pop(place).close()

    def _config(self) -> HostDNSConfigSpec:
        found = self._store.find(HOST_DNS_CONFIG, CONFIG)
        return found.spec if found is not None else HostDNSConfigSpec()

    def _upstreams(self) -> tuple[str, ...]:
        found = self._store.find(RESOLVER_STATUS, RESOLVERS)
        return found.spec.dns_servers if found is not None else ()

    async def _listen(self, said: HostDNSConfigSpec, resolver: object) -> bool:
        """Listen where it is wanted and nowhere else; whether some place is missing."""
        from dozen.node.hostdns.server import Server

        wanted = said.listen_addresses if said.enabled else ()
        for place in [each for each in self._servers if each not in wanted]:
            await self._servers.pop(place).close()
        missing = False
        for place in wanted:
            if place in self._servers:
                continue
            address, _, port = place.rpartition(":")
            try:
                self._servers[place] = await Server.open(address, int(port), resolver)  # type: ignore[arg-type]
                log.info("dns=%s listening", place)
            except OSError as error:
                missing = True
                log.warning("dns=%s cannot be listened on: %s", place, error)
        return missing

    def _publish(self, publish: Publisher, upstreams: Mapping[str, bool]) -> None:
        running = DNSResolveCacheSpec(status="running")
        places = {f"{kind}-{place}": running for place in self._servers for kind in ("udp", "tcp")}
        publish.replace(DNS_RESOLVE_CACHE, places)
        specs = {address: DNSUpstreamSpec(healthy=healthy, addr=address) for address, healthy in upstreams.items()}
        publish.replace(DNS_UPSTREAM, specs)


def names_of_members(members: tuple[Resource[MemberSpec], ...]) -> dict[str, tuple[str, ...]]:
    """Addresses by the names that members go by: of their Nodes and of their hosts, with and without a domain."""
    found: dict[str, tuple[str, ...]] = {}
    for member in members:
        for name in {member.id, member.spec.hostname, member.spec.hostname.partition(".")[0]} - {""}:
            found[name.lower().rstrip(".")] = member.spec.addresses
    return found
