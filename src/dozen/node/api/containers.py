"""Containers, Stats and Restart: what runs in a namespace of containerd, what it uses, and ending it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from dozen.machinery.messages import enum, message
from dozen.node.containers import SYSTEM_NAMESPACE, Containerd, containerd, stop_task
from dozen.rpc.router import Router
from dozen.rpc.status import Code, RpcError

if TYPE_CHECKING:
    from dozen.node.api.ports import Machine

SERVICE = "/machine.MachineService"

# What Kubernetes' part of containerd writes on its containers.
_POD, _POD_NAMESPACE = "io.kubernetes.pod.name", "io.kubernetes.pod.namespace"
_POD_UID, _NAME = "io.kubernetes.pod.uid", "io.kubernetes.container.name"
_NO_TASK = "STOPPED"
# As long as Kubernetes gives a pod's containers by default, seconds.
RESTART_GRACE = 30.0


def register(router: Router, machine: Machine) -> None:
    """Serve the calls of this theme."""

    async def containers(call: object, request: Any) -> Any:
        return await list_containers(containerd(request.namespace or SYSTEM_NAMESPACE))

    async def stats(call: object, request: Any) -> Any:
        return await measure_containers(containerd(request.namespace or SYSTEM_NAMESPACE))

    async def restart(call: object, request: Any) -> Any:
        await restart_container(containerd(request.namespace or SYSTEM_NAMESPACE), request.id)
        return message("machine.RestartResponse")(messages=[{}])

    router.unary(f"{SERVICE}/Restart", "machine.RestartRequest", restart)
    router.unary(f"{SERVICE}/Containers", "machine.ContainersRequest", containers)
    router.unary(f"{SERVICE}/Stats", "machine.StatsRequest", stats)


async def list_containers(node: Containerd) -> Any:
    """Every container of the namespace, in the order of their ids."""
    status_name = enum("containerd.v1.types.Status").Name
    tasks = await node.list_tasks()
    described: list[dict[str, Any]] = []
    for container in await node.list_containers():
        task = tasks.get(container.id)
        described.append(
            {
                "namespace": node.namespace,
                "internal_id": container.id,
                "image": container.image,
                "pid": task.pid if task is not None else 0,
                "status": status_name(task.status) if task is not None else _NO_TASK,
                "uid": container.labels.get(_POD_UID, ""),
                "network_namespace": find_network_namespace(container.spec.value),
                **name_container(container.id, container.labels),
            }
        )
    described.sort(key=lambda fields: fields["id"])
    return message("machine.ContainersResponse")(messages=[{"containers": described}])


async def restart_container(node: Containerd, id: str) -> None:
    """End a container, by the id that `Containers` shows or its own: what it belongs to starts it again."""
    if not id:
        raise RpcError(Code.INVALID_ARGUMENT, "say which container to restart")
    names = {name_container(each.id, each.labels)["id"]: each.id for each in await node.list_containers()}
    internal = names.get(id, id if id in names.values() else "")
    if not internal:
        raise RpcError(Code.NOT_FOUND, f'there is no container "{id}" in namespace {node.namespace}')
    if internal not in await node.list_tasks():
        raise RpcError(Code.FAILED_PRECONDITION, f'nothing runs in the container "{id}"')
    await stop_task(node, internal, RESTART_GRACE)


async def measure_containers(node: Containerd) -> Any:
    """Memory and processor time of every running container."""
    labels = {container.id: container.labels for container in await node.list_containers()}
    stats: list[dict[str, Any]] = []
    for metric in (await node.ask("tasks", "Metrics")).metrics:
        memory, processor = read_metric(metric.data.type_url, metric.data.value)
        stats.append(
            {
                "namespace": node.namespace,
                "memory_usage": memory,
                "cpu_usage": processor,
                **name_container(metric.id, labels.get(metric.id, {})),
            }
        )
    stats.sort(key=lambda fields: fields["id"])
    return message("machine.StatsResponse")(messages=[{"stats": stats}])


def name_container(id: str, labels: Mapping[str, str]) -> dict[str, str]:
    """How people call it: ``namespace/pod`` for a sandbox, ``namespace/pod:container`` in it, else its id."""
    if _POD not in labels:
        return {"id": id, "name": id, "pod_id": id}
    pod = f"{labels.get(_POD_NAMESPACE, '')}/{labels[_POD]}"
    name = labels.get(_NAME, "")
    return {"id": f"{pod}:{name}" if name else pod, "name": name or labels[_POD], "pod_id": pod}


def find_network_namespace(spec: bytes) -> str:
    """The name of the network namespace that a container's specification joins; empty for the node's own."""
    import msgspec

    try:
        namespaces = msgspec.json.decode(spec, type=dict[str, Any])["linux"]["namespaces"]
        paths = [entry.get("path", "") for entry in namespaces if entry["type"] == "network"]
    except (msgspec.DecodeError, UnicodeDecodeError, AttributeError, KeyError, TypeError):
        return ""
    return str(paths[0]).rpartition("/")[2] if paths else ""


def read_metric(type_url: str, value: bytes) -> tuple[int, int]:
    """Bytes of memory and nanoseconds of processor time; pages that could be dropped at once do not count as used."""
    if type_url.rpartition("/")[2] != "io.containerd.cgroups.v2.Metrics":
        return 0, 0
    metrics = message("io.containerd.cgroups.v2.Metrics").FromString(value)
    memory = metrics.memory.usage - metrics.memory.inactive_file
    return max(memory, 0), metrics.cpu.usage_usec * 1000
