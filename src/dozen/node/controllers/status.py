"""Whether the machine is ready, and if not, what it waits for.

Inputs are the sequencer's stage, the services, the network, the clock and, on a node of Kubernetes, the node and its
static pods. A machine is ready when it is running and each of these is fine; what is not is listed by name and reason,
so that an operator reads one resource instead of guessing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from dozen.machinery.plan import Input, Put, Step, View
from dozen.machinery.resources import config, kubernetes, network, runtime, time
from dozen.node.configuration import complete
from dozen.node.stage import STAGE

REQUIRED_SERVICES = ("apid", "machined")
KUBERNETES_SERVICES = ("kubelet",)
CONTROL_PLANE_SERVICES = ("etcd", "trustd")


class MachineStatusController:
    """Stage, services, network, time, Kubernetes → MachineStatus. ``kubernetes``: whether this machine can run it."""

    name = "machine-status"
    inputs = (
        Input(STAGE),
        Input(runtime.SERVICE),
        Input(network.NETWORK_STATUS),
        Input(time.TIME_STATUS),
        Input(config.MACHINE_CONFIG, config.ACTIVE),
        Input(kubernetes.NODENAME),
        Input(kubernetes.NODE_STATUS),
        Input(kubernetes.STATIC_POD),
        Input(kubernetes.STATIC_POD_STATUS),
    )
    outputs = (runtime.MACHINE_STATUS,)

    def __init__(self, kubernetes: bool = True) -> None:
        self._kubernetes = kubernetes

    def plan(self, view: View) -> Iterable[Step]:
        stage = view.get(STAGE, "machine")
        if stage is None:
            return
        role = _role(view) if self._kubernetes else ""
        unmet = (*_unmet_conditions(view, role), *(_unmet_of_kubernetes(view) if role else ()))
        # "running" is what the sequence ends in; before that the machine is by definition not ready.
        ready = stage.spec.stage == "running" and not unmet
        status = runtime.MachineReadiness(ready=ready, unmet_conditions=unmet)
        yield Put(runtime.MACHINE_STATUS, "machine", runtime.MachineStatusSpec(stage=stage.spec.stage, status=status))


def _role(view: View) -> str:
    """``controlplane`` or ``worker``; empty for a machine that is to run no Kubernetes yet."""
    given = complete(view)
    return given.machine_type if given is not None else ""


def _required_services(role: str) -> tuple[str, ...]:
    if not role:
        return REQUIRED_SERVICES
    return (
        *REQUIRED_SERVICES,
        *KUBERNETES_SERVICES,
        *(CONTROL_PLANE_SERVICES if role == "controlplane" else ()),
    )


def _unmet_conditions(view: View, role: str) -> Iterator[runtime.UnmetCondition]:
    clock = view.get(time.TIME_STATUS, "node")
    if clock is None or not (clock.spec.synced or clock.spec.sync_disabled):
        yield runtime.UnmetCondition(name="time", reason="time is not in sync yet")
    connectivity = view.get(network.NETWORK_STATUS, "status")
    if connectivity is None:
        yield runtime.UnmetCondition(name="network", reason="no network status yet")
    else:
        parts = {
            "address": connectivity.spec.address_ready,
            "connectivity": connectivity.spec.connectivity_ready,
            "hostname": connectivity.spec.hostname_ready,
            "etc files": connectivity.spec.etc_files_ready,
        }
        missing = [name for name, ready in parts.items() if not ready]
        if missing:
            yield runtime.UnmetCondition(name="network", reason=f"waiting on: {', '.join(missing)}")
    problems = []
    for id in _required_services(role):
        service = view.get(runtime.SERVICE, id)
        if service is None or not service.spec.running:
            problems.append(f"{id} not running")
        elif not service.spec.healthy and not service.spec.unknown:
            problems.append(f"{id} not healthy")
    if problems:
        yield runtime.UnmetCondition(name="services", reason=", ".join(problems))


def _unmet_of_kubernetes(view: View) -> Iterator[runtime.UnmetCondition]:
    statuses = {each.id: each.spec.pod_status for each in view.list(kubernetes.STATIC_POD_STATUS)}
    nodename = view.get(kubernetes.NODENAME, "nodename")
    node = nodename.spec.nodename if nodename is not None else ""
    waiting = [id for id in _expected_pods(view, node) if not _is_ready(statuses.get(id, {}))]
    if waiting:
        yield runtime.UnmetCondition(name="staticPods", reason=f"not ready: {', '.join(waiting)}")
    if nodename is not None and nodename.spec.skip_node_registration:
        return
    status = view.get(kubernetes.NODE_STATUS, node) if node else None
    if status is None:
        reason = f'node "{node}" status is not available yet' if node else "the node has no name yet"
        yield runtime.UnmetCondition(name="nodeReady", reason=reason)
    elif not status.spec.node_ready:
        yield runtime.UnmetCondition(name="nodeReady", reason=f'node "{node}" is not ready')


def _expected_pods(view: View, node: str) -> Iterator[str]:
    """``namespace/name`` of the static pods' objects; the kubelet appends the node's name to each."""
    for each in view.list(kubernetes.STATIC_POD):
        metadata = each.spec.pod.get("metadata")
        if isinstance(metadata, dict):
            yield f"{metadata.get('namespace') or 'default'}/{metadata.get('name', each.id)}-{node}"


def _is_ready(status: Mapping[str, object]) -> bool:
    conditions = status.get("conditions")
    if not isinstance(conditions, list):
        return False
    return any(each.get("type") == "Ready" and each.get("status") == "True" for each in conditions)
