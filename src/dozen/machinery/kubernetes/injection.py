"""Giving workloads access to the machine API: a ServiceAccount of it beside them, and its secret mounted into them."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

API_VERSION, KIND = "talos.dev/v1alpha1", "ServiceAccount"
VOLUME, MOUNT_PATH = "talos-secrets", "/var/run/secrets/talos.dev"
# Where a kind of workload has its pod's spec.
TEMPLATES = {
    "Pod": ("spec",),
    "CronJob": ("spec", "jobTemplate", "spec", "template", "spec"),
    **dict.fromkeys(
        ("DaemonSet", "Deployment", "Job", "ReplicaSet", "ReplicationController", "StatefulSet"),
        ("spec", "template", "spec"),
    ),
}


def inject(documents: Sequence[Any], roles: Sequence[str]) -> list[Any]:
    """The manifests, each workload followed by an account with these roles. Raises ValueError when there is none."""
    given: list[Any] = []
    found = False
    for document in documents:
        path = TEMPLATES.get(document.get("kind", "")) if isinstance(document, dict) else None
        if path is None:
            given.append(document)
            continue
        found = True
        changed = copy.deepcopy(document)
        name = f"{changed['metadata']['name']}-{VOLUME}"
        _mount(changed, path, name)
        given += [changed, make_account(name, changed["metadata"].get("namespace", ""), roles)]
    if not found:
        kinds = ", ".join(sorted(TEMPLATES))
        raise ValueError(f"there is no workload among the manifests that could be given access ({kinds})")
    return given


def make_account(name: str, namespace: str, roles: Sequence[str]) -> dict[str, Any]:
    """The account, whose secret is called as it is."""
    metadata = {"name": name, **({"namespace": namespace} if namespace else {})}
    return {"apiVersion": API_VERSION, "kind": KIND, "metadata": metadata, "spec": {"roles": list(roles)}}


def _mount(document: dict[str, Any], path: Sequence[str], secret: str) -> None:
    spec: Any = document
    for step in path:
        spec = spec[step]
    volumes = spec.setdefault("volumes", [])
    if all(each.get("name") != VOLUME for each in volumes):
        volumes.append({"name": VOLUME, "secret": {"secretName": secret}})
    for container in (*spec.get("containers", ()), *spec.get("initContainers", ())):
        mounts = container.setdefault("volumeMounts", [])
        if all(each.get("mountPath") != MOUNT_PATH for each in mounts):
            mounts.append({"name": VOLUME, "mountPath": MOUNT_PATH})
