"""Parts that the manifests have in common: metadata, accounts and their rights, containers and pods of the system."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from dozen.machinery.kubernetes.objects import Object

SYSTEM = "kube-system"
RBAC = "rbac.authorization.k8s.io"


def system_object(api_version: str, kind: str, name: str, **parts: object) -> Object:
    """An object in kube-system; ``parts`` stand beside its metadata, ``labels`` go into it."""
    metadata: Object = {"name": name, "namespace": SYSTEM}
    if labels := parts.pop("labels", None):
        metadata["labels"] = labels
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata, **parts}


def cluster_role(name: str, rules: Sequence[tuple[str, Sequence[str], Sequence[str]]]) -> Object:
    """Rules are (API group, resources, verbs)."""
    return {
        "apiVersion": f"{RBAC}/v1",
        "kind": "ClusterRole",
        "metadata": {"name": name},
        "rules": [
            {"apiGroups": [group], "resources": list(resources), "verbs": list(verbs)}
            for group, resources, verbs in rules
        ],
    }


def binding(name: str, role: str, *subjects: Object) -> Object:
    """Who has the rights of a ClusterRole everywhere."""
    return {
        "apiVersion": f"{RBAC}/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": name},
        "roleRef": {"apiGroup": RBAC, "kind": "ClusterRole", "name": role},
        "subjects": list(subjects),
    }


def account(name: str) -> Object:
    """A subject: a service account of kube-system."""
    return {"kind": "ServiceAccount", "name": name, "namespace": SYSTEM}


def group(name: str) -> Object:
    return {"kind": "Group", "apiGroup": RBAC, "name": name}


def user(name: str) -> Object:
    return {"kind": "User", "apiGroup": RBAC, "name": name}


def confinement(*capabilities: str, **more: object) -> Object:
    """A container's security context: these capabilities and no others, a root file system that cannot be written."""
    kept: Object = {"drop": ["ALL"]}
    if capabilities:
        kept["add"] = list(capabilities)
    return {"allowPrivilegeEscalation": False, "capabilities": kept, "readOnlyRootFilesystem": True, **more}


def env_of_pod(name: str, field: str) -> Object:
    return {"name": name, "valueFrom": {"fieldRef": {"fieldPath": field}}}


def host_path(name: str, path: str, type: str = "DirectoryOrCreate") -> Object:
    return {"name": name, "hostPath": {"path": path, "type": type}}


def daemon_set(name: str, labels: Mapping[str, str], annotations: Mapping[str, str], pod: Object) -> Object:
    """A pod on every Linux node, wherever and however tainted: what makes a node usable must run before it is.

    One node at a time is updated; the pods share the node's network and may not be preempted.
    """
    template: Object = {"metadata": {"labels": dict(labels)}, "spec": {**ON_EVERY_NODE, **pod}}
    if annotations:
        template["metadata"]["annotations"] = dict(annotations)
    return system_object(
        "apps/v1",
        "DaemonSet",
        name,
        labels=dict(labels),
        spec={
            "selector": {"matchLabels": dict(labels)},
            "template": template,
            "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 1}},
        },
    )


ON_EVERY_NODE: Object = {
    "hostNetwork": True,
    "nodeSelector": {"kubernetes.io/os": "linux"},
    "priorityClassName": "system-node-critical",
    "securityContext": {"seccompProfile": {"type": "RuntimeDefault"}},
    "tolerations": [{"effect": "NoSchedule", "operator": "Exists"}, {"effect": "NoExecute", "operator": "Exists"}],
}


def resources(said: Mapping[str, Mapping[str, str]], default: Mapping[str, Mapping[str, str]]) -> Object:
    """A container's requests and limits: what the configuration says, else the default."""
    given = {name: dict(values) for name, values in said.items() if values}
    return given or {name: dict(values) for name, values in default.items()}
