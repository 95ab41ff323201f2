"""How the node is put together: which controller reads and writes which kind of resource, as its engine has it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dozen.engine.runtime import EdgeType, Graph
from dozen.machinery.messages import message
from dozen.rpc.router import Router

if TYPE_CHECKING:
    from dozen.node.api.ports import Machine

# Wire values of inspect.DependencyEdgeType. A read that holds up the removal of what it reads is a strong one.
_EDGE_TYPES = {
    EdgeType.EXCLUSIVE_OUTPUT: 0,
    EdgeType.FINALIZED_INPUT: 1,
    EdgeType.INPUT: 2,
    EdgeType.SHARED_OUTPUT: 3,
}


def register(router: Router, machine: Machine) -> None:
    """Serve the calls of this theme."""

    async def dependencies(call: object, request: Any) -> Any:
        return message("inspect.ControllerRuntimeDependenciesResponse")(
            messages=[{"edges": describe_edges(machine.runtime.graph())}]
        )

    path = "/inspect.InspectService/ControllerRuntimeDependencies"
    router.unary(path, "google.protobuf.Empty", dependencies)


def describe_edges(graph: Graph) -> list[dict[str, Any]]:
    """The graph in the words of the API."""
    return [
        {
            "controller_name": edge.name,
            "edge_type": _EDGE_TYPES[edge.type],
            "resource_namespace": edge.kind.namespace,
            "resource_type": edge.kind.name,
            "resource_id": edge.id,
        }
        for edge in graph.edges
    ]
