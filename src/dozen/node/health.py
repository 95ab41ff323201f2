"""What the checks of a cluster's health look at, seen from one of its control plane nodes.

Nodes are those that the caller names; else the members that discovery knows; else those that Kubernetes knows, and in
the beginning this node alone. A control plane holds the key of the machine authority, so it makes itself an identity
that may read from the others and nothing else.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Sequence
from typing import TYPE_CHECKING, Any

from dozen.machinery.addresses import address_of
from dozen.machinery.health.view import Node, Unmet, internal_addresses, unmet
from dozen.machinery.kubernetes.objects import Object
from dozen.machinery.messages import method_types
from dozen.machinery.resources import cluster, controlplane, network
from dozen.machinery.resources import config as config_kinds
from dozen.node.configuration import parse
from dozen.node.kubernetes.api import KubernetesApi
from dozen.node.kubernetes.client import Client
from dozen.node.kubernetes.errors import KubernetesError
from dozen.rpc.client import Channel
from dozen.rpc.status import RpcError

if TYPE_CHECKING:
    from dozen.engine.store import Store

MACHINE_SOCKET = "unix:/system/run/machined/machine.sock"
APID_PORT = 50000
CALL_SECONDS = 10.0
# An identity that is made for one run of the checks, seconds.
IDENTITY_LIFETIME = 3600
CONTROL_PLANE_LABEL = "node-role.kubernetes.io/control-plane"


class ClusterView:
    """The nodes and the cluster, for one run of the checks. Close it when done."""

    def __init__(
        self, store: Store, control_plane: Sequence[str] = (), workers: Sequence[str] = (), endpoint: str = ""
    ) -> None:
        self._store = store
        self._named = [(each, True) for each in control_plane] + [(each, False) for each in workers]
        self._endpoint = endpoint
        self._api = KubernetesApi(store, logging.getLogger("dozen.health"))
        self._channels: dict[str, Channel] = {}
        self._client: Client | None = None

    async def close(self) -> None:
        if self._client is not None:
            self._client.close()
        for channel in self._channels.values():
            await channel.close()

    # -- Nodes.

    async def nodes(self) -> list[Node]:
        own = self._own_addresses()
        found = self._named or self._members() or await self._kubernetes_addresses()
        if not found:
            return [Node(own[0] if own else "127.0.0.1", True, local=True)]
        return [Node(address, control_plane, address in own) for address, control_plane in found]

    async def control_planes(self) -> list[Node]:
        return [node for node in await self.nodes() if node.control_plane]

    def _own_addresses(self) -> list[str]:
        found = [each for each in self._store.list(network.NODE_ADDRESS) if each.id in ("current", "accumulative")]
        return [address_of(prefix) for each in found for prefix in each.spec.addresses]

    def _members(self) -> list[tuple[str, bool]]:
        specs = [each.spec for each in self._store.list(cluster.MEMBER)]
        return [(spec.addresses[0], spec.machine_type == "controlplane") for spec in specs if spec.addresses]

    async def _kubernetes_addresses(self) -> list[tuple[str, bool]]:
        try:
            nodes = await (await self.kubernetes()).list("v1", "Node")
        except (KubernetesError, Unmet):
            return []
        addresses = [(internal_addresses(node), node["metadata"].get("labels") or {}) for node in nodes]
        return [(found[0], CONTROL_PLANE_LABEL in labels) for found, labels in addresses if found]

    async def runs_kubelet(self, node: Node) -> bool:
        """Configurations of other nodes are secrets that this identity may not read."""
        return not node.local or self._store.find(controlplane.KUBELET_CONFIG, "kubelet") is not None

    async def ask(self, node: Node, method: str, **fields: Any) -> Any:
        types = method_types(f"/{method}")
        request = types.request(**fields)
        try:
            return await self._channel(node).unary(f"/{method}", request, types.response, timeout=CALL_SECONDS)
        except RpcError as error:
            raise unmet(node, method, error.code.name, error.message) from None

    async def listen(self, node: Node, method: str, **fields: Any) -> AsyncIterator[Any]:
        types = method_types(f"/{method}")
        request = types.request(**fields)
        try:
            channel = self._channel(node)
            async for reply in channel.server_stream(f"/{method}", request, types.response, (), CALL_SECONDS):
                yield reply
        except RpcError as error:
            raise unmet(node, method, error.code.name, error.message) from None

    def _channel(self, node: Node) -> Channel:
        channel = self._channels.get(node.address)
        if channel is None:
            if node.local:
                channel = Channel(MACHINE_SOCKET)
            else:
                host = f"[{node.address}]" if ":" in node.address else node.address
                channel = Channel(f"{host}:{APID_PORT}", tls=self._identity(), connect_timeout=CALL_SECONDS)
            self._channels[node.address] = channel
        return channel

    def _identity(self) -> Any:
        """A TLS context that may read from other nodes. Raises Unmet without the authority's key."""
        from dozen.machinery import pki
        from dozen.machinery.config import effective
        from dozen.machinery.roles import Role
        from dozen.rpc.tls import client_context

        active = self._store.find(config_kinds.MACHINE_CONFIG, config_kinds.ACTIVE)
        config = parse(active.spec.text) if active is not None else None
        ca = effective.issuing_ca(config) if config is not None else None
        if config is None or ca is None:
            raise Unmet("this node cannot ask others: it is not a control plane")
        own = pki.client_certificate(ca, [Role.READER], IDENTITY_LIFETIME)
        trusted = "".join(effective.accepted_cas(config))
        return client_context(trusted.encode(), own.crt.encode(), own.key.encode())

    # -- Kubernetes.

    async def kubernetes(self) -> Client:
        """A client of the cluster's API. Raises Unmet while that does not answer."""
        if self._client is None:
            client = await self._api.try_connect()
            if client is None:
                raise Unmet(self._api.last_error)
            self._client = client if not self._endpoint else self._elsewhere(client)
        return self._client

    def _elsewhere(self, client: Client) -> Client:
        """The same identity at the endpoint that the caller wants to be used."""
        import msgspec

        from dozen.machinery.kubeconfig import KubeconfigError, split_server

        endpoint = self._endpoint if "://" in self._endpoint else f"https://{self._endpoint}"
        try:
            host, port = split_server(endpoint)
        except KubeconfigError as error:
            raise Unmet(str(error)) from None
        return self._api.open(msgspec.structs.replace(client.access, host=host, port=port, server_name=""))

    async def list(self, api_version: str, kind: str, namespace: str = "") -> list[Object]:
        try:
            return await (await self.kubernetes()).list(api_version, kind, namespace)
        except KubernetesError as error:
            raise Unmet(str(error)) from None

    async def find(self, api_version: str, kind: str, name: str, namespace: str = "") -> Object | None:
        try:
            return await (await self.kubernetes()).find(api_version, kind, name, namespace)
        except KubernetesError as error:
            raise Unmet(str(error)) from None
