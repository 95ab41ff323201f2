"""Virtual addresses: one address of the control plane, which is on one of its nodes at a time.

Who has it is decided in etcd: a key that one node alone can create, with a lease that it has to renew. A node that
cannot renew in time takes the address off its link before the lease is over, so that two never have it. Who wins tells
the link's neighbours (`AnnounceAddress`), which then send there.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING

from dozen.machinery.addresses import canonical_address
from dozen.machinery.resources import config, network
from dozen.machinery.resources.link import LINK_STATUS
from dozen.machinery.resources.operator import VIRTUAL_ADDRESS, VirtualAddressSpec
from dozen.machinery.resources.settings import NETWORK, NETWORK_SETTINGS, NetworkSettings
from dozen.node.configuration import parse
from dozen.node.controllers.network.matching import settings_by_link
from dozen.rpc.status import RpcError

if TYPE_CHECKING:
    from dozen.engine.publisher import Publisher
    from dozen.engine.store import Store
    from dozen.machinery.resource import Resource
    from dozen.machinery.resources.link import LinkStatusSpec
    from dozen.node.etcd.client import EtcdClient

KEY = "/dozen/virtual-address/"
# Seconds: for how long etcd keeps an address for a node that says nothing, how often that node says something, and how
# long before the end it gives the address up by itself.
LEASE, RENEWAL, MARGIN = 10, 3.0, 2.0
# How often a node without the address asks whether it is free.
PATIENCE = 2.0
RESIGN_TIMEOUT = 5.0

log = logging.getLogger("dozen.network")


def wanted_addresses(settings: NetworkSettings, links: tuple[Resource[LinkStatusSpec], ...]) -> dict[str, str]:
    """Virtual address → the link that it goes to."""
    found = {canonical_address(each.address): each.link for each in settings.virtual_addresses}
    for link, entry in settings_by_link(settings, links).items():
        if not entry.ignore:
            found.update((canonical_address(address), link) for address in entry.virtual_addresses)
    return found


class VirtualAddressWatcher:
    """NetworkSettings, LinkStatus, etcd → VirtualAddress, on control planes."""

    name = "network-virtual-addresses"
    outputs = (VIRTUAL_ADDRESS,)

    def __init__(self, store: Store) -> None:
        self._store = store
        self._campaigns: dict[tuple[str, str], asyncio.Task[None]] = {}
        self._resigned = asyncio.Event()

    async def run(self, publish: Publisher) -> None:
        changed = asyncio.Event()
        kinds = (NETWORK_SETTINGS, LINK_STATUS, config.MACHINE_CONFIG, network.HOSTNAME_STATUS)
        stops = [self._store.listen(kind, lambda _: changed.set()) for kind in kinds]
        try:
            while not self._resigned.is_set():
                changed.clear()
                await self._follow(self.wanted(), publish)
                await changed.wait()
        finally:
            for stop in stops:
                stop()
            await self._follow({}, publish)

    async def resign(self) -> None:
        """Give every address up, for the others to have at once: this machine ends."""
        self._resigned.set()
        tasks = list(self._campaigns.values())
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=RESIGN_TIMEOUT)

    def wanted(self) -> Mapping[str, str]:
        """Virtual address → link, as the configuration has it: on control planes only."""
        active = self._store.find(config.MACHINE_CONFIG, config.ACTIVE)
        settings = self._store.find(NETWORK_SETTINGS, NETWORK)
        name = self._store.find(network.HOSTNAME_STATUS, "hostname")
        if active is None or settings is None or name is None:
            return {}
        if parse(active.spec.text).machine_type != "controlplane":
            return {}
        return wanted_addresses(settings.spec, self._store.list(LINK_STATUS))

    async def _follow(self, wanted: Mapping[str, str], publish: Publisher) -> None:
        """A campaign for each address that there should be, and no other."""
        for key in [key for key in self._campaigns if wanted.get(key[0]) != key[1]]:
            task = self._campaigns.pop(key)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            publish.remove(VIRTUAL_ADDRESS, key[0])
        if self._resigned.is_set():
            return
        for address, link in wanted.items():
            if (address, link) not in self._campaigns:
                campaign = Campaign(self._store, publish, address, link)
                self._campaigns[address, link] = asyncio.create_task(campaign.run(), name=f"virtual address {address}")


class Campaign:
    """One address: waiting for it, having it, losing it."""

    def __init__(self, store: Store, publish: Publisher, address: str, link: str) -> None:
        self._store = store
        self._publish = publish
        self._address = address
        self._link = link
        self._said: tuple[bool, str] | None = None

    async def run(self) -> None:
        """Until cancelled. Whatever ends it, the address is off this node's link first and then free in etcd."""
        try:
            while True:
                with suppress(RpcError):
                    await self._stand()
                self._say(False)
                await asyncio.sleep(PATIENCE)
        finally:
            self._say(False)

    async def _stand(self) -> None:
        """Have the address for as long as that goes, if it is free."""
        client = self._client()
        holder = await client.get(KEY + self._address)
        if holder:
            self._say(False, holder)
            return
        name = self._store.get(network.HOSTNAME_STATUS, "hostname").spec.hostname
        granted = asyncio.get_running_loop().time()
        lease = await client.grant_lease(LEASE)
        try:
            won, holder = await client.create(KEY + self._address, name, lease)
            self._say(won, holder)
            if won:
                await self._hold(lease, granted)
        finally:
            self._say(False)
            with suppress(RpcError, TimeoutError):
                await asyncio.wait_for(self._client().revoke_lease(lease), MARGIN)

    async def _hold(self, lease: int, renewed: float) -> None:
        """Renew the lease until that fails for too long. ``renewed``: when it was certainly fresh."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(RENEWAL)
            asked = loop.time()
            left = renewed + LEASE - MARGIN - asked
            if left <= 0:
                return
            try:
                if await self._client().renew_lease(lease, timeout=min(left, RENEWAL)) <= 0:
                    return
                renewed = asked
            except RpcError as error:
                log.info("virtual address=%s its lease is not renewed: %s", self._address, error)

    def _client(self) -> EtcdClient:
        from dozen.node.etcd.local import etcd_clients

        return etcd_clients(self._store).local

    def _say(self, held: bool, holder: str = "") -> None:
        if self._said != (held, holder) and (held or holder or self._said is None or self._said[0]):
            self._said = (held, holder)
            log.info("virtual address=%s link=%s here=%s holder=%s", self._address, self._link, held, holder or "-")
            spec = VirtualAddressSpec(link_name=self._link, held=held, holder=holder)
            self._publish.put(VIRTUAL_ADDRESS, self._address, spec)
