"""Pods as the runtime knows them: ending them in order when the machine ends.

kubelet could do this itself, if there were a logind to tell it of the end; here machined does, once kubelet has been
stopped, which would start them again. As kubelet would, it goes by priority: what is ordinary ends before what the
cluster needs, and that before what the node needs; static pods, the API server among them, end last. A pod gets the
time that it asks for, as far as there is that much.

The runtime knows no priorities. They are asked of the API server beforehand; without an answer, where a pod comes from
says enough.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Mapping
from contextlib import suppress
from itertools import groupby
from typing import TYPE_CHECKING, Any, NamedTuple

from dozen.machinery.messages import enum, method_types
from dozen.node.containers import method_path
from dozen.rpc.status import RpcError

if TYPE_CHECKING:
    from dozen.node.containers import Containerd

# Priorities of Kubernetes' own classes (pkg/apis/scheduling, system-cluster-critical and system-node-critical).
CLUSTER_CRITICAL = 2_000_000_000
NODE_CRITICAL = CLUSTER_CRITICAL + 1000
SYSTEM_NAMESPACE = "kube-system"
# What kubelet notes about a pod.
SOURCE = "kubernetes.io/config.source"
GRACE = "io.kubernetes.pod.terminationGracePeriod"
DEFAULT_GRACE = 30.0
# However little time is left, everybody gets this much, seconds; kubelet does the same.
LEAST_GRACE = 2.0
# How much longer than the grace period the runtime may take, which is slow on an emulated machine, seconds.
PATIENCE = 20.0

log = logging.getLogger("dozen.pods")


class Pod(NamedTuple):
    """A pod that runs: its sandbox, ``namespace/name``, its running containers. ``grace`` is in seconds."""

    id: str
    name: str
    priority: int
    static: bool
    grace: float
    containers: tuple[str, ...]


class Budget(NamedTuple):
    """For how long ordinary pods, and then critical ones, may take to end, seconds."""

    ordinary: float
    critical: float


def read_pods(sandboxes: Iterable[Any], containers: Iterable[Any], priorities: Mapping[str, int]) -> list[Pod]:
    """Pods from what the runtime lists (PodSandbox, Container); ``priorities`` by ``namespace/name``."""
    running: dict[str, list[Any]] = {}
    for container in containers:
        if container.state == enum("runtime.v1.ContainerState").CONTAINER_RUNNING:
            running.setdefault(container.pod_sandbox_id, []).append(container)
    pods = []
    for sandbox in sandboxes:
        inside = running.get(sandbox.id, [])
        if not inside and sandbox.state != enum("runtime.v1.PodSandboxState").SANDBOX_READY:
            continue
        name = f"{sandbox.metadata.namespace}/{sandbox.metadata.name}"
        static = sandbox.annotations.get(SOURCE, "api") != "api"
        priority = priorities.get(name, _guess_priority(sandbox.metadata.namespace, static))
        grace = max((_read_grace(each.annotations) for each in inside), default=0.0)
        pods.append(Pod(sandbox.id, name, priority, static, grace, tuple(each.id for each in inside)))
    return pods


def _guess_priority(namespace: str, static: bool) -> int:
    if static:
        return NODE_CRITICAL
    return CLUSTER_CRITICAL if namespace == SYSTEM_NAMESPACE else 0


def _read_grace(annotations: Mapping[str, str]) -> float:
    try:
        return max(0.0, float(annotations.get(GRACE, DEFAULT_GRACE)))
    except ValueError:
        return DEFAULT_GRACE


def plan_waves(pods: Iterable[Pod]) -> list[list[Pod]]:
    """Who ends together, first ones first."""

    def rank(pod: Pod) -> tuple[bool, int]:
        return pod.static, pod.priority

    return [sorted(wave) for _, wave in groupby(sorted(pods, key=rank), rank)]


async def stop_pods(node: Containerd, priorities: Mapping[str, int], budget: Budget) -> None:
    """End every pod, wave after wave. What does not end in time is left to who ends containers after this."""
    sandboxes = (await node.ask("cri", "ListPodSandbox")).items
    containers = (await node.ask("cri", "ListContainers")).containers
    clock = asyncio.get_running_loop().time
    deadlines: dict[bool, float] = {}
    for wave in plan_waves(read_pods(sandboxes, containers, priorities)):
        critical = wave[0].static or wave[0].priority >= CLUSTER_CRITICAL
        deadline = deadlines.setdefault(critical, clock() + (budget.critical if critical else budget.ordinary))
        left = max(LEAST_GRACE, deadline - clock())
        log.info("pods=%s seconds=%.0f ending", ",".join(pod.name for pod in wave), left)
        ending = [asyncio.ensure_future(_stop_pod(node, pod, min(pod.grace, left))) for pod in wave]
        _, late = await asyncio.wait(ending, timeout=left + PATIENCE)
        for task in late:
            task.cancel()
        if late:
            log.warning("%d of %d pods did not end in time", len(late), len(wave))


async def _stop_pod(node: Containerd, pod: Pod, grace: float) -> None:
    path = method_path("cri", "StopContainer")
    types = method_types(path)

    async def stop(container: str) -> None:
        # Not by `ask`: the request has a field that is called as its own argument.
        request = types.request(container_id=container, timeout=int(grace))
        with suppress(RpcError):
            await node.channel.unary(path, request, types.response, node.metadata, grace + PATIENCE)

    await asyncio.gather(*(stop(container) for container in pod.containers))
    try:
        await node.ask("cri", "StopPodSandbox", pod_sandbox_id=pod.id)
    except RpcError as error:
        log.warning("pod=%s its network is left as it is: %s", pod.name, error.message)
