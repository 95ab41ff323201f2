"""Where other members of etcd may be: what a node that wants to join looks at, in this order.

1. The members of the cluster that discovery has found (`dozen.node.discovery`).
2. The host of the cluster's endpoint: with one control plane, or a virtual address, a member is right there.
3. Kubernetes at that endpoint: behind a load balancer, where only the API's port leads to a control plane, its
   Service ``kubernetes`` lists the addresses of all of them.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from dozen.machinery.addresses import address_of
from dozen.machinery.config.scalars import address_bytes, host_of
from dozen.machinery.resources import cluster, config
from dozen.node.configuration import parse

if TYPE_CHECKING:
    from dozen.engine.store import Store
    from dozen.node.etcd.joining import FindPeers

RESOLVE_TIMEOUT = 5.0


def peers_of(store: Store) -> FindPeers:
    """The function that finds peers for the node with this store."""

    async def find() -> list[str]:
        active = store.find(config.MACHINE_CONFIG, config.ACTIVE)
        if active is None:
            return []
        from dozen.machinery.config import effective
        from dozen.node.etcd.endpoints import control_plane_addresses

        given = parse(active.spec.text)
        found = discovered(store)
        found += await resolve(host_of(effective.cluster_endpoint(given)))
        found += await control_plane_addresses(store)
        return list(dict.fromkeys(found))

    return find


def discovered(store: Store) -> list[str]:
    """Addresses of the cluster's other control planes."""
    own = store.find(cluster.IDENTITY, "local")
    return [
        address_of(address)
        for member in store.list(cluster.MEMBER)
        if member.spec.control_plane is not None and (own is None or member.spec.node_id != own.spec.node_id)
        for address in member.spec.addresses
    ]


async def resolve(host: str) -> list[str]:
    """The addresses of a host; none when it cannot be resolved now."""
    if not host:
        return []
    if address_bytes(host) is not None:
        return [host]
    loop = asyncio.get_running_loop()
    try:
        found = await asyncio.wait_for(loop.getaddrinfo(host, 0, type=1), RESOLVE_TIMEOUT)
    except (OSError, TimeoutError):
        return []
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))
