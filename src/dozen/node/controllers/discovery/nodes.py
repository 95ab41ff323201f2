"""The cluster's Nodes, as Kubernetes lists them: what a control plane knows of the others."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from dozen.machinery.config.kubernetes_node import CONTROL_PLANE_ROLE
from dozen.machinery.plan import Shared
from dozen.machinery.resources import cluster, config
from dozen.machinery.resources.kubernetes import NODENAME
from dozen.node.configuration import parse
from dozen.node.controllers.discovery.members import wants_members
from dozen.node.kubernetes.api import KubernetesApi, retrying

if TYPE_CHECKING:
    from dozen.engine.publisher import Publisher
    from dozen.engine.store import Store
    from dozen.machinery.kubernetes.objects import Object

SOURCE = "k8s/"
API_PORT = 6443


class NodesWatcher:
    """Nodes of Kubernetes → Affiliate, but for this node's own. A worker may not list them and does not try."""

    name = "discovery-kubernetes"
    outputs = (Shared(cluster.AFFILIATE),)

    def __init__(self, api: KubernetesApi, store: Store) -> None:
        self._api = api
        self._store = store

    async def run(self, publish: Publisher) -> None:
        # The first configuration may come late, and may be changed until it asks for this.
        await self._store.wait_for(config.MACHINE_CONFIG, config.ACTIVE, lambda active: _asks(active.spec.text))
        own = (await self._store.wait_for(NODENAME, "nodename", lambda it: bool(it.spec.nodename))).spec.nodename
        with retrying():
            async with await self._api.connect() as client:
                async for nodes in client.follow("v1", "Node"):
                    publish.replace(cluster.AFFILIATE, affiliates(nodes, own))


def _asks(text: str) -> bool:
    """Whether a configuration is a control plane's that wants to know the other members."""
    given = parse(text)
    return given.machine_type == "controlplane" and wants_members(given)


def affiliates(nodes: Mapping[str, Object], own: str) -> dict[str, cluster.AffiliateSpec]:
    """The other nodes, by the source's name for them."""
    return {SOURCE + name: describe(name, node) for name, node in nodes.items() if name != own}


def describe(name: str, node: Object) -> cluster.AffiliateSpec:
    """A Node as an affiliate. Without an address it is of no use, and becomes no member."""
    status = node.get("status") or {}
    addresses = status.get("addresses") or ()
    info = status.get("nodeInfo") or {}
    leader = CONTROL_PLANE_ROLE in (node["metadata"].get("labels") or {})
    return cluster.AffiliateSpec(
        node_id=str(info.get("machineID", "")),
        addresses=tuple(str(each["address"]) for each in addresses if each.get("type") == "InternalIP"),
        hostname=next((str(each["address"]) for each in addresses if each.get("type") == "Hostname"), name),
        nodename=name,
        operating_system=str(info.get("osImage", "")),
        machine_type="controlplane" if leader else "worker",
        control_plane=cluster.ControlPlane(port=API_PORT) if leader else None,
    )
