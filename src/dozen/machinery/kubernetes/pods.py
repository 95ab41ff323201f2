"""The static pods of the control plane: three programs on the node's network, each under a user of its own.

They hold no capability, write nothing but the audit log, and read what the node has written for them, at the same paths
as on the node. Their priority is the highest, so that a full node ends them last. Probes are patient: a program that
answers slowly on a busy machine is not made faster by being killed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from dozen.machinery.kubernetes import paths
from dozen.machinery.kubernetes.objects import Object

NAMESPACE = "kube-system"
# Of the class system-node-critical: the kubelet admits static pods before it can ask what a class is worth.
PRIORITY = 2_000_001_000
PORTS = {paths.CONTROLLER_MANAGER: 10257, paths.SCHEDULER: 10259}
DEFAULT_RESOURCES: dict[str, Object] = {
    paths.APISERVER: {"requests": {"cpu": "200m", "memory": "512Mi"}},
    paths.CONTROLLER_MANAGER: {"requests": {"cpu": "50m", "memory": "256Mi"}},
    paths.SCHEDULER: {"requests": {"cpu": "10m", "memory": "64Mi"}},
}


class HostDirectory(NamedTuple):
    """A directory of the node in a pod."""

    name: str
    host_path: str
    mount_path: str
    readonly: bool = True


class Program(NamedTuple):
    """What a pod of the control plane is made from. ``versions`` are annotations: another value is another pod."""

    name: str
    image: str
    uid: int
    args: Sequence[str]
    env: Mapping[str, str] = {}
    volumes: Sequence[HostDirectory] = ()
    resources: Mapping[str, Mapping[str, str]] = {}
    versions: Mapping[str, str] = {}
    port: int = 0
    startup_probe: bool = True


def static_pod(program: Program) -> Object:
    """The pod of a program."""
    directories = [*_own_directories(program.name), *program.volumes]
    labels = {"component": program.name, "tier": "control-plane"}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": program.name,
            "namespace": NAMESPACE,
            "labels": {**labels, "k8s-app": program.name},
            "annotations": dict(program.versions),
        },
        "spec": {
            "containers": [_container(program, directories)],
            "hostNetwork": True,
            "priority": PRIORITY,
            "priorityClassName": "system-node-critical",
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": program.uid,
                "runAsGroup": program.uid,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "volumes": [{"name": each.name, "hostPath": {"path": each.host_path}} for each in directories],
        },
    }


def _own_directories(name: str) -> list[HostDirectory]:
    found = [HostDirectory("secrets", f"{paths.SECRETS}/{name}", f"{paths.SECRETS}/{name}")]
    if name != paths.CONTROLLER_MANAGER:
        found.append(HostDirectory("config", f"{paths.CONFIG}/{name}", f"{paths.CONFIG}/{name}"))
    if name == paths.APISERVER:
        found.append(HostDirectory("audit", paths.AUDIT_LOG, paths.AUDIT_LOG, readonly=False))
    return found


def _container(program: Program, directories: Sequence[HostDirectory]) -> Object:
    mounts: list[Object] = [
        {"name": each.name, "mountPath": each.mount_path} | ({"readOnly": True} if each.readonly else {})
        for each in directories
    ]
    container: Object = {
        "name": program.name,
        "image": program.image,
        "command": [f"/usr/local/bin/{program.name}"],
        "args": list(program.args),
        "resources": {
            name: dict(part) for name, part in (program.resources or DEFAULT_RESOURCES[program.name]).items()
        },
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
        },
        "volumeMounts": mounts,
        **_probes(program),
    }
    if program.env:
        container["env"] = [{"name": name, "value": value} for name, value in program.env.items()]
    return container


def _probes(program: Program) -> Object:
    if program.name == paths.APISERVER:
        port, live, ready = program.port, "/livez", "/readyz"
    else:
        port, live, ready = PORTS[program.name], "/healthz", ""
    found: Object = {"livenessProbe": _probe(port, live, period=20, failures=6)}
    if ready:
        found["readinessProbe"] = _probe(port, ready, period=5, failures=3)
    if program.startup_probe:
        # A start that is ended begins anew, with the same work before it on the same slow machine, for ever.
        found["startupProbe"] = _probe(port, live, period=5, failures=180)
    return found


def _probe(port: int, path: str, *, period: int, failures: int) -> Object:
    question = {"path": path, "port": port, "host": "127.0.0.1", "scheme": "HTTPS"}
    return {"httpGet": question, "periodSeconds": period, "failureThreshold": failures, "timeoutSeconds": 15}
