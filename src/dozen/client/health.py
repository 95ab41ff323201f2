"""What the checks of a cluster's health look at, seen from this computer.

Every node is asked through the one that the person named, with the person's rights. Nodes are those that the person
names; else the members that the asked node knows; else that node alone.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any, TypeVar

from dozen.client import machine
from dozen.client.errors import NodeError
from dozen.client.kubernetes import Kubernetes, KubernetesError, open_kubernetes
from dozen.client.state import CONFIG, config_text
from dozen.machinery.config import load
from dozen.machinery.health.view import RESOURCES, Absent, Node, Unmet, listed, read_spec, unmet
from dozen.machinery.kubernetes.objects import Object
from dozen.machinery.messages import method_types
from dozen.rpc.status import Code, RpcError

CALL_SECONDS = 10.0
CONTROL_PLANE = "controlplane"
# Answers that waiting does not change: the person has to do something first.
FINAL = (Code.UNAUTHENTICATED, Code.PERMISSION_DENIED)

ResultT = TypeVar("ResultT")


class ClusterView:
    """The nodes and the cluster, for one run of the checks."""

    def __init__(
        self, asked: machine.Node, control_plane: Sequence[str] = (), workers: Sequence[str] = (), endpoint: str = ""
    ) -> None:
        self._asked = asked
        self._known = [Node(each, True) for each in control_plane] + [Node(each, False) for each in workers]
        self._endpoint = endpoint
        self._kubernetes: Kubernetes | None = None

    # -- Nodes.

    async def nodes(self) -> list[Node]:
        """Those that were found first: they are the ones that the person was told of."""
        self._known = self._known or await self._members()
        return self._known or [self._itself()]

    def _itself(self) -> Node:
        return Node(self._asked.label, True)

    async def _members(self) -> list[Node]:
        try:
            members = [spec for _, spec in await listed(self, self._itself(), "Members.cluster.talos.dev", "cluster")]
        except Unmet:
            return []  # the checks will say why
        return [
            Node(spec["addresses"][0], spec.get("machineType") == CONTROL_PLANE)
            for spec in members
            if spec.get("addresses")
        ]

    async def control_planes(self) -> list[Node]:
        """Asked before etcd is: a node that was named as one may be none."""
        found = [node for node in await self.nodes() if node.control_plane]
        for node in found:
            config = load(config_text(await self._get(node, *CONFIG)), f"configuration of {node.address}")
            if config.machine_type != CONTROL_PLANE:
                raise Unmet(f"{node.address} is no control plane: its configuration is a {config.machine_type}'s")
        return found

    async def runs_kubelet(self, node: Node) -> bool:
        try:
            await self._get(node, "KubeletConfigs.kubernetes.talos.dev", "k8s", "kubelet")
        except Absent:
            return False
        return True

    async def _get(self, node: Node, type: str, namespace: str, id: str) -> Any:
        """The spec of a resource. Raises Absent."""
        reply = await self.ask(node, RESOURCES + "Get", namespace=namespace, type=type, id=id)
        return read_spec(reply.resource)

    async def ask(self, node: Node, method: str, **fields: Any) -> Any:
        request = method_types(f"/{method}").request(**fields)
        try:
            return await self._asked.connection.unary(
                f"/{method}", request, node=self._name(node), timeout=CALL_SECONDS
            )
        except RpcError as error:
            raise _failure(node, method, error) from None

    async def listen(self, node: Node, method: str, **fields: Any) -> AsyncIterator[Any]:
        request = method_types(f"/{method}").request(**fields)
        answers = self._asked.connection.stream(f"/{method}", request, node=self._name(node), timeout=CALL_SECONDS)
        try:
            async for reply in answers:
                yield reply
        except RpcError as error:
            raise _failure(node, method, error) from None

    def _name(self, node: Node) -> str:
        """What the proxy is told; the endpoint itself needs no telling."""
        return self._asked.name if node.address == self._asked.label else node.address

    # -- Kubernetes.

    async def list(self, api_version: str, kind: str, namespace: str = "") -> list[Object]:
        return await self._call(Kubernetes.items, _path(api_version, kind, namespace))

    async def find(self, api_version: str, kind: str, name: str, namespace: str = "") -> Object | None:
        return await self._call(_find, f"{_path(api_version, kind, namespace)}/{name}")

    async def _call(self, ask: Callable[[Kubernetes, str], ResultT], path: str) -> ResultT:
        """What ``ask`` gets from the cluster's API as its administrator. Raises Unmet."""
        try:
            if self._kubernetes is None:
                self._kubernetes = open_kubernetes(await self._asked.kubeconfig(), self._endpoint)
            return await asyncio.to_thread(ask, self._kubernetes, path)
        except (KubernetesError, NodeError) as error:
            raise Unmet(str(error)) from None
        except RpcError as error:
            raise _failure(self._itself(), "machine.MachineService/Kubeconfig", error) from None


def _failure(node: Node, method: str, error: RpcError) -> Exception:
    return error if error.code in FINAL else unmet(node, method, error.code.name, error.message)


def _path(api_version: str, kind: str, namespace: str) -> str:
    """Of a kind's list; the kinds that health asks for have plurals without surprises."""
    root = f"/apis/{api_version}" if "/" in api_version else f"/api/{api_version}"
    place = f"/namespaces/{namespace}" if namespace else ""
    return f"{root}{place}/{kind.lower()}s"


def _find(kubernetes: Kubernetes, path: str) -> Object | None:
    try:
        return dict(kubernetes.get(path))
    except KubernetesError as error:
        if error.status == 404:
            return None
        raise
