"""What the checks look at: every node through its machine API, and the cluster through Kubernetes'."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any, NamedTuple, Protocol

from dozen.machinery import yaml
from dozen.machinery.kubernetes.objects import Object

RESOURCES = "cosi.resource.State/"


class Unmet(Exception):
    """A check does not hold yet; the message says what is missing."""


class Absent(Unmet):
    """The node answers that there is no such thing."""


class Node(NamedTuple):
    """A node by its address; ``local`` is the one that asks."""

    address: str
    control_plane: bool
    local: bool = False


class View(Protocol):
    """Who can be asked. ``method`` is ``package.Service/Method``; everything raises Unmet when it fails."""

    async def nodes(self) -> list[Node]:
        """All nodes that are known now."""
        ...

    async def control_planes(self) -> list[Node]:
        """Those of them that lead."""
        ...

    async def runs_kubelet(self, node: Node) -> bool:
        """Whether the node is meant to run a kubelet."""
        ...

    async def ask(self, node: Node, method: str, **fields: Any) -> Any:
        """The answer to a unary call of a node's API. Raises Absent for what is not there."""
        ...

    def listen(self, node: Node, method: str, **fields: Any) -> AsyncIterator[Any]:
        """The answers to a call that streams."""
        ...

    async def list(self, api_version: str, kind: str, namespace: str = "") -> list[Object]:
        """Kubernetes' objects of a kind."""
        ...

    async def find(self, api_version: str, kind: str, name: str, namespace: str = "") -> Object | None:
        """One of Kubernetes' objects, or None."""
        ...


async def listed(view: View, node: Node, type: str, namespace: str) -> list[tuple[str, Any]]:
    """(id, spec as plain data) of a node's resources of a type. Raises Unmet."""
    replies = view.listen(node, RESOURCES + "List", namespace=namespace, type=type)
    return [(reply.resource.metadata.id, read_spec(reply.resource)) async for reply in replies]


async def diagnosed(view: View, node: Node) -> list[str]:
    """What a node itself says is wrong with it, a sentence each. Raises Unmet."""
    found = await listed(view, node, "Diagnostics.runtime.talos.dev", "runtime")
    return [str((spec or {}).get("message", id)) for id, spec in found]


async def told_first(view: View, node: Node, type: str, namespace: str, id: str) -> Any:
    """The spec with which a watch of one resource begins. Raises Unmet, also when there is none."""
    replies = view.listen(node, RESOURCES + "Watch", namespace=namespace, type=type, id=id, api_version=1)
    async with aclosing(replies) as answers:  # type: ignore[type-var]
        async for reply in answers:
            for event in reply.event:
                if event.resource.spec.yaml_spec:
                    return read_spec(event.resource)
                raise Unmet(f"{node.address} has no {type.partition('.')[0]} {id}")
    raise Unmet(f"{node.address} ended the watch of {type.partition('.')[0]}")


def unmet(node: Node, method: str, code: str, message: str) -> Unmet:
    """What it means for a check that a call failed with a code and a message of gRPC."""
    if code == "NOT_FOUND":
        return Absent(f"{node.address}: {message}")
    if code == "UNIMPLEMENTED":
        return Unmet(f"{node.address} does not know {method}")
    return Unmet(f"{node.address}: {message or code.lower()}")


def read_spec(resource: Any) -> Any:
    """The spec of a resource as it travels, as plain data."""
    return yaml.load(resource.spec.yaml_spec)


def internal_addresses(node: Object) -> list[str]:
    """The addresses by which a Node's machine is reached within the cluster."""
    said = (node.get("status") or {}).get("addresses") or ()
    return [each["address"] for each in said if each.get("type") == "InternalIP"]
