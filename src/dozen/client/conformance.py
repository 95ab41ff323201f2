"""Upstream's conformance tests, run inside a cluster: a pod of their image, its output, and what it came to.

The image is upstream's own of the cluster's version, so the cluster's nodes have to reach a registry that has it.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable
from typing import Any

from dozen.client.errors import ClientError
from dozen.client.kubernetes import Kubernetes, KubernetesError

NAMESPACE, NAME = "conformance", "e2e-conformance-test"
# What "fast" leaves out, as upstream's own runner calls it; "certified" is all of it, one after another.
FOCUS = r"\[Conformance\]"
SLOW = r"\[Serial\]|\[Slow\]|\[Disruptive\]|\[Flaky\]"
PERIOD = 5.0
SUMMARY = re.compile(r"^(PASS|FAIL)$|Ran \d+ of \d+ Specs", re.MULTILINE)


def make_objects(version: str, mode: str) -> dict[str, dict[str, Any]]:
    """Path to apply → object. ``version`` has its v; ``mode`` is fast or certified."""
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": NAME, "namespace": NAMESPACE}}
    binding = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": NAME},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
        "subjects": [{"kind": "ServiceAccount", "name": NAME, "namespace": NAMESPACE}],
    }
    labels = {"pod-security.kubernetes.io/enforce": "privileged"}
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE, "labels": labels}}
    base = f"/api/v1/namespaces/{NAMESPACE}"
    return {
        f"/api/v1/namespaces/{NAMESPACE}": namespace,
        f"{base}/serviceaccounts/{NAME}": account,
        f"/apis/rbac.authorization.k8s.io/v1/clusterrolebindings/{NAME}": binding,
        f"{base}/pods/{NAME}": _make_pod(version, mode),
    }


def _make_pod(version: str, mode: str) -> dict[str, Any]:
    environment = {
        "E2E_FOCUS": FOCUS,
        "E2E_SKIP": SLOW if mode == "fast" else "",
        "E2E_PARALLEL": "true" if mode == "fast" else "false",
        "E2E_PROVIDER": "skeleton",
        "E2E_USE_GO_RUNNER": "true",
        "RESULTS_DIR": "/tmp/results",
    }
    container = {
        "name": "conformance",
        "image": f"registry.k8s.io/conformance:{version}",
        "env": [{"name": name, "value": value} for name, value in environment.items()],
        "volumeMounts": [{"name": "results", "mountPath": "/tmp/results"}],
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": NAME, "namespace": NAMESPACE},
        "spec": {
            "serviceAccountName": NAME,
            "restartPolicy": "Never",
            "tolerations": [{"operator": "Exists"}],
            "containers": [container],
            "volumes": [{"name": "results", "emptyDir": {}}],
        },
    }


async def run(kubernetes: Kubernetes, mode: str, say: Callable[[str], None], *, timeout: float) -> str:
    """Until the tests have ended; gives the end of what they printed. Raises ClientError when they failed."""
    version = str((await asyncio.to_thread(kubernetes.get, "/version"))["gitVersion"])
    say(f"Kubernetes {version}, mode {mode}")
    objects = make_objects(version, mode)
    for path, body in objects.items():
        await asyncio.to_thread(kubernetes.apply, path, body)
    pod = f"/api/v1/namespaces/{NAMESPACE}/pods/{NAME}"
    try:
        phase = await _until_ended(kubernetes, pod, say, timeout)
        log = (await asyncio.to_thread(kubernetes.request, "GET", f"{pod}/log?tailLines=200")).decode(errors="replace")
    finally:
        for path in reversed(objects):
            await asyncio.to_thread(kubernetes.delete, path)
    if phase != "Succeeded":
        raise ClientError("the conformance tests failed", f"the end of what they said:\n{log[-2000:]}")
    return "\n".join(line for line in log.splitlines() if SUMMARY.search(line))


async def _until_ended(kubernetes: Kubernetes, pod: str, say: Callable[[str], None], timeout: float) -> str:
    deadline, said = time.monotonic() + timeout, ""
    while time.monotonic() < deadline:
        try:
            found = await asyncio.to_thread(kubernetes.get, pod)
        except KubernetesError as error:
            if error.status:
                raise
        else:
            phase = str(found.get("status", {}).get("phase", ""))
            if phase != said:
                say(f"the tests: {phase}")
                said = phase
            if phase in ("Succeeded", "Failed"):
                return phase
        await asyncio.sleep(PERIOD)
    raise ClientError(f"the conformance tests did not end within {timeout:g} s", "give them more with --timeout")
