"""The checks, in the order in which a cluster comes to life: machines, etcd, kubelets, Kubernetes, what runs on it.

Each raises `Unmet` with what is missing, `Skipped` when the cluster is meant to do without, and returns when it holds.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import NamedTuple, Protocol
from urllib.parse import urlsplit

from dozen.machinery.health.view import Node, Unmet, View, diagnosed, internal_addresses, listed, told_first
from dozen.machinery.kubernetes.objects import Object, condition, is_true

SYSTEM = "kube-system"
CONTROL_PLANE_PODS = ("kube-apiserver", "kube-controller-manager", "kube-scheduler")
MIB = 1 << 20
# A machine of 2 GiB runs a control plane, one of 1 GiB a worker; the kernel keeps some of it for itself.
CONTROL_PLANE_MEMORY, WORKER_MEMORY = 1800 * MIB, 900 * MIB
# Half of what machines of `dozenctl cluster create` have, on which the conformance tests run.
SMALLEST_DISK = 4096 * MIB


class Skipped(Exception):
    """The cluster has no such thing, and is not meant to; the message says so."""


class Check(NamedTuple):
    """``name`` completes "waiting for …"."""

    name: str
    ask: Callable[[View], Awaitable[None]]


class _Health(Protocol):
    @property
    def healthy(self) -> bool: ...
    @property
    def unknown(self) -> bool: ...
    @property
    def last_message(self) -> str: ...


async def _on_each(nodes: list[Node], ask: Callable[[Node], Awaitable[None]]) -> None:
    """Ask all nodes at once; raises Unmet with what each of them lacks."""
    outcomes = await asyncio.gather(*(ask(node) for node in nodes), return_exceptions=True)
    for outcome in outcomes:
        if isinstance(outcome, BaseException) and not isinstance(outcome, Unmet):
            raise outcome
    missing = [str(outcome) for outcome in outcomes if isinstance(outcome, Unmet)]
    if missing:
        raise Unmet("; ".join(missing))


async def _service_is_well(view: View, node: Node, id: str) -> None:
    reply = await view.ask(node, "machine.MachineService/ServiceList")
    service = next((each for each in reply.messages[0].services if each.id == id), None)
    if service is None:
        raise Unmet(f"{node.address}: there is no service {id}")
    if service.state != "Running":
        last = service.events.events[-1].msg if service.events.events else ""
        raise Unmet(f"{node.address}: {id} is {service.state.lower()}{f' ({last})' if last else ''}")
    health: _Health = service.health
    if not health.healthy and not health.unknown:
        raise Unmet(f"{node.address}: {id} is not healthy: {health.last_message}")


async def apid_answers(view: View) -> None:
    async def ask(node: Node) -> None:
        await view.ask(node, "machine.MachineService/Version")

    await _on_each(await view.nodes(), ask)


async def nothing_is_diagnosed(view: View) -> None:
    async def ask(node: Node) -> None:
        if found := await diagnosed(view, node):
            raise Unmet(f"{node.address}: {'; '.join(found)}")

    await _on_each(await view.nodes(), ask)


async def memory_is_enough(view: View) -> None:
    async def ask(node: Node) -> None:
        reply = await view.ask(node, "machine.MachineService/Memory")
        there = reply.messages[0].meminfo.memtotal << 10
        least = CONTROL_PLANE_MEMORY if node.control_plane else WORKER_MEMORY
        if there < least:
            raise Unmet(f"{node.address} has {there // MIB} MiB of memory; {least // MIB} are needed")

    await _on_each(await view.nodes(), ask)


async def disks_are_enough(view: View) -> None:
    """The largest disk that can be written to is the one that pods and images get, or could get."""

    async def ask(node: Node) -> None:
        disks = [spec for _, spec in await listed(view, node, "Disks.block.talos.dev", "runtime")]
        there = max((disk.get("size", 0) for disk in disks if not disk.get("readonly")), default=0)
        if there < SMALLEST_DISK:
            raise Unmet(f"the largest disk of {node.address} has {there // MIB} MiB; {SMALLEST_DISK // MIB} are needed")

    await _on_each(await view.nodes(), ask)


async def etcd_is_well(view: View) -> None:
    await _on_each(await view.control_planes(), lambda node: _service_is_well(view, node, "etcd"))


async def etcd_members_agree(view: View) -> None:
    """Every control plane node sees the same members, and they are the control plane nodes."""
    seen = {}
    control_planes = await view.control_planes()
    for node in control_planes:
        reply = await view.ask(node, "machine.MachineService/EtcdMemberList")
        seen[node.address] = {each.id: each for each in reply.messages[0].members}
    if not seen:
        raise Unmet("no control plane node is known")
    first, *others = seen.items()
    for address, members in others:
        if set(members).isdisjoint(first[1]):
            raise Unmet(
                f"{first[0]} and {address} have no member in common: each was told to bootstrap a cluster of its own, "
                "which is to be said to one node only; reset the other, and it joins"
            )
        if set(members) != set(first[1]):
            raise Unmet(f"{first[0]} and {address} see different members")
    learners = [each.hostname for each in first[1].values() if each.is_learner]
    if learners:
        raise Unmet(f"still learning: {', '.join(learners)}")
    hosts = {urlsplit(url).hostname or "" for each in first[1].values() for url in each.peer_urls}
    missing = [node.address for node in control_planes if node.address not in hosts]
    if len(first[1]) != len(control_planes) or (missing and len(control_planes) > 1):
        raise Unmet(f"{len(first[1])} members for {len(control_planes)} control plane nodes")


async def kubelets_are_well(view: View) -> None:
    async def ask(node: Node) -> None:
        if await view.runs_kubelet(node):
            await _service_is_well(view, node, "kubelet")

    await _on_each(await view.nodes(), ask)


async def boots_are_over(view: View) -> None:
    async def ask(node: Node) -> None:
        status = await told_first(view, node, "MachineStatuses.runtime.talos.dev", "runtime", "machine")
        if status["stage"] != "running":
            raise Unmet(f"{node.address} is {status['stage']}")

    await _on_each(await view.nodes(), ask)


async def nodes_have_registered(view: View) -> None:
    there = {address for node in await view.list("v1", "Node") for address in internal_addresses(node)}
    missing = [node.address for node in await view.nodes() if node.address not in there]
    if missing:
        raise Unmet(f"Kubernetes does not know {', '.join(missing)}")


async def static_pods_run(view: View) -> None:
    """The control plane's programs run and are ready on every control plane node."""
    control_planes = {node.address for node in await view.nodes() if node.control_plane}
    nodes = {node["metadata"]["name"]: node for node in await view.list("v1", "Node")}
    pods = {pod["metadata"]["name"]: pod for pod in await view.list("v1", "Pod", SYSTEM)}
    problems = []
    for name, node in nodes.items():
        if control_planes.isdisjoint(internal_addresses(node)):
            continue
        for program in CONTROL_PLANE_PODS:
            problem = _pod_problem(pods.get(f"{program}-{name}"))
            if problem:
                problems.append(f"{program} on {name} {problem}")
    if problems:
        raise Unmet("; ".join(problems))


