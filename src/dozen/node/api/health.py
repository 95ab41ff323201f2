"""HealthCheck: is the cluster well, as seen from this control plane node.

A worker knows too little of the cluster to judge it. It refuses, but not before it has said what is wrong with itself:
one that cannot join is asked for that, and no control plane knows of it yet.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

from dozen.machinery.messages import message
from dozen.machinery.resources import config as kinds
from dozen.machinery.resources.runtime import DIAGNOSTIC
from dozen.node.configuration import parse
from dozen.rpc.router import Router
from dozen.rpc.status import Code, RpcError

if TYPE_CHECKING:
    from dozen.node.api.ports import Machine

# What a client that names no time would wait, seconds.
DEFAULT_TIMEOUT = 300.0
REFUSAL = "health is asked of control plane nodes: others know too little of the cluster"


def register(router: Router, machine: Machine) -> None:
    """Serve the calls of this theme."""

    async def health_check(call: object, request: Any) -> AsyncIterator[Any]:
        from dozen.machinery.health.checks import CHECKS
        from dozen.machinery.health.run import Unhealthy, run_checks
        from dozen.node.health import ClusterView

        progress = message("cluster.HealthCheckProgress")
        active = machine.store.find(kinds.MACHINE_CONFIG, kinds.ACTIVE)
        if active is None or parse(active.spec.text).machine_type != "controlplane":
            problems = [each.spec.message for each in machine.store.list(DIAGNOSTIC)]
            for problem in problems:
                yield progress(message=f"this node reports: {problem}")
            raise RpcError(Code.UNIMPLEMENTED, "; ".join([REFUSAL, *problems]))
        wait = request.wait_timeout
        timeout = wait.seconds + wait.nanos / 1e9 or DEFAULT_TIMEOUT
        info = request.cluster_info
        view = ClusterView(machine.store, info.control_plane_nodes, info.worker_nodes, info.force_endpoint)
        try:
            async for line in run_checks(view, CHECKS, timeout):
                yield progress(message=line)
        except Unhealthy as error:
            raise RpcError(Code.DEADLINE_EXCEEDED, str(error)) from None
        finally:
            await view.close()

    router.stream("/cluster.ClusterService/HealthCheck", "cluster.HealthCheckRequest", health_check)
