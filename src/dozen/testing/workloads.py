"""What tests run in a cluster: small objects around one image that has a web server, a shell and a DNS client."""

from __future__ import annotations

from typing import Any

from dozen.machinery.kubernetes.versions import AGNHOST_IMAGE

PORT = 8080
SERVE = ["netexec", f"--http-port={PORT}"]


def container(**more: Any) -> dict[str, Any]:
    return {
        "name": "main",
        "image": AGNHOST_IMAGE,
        "imagePullPolicy": "IfNotPresent",
        "command": ["/agnhost"],
        "args": SERVE,
        "readinessProbe": {"httpGet": {"path": "/healthz", "port": PORT}, "periodSeconds": 5, "timeoutSeconds": 5},
        **more,
    }


def pod(name: str, *, node: str = "", labels: dict[str, str] | None = None, **spec: Any) -> dict[str, Any]:
    """A pod that serves; ``spec`` is laid over its specification, ``main`` over its container."""
    main = container(**spec.pop("main", {}))
    body: dict[str, Any] = {
        "containers": [main],
        "terminationGracePeriodSeconds": 1,
        "tolerations": [{"operator": "Exists"}],
        **spec,
    }
    if node:
        body["nodeName"] = node
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": {"app": name, **(labels or {})}},
        "spec": body,
    }


def deployment(name: str, replicas: int, **spec: Any) -> dict[str, Any]:
    template = pod(name, **spec)
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": name}},
            "template": {"metadata": {"labels": {"app": name}}, "spec": template["spec"]},
        },
    }


def service(name: str, selector: dict[str, str] | None = None) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name},
        "spec": {"selector": selector or {"app": name}, "ports": [{"port": 80, "targetPort": PORT}]},
    }


def config_map(name: str, **data: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


def namespace(name: str, level: str) -> dict[str, Any]:
    """``level`` is what Pod Security admits in it."""
    labels = {"pod-security.kubernetes.io/enforce": level}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}