def _pod_problem(pod: Object | None) -> str:
    if pod is None:
        return "is not there yet"
    phase = (pod.get("status") or {}).get("phase", "unknown")
    if phase != "Running":
        return f"is {str(phase).lower()}"
    return "" if is_true(pod, "Ready") else "is not ready"


async def nodes_are_ready(view: View) -> None:
    problems = []
    for node in await view.list("v1", "Node"):
        if not is_true(node, "Ready"):
            said = condition(node, "Ready") or {}
            problems.append(f"{node['metadata']['name']} is not ready: {said.get('message') or 'no word from it yet'}")
    if problems:
        raise Unmet("; ".join(problems))


async def kube_proxy_is_ready(view: View) -> None:
    found = await view.find("apps/v1", "DaemonSet", "kube-proxy", SYSTEM)
    if found is None:
        raise Skipped("there is no kube-proxy")
    status = found.get("status") or {}
    _compare("kube-proxy", status.get("numberReady", 0), status.get("desiredNumberScheduled", 0))


async def core_dns_is_ready(view: View) -> None:
    found = await view.find("apps/v1", "Deployment", "coredns", SYSTEM)
    if found is None:
        raise Skipped("there is no CoreDNS")
    _compare("CoreDNS", (found.get("status") or {}).get("readyReplicas", 0), found["spec"].get("replicas", 1))


def _compare(what: str, ready: int, wanted: int) -> None:
    if ready < wanted or not wanted:
        raise Unmet(f"{ready} of {wanted} pods of {what} are ready")


async def nodes_take_pods(view: View) -> None:
    nodes = await view.list("v1", "Node")
    closed = [node["metadata"]["name"] for node in nodes if (node.get("spec") or {}).get("unschedulable")]
    if closed:
        raise Unmet(f"taken out of scheduling: {', '.join(closed)}")


CHECKS = (
    Check("etcd to be healthy", etcd_is_well),
    Check("etcd members to be consistent across nodes", etcd_members_agree),
    Check("apid to be ready", apid_answers),
    Check("all nodes to have enough memory", memory_is_enough),
    Check("all nodes to have a disk of enough size", disks_are_enough),
    Check("no diagnostics to be active", nothing_is_diagnosed),
    Check("kubelet to be healthy", kubelets_are_well),
    Check("all nodes to finish boot sequence", boots_are_over),
    Check("all k8s nodes to report", nodes_have_registered),
    Check("all control plane static pods to be running", static_pods_run),
    Check("all k8s nodes to report ready", nodes_are_ready),
    Check("kube-proxy to report ready", kube_proxy_is_ready),
    Check("coredns to report ready", core_dns_is_ready),
    Check("all k8s nodes to report schedulable", nodes_take_pods),
)
