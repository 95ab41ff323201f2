"""A cluster as tests see it: machines made by the same code as `dozenctl cluster create`, and its Kubernetes API.

Objects are written as plain data and applied; the few kinds that tests use are listed with their paths. What runs in a
pod is asked through the API server's proxy, or of its log.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

from dozen.client.kubernetes import Kubernetes, KubernetesError
from dozen.machinery import kubeconfig, talosconfig
from dozen.machinery.kubernetes.objects import is_true
from dozen.provider.cluster import Cluster, Clusters, Options
from dozen.provider.machines import Step, StepState
from dozen.testing.live import LiveNode
from dozen.testing.portal import Portal

ValueT = TypeVar("ValueT")

PLACES = {
    "ConfigMap": "api/v1/namespaces/{namespace}/configmaps",
    "Deployment": "apis/apps/v1/namespaces/{namespace}/deployments",
    "Namespace": "api/v1/namespaces",
    "Pod": "api/v1/namespaces/{namespace}/pods",
    "Service": "api/v1/namespaces/{namespace}/services",
}
CREATE_SECONDS = 1800.0


class KubeCluster:
    """One cluster. `create` may be called again, for instance for more machines."""

    def __init__(self, clusters: Clusters, name: str, image: Path, portal: Portal) -> None:
        self.clusters, self.name, self.image, self.portal = clusters, name, image, portal
        self.steps: list[Step] = []
        self.nodes: dict[str, LiveNode] = {}

    def create(self, **options: Any) -> Cluster:
        """The cluster, working. Each step's time is kept in ``steps``."""
        made = self.portal.run(
            self.clusters.create(self.name, self.image, self._note, Options(**options)), CREATE_SECONDS
        )
        self.talosconfig = made.talosconfig
        context = talosconfig.parse(made.talosconfig.read_text()).select()
        for node in made.nodes:
            if node.machine and node.member.name not in self.nodes:
                live = LiveNode(self.clusters.provider, node.machine, context, self.portal)
                self.nodes[node.member.name] = live
        if made.kubernetes:
            self.kubeconfig = made.kubeconfig
            self.api = Kubernetes(kubeconfig.selected(kubeconfig.parse(made.kubeconfig.read_text())))
        return made

    def destroy(self) -> None:
        """Ends it; once more does nothing."""
        while self.nodes:
            self.nodes.popitem()[1].close()
        self.portal.run(self.clusters.destroy(self.name, lambda step: None))

    @property
    def first(self) -> LiveNode:
        return next(iter(self.nodes.values()))

    def seconds(self) -> dict[str, float]:
        """How long each step took."""
        return {step.name: step.seconds for step in self.steps if step.state is StepState.DONE}

    # Objects.

    def path(self, kind: str, name: str = "", namespace: str = "default") -> str:
        base = "/" + PLACES[kind].format(namespace=namespace)
        return f"{base}/{name}" if name else base

    def apply(self, body: Mapping[str, Any]) -> Any:
        meta = body["metadata"]
        return self.api.apply(self.path(body["kind"], meta["name"], meta.get("namespace", "default")), body)

    def delete(self, kind: str, name: str, namespace: str = "default") -> None:
        self.api.delete(self.path(kind, name, namespace) + "?gracePeriodSeconds=1")

    def get(self, kind: str, name: str, namespace: str = "default") -> Any:
        return self.api.get(self.path(kind, name, namespace))

    def pods(self, selector: str, namespace: str = "default") -> list[Any]:
        return self.api.items(self.path("Pod", namespace=namespace) + f"?labelSelector={quote(selector)}")

    def log(self, pod: str, namespace: str = "default") -> str:
        return self.api.request("GET", self.path("Pod", pod, namespace) + "/log").decode(errors="replace")

    def ask(self, kind: str, name: str, port: int, path: str, namespace: str = "default") -> str:
        """What a pod or service answers to an HTTP request that goes by way of the API server."""
        place = self.path(kind, f"{name}:{port}", namespace)
        return self.api.request("GET", f"{place}/proxy/{path}").decode(errors="replace")

    def shell(self, pod: str, command: str) -> str:
        """The output of a shell command in a pod that serves agnhost's ``netexec`` on port 8080."""
        answer = json.loads(self.ask("Pod", pod, 8080, f"shell?cmd={quote(command)}"))
        if answer.get("error"):
            raise AssertionError(f"{command}: {answer}")
        return str(answer.get("output", ""))

    # Waiting.

    def until(self, ask: Callable[[], ValueT | None], what: str, seconds: float = 180.0) -> ValueT:
        """The first true value, asked for every second; an API that is away meanwhile is asked again."""
        deadline, last = time.monotonic() + seconds, "nothing true"
        while time.monotonic() < deadline:
            try:
                if value := ask():
                    return value
            except (KubernetesError, LookupError) as error:
                last = repr(error)
            time.sleep(1.0)
        raise AssertionError(f"{what}: not within {seconds:.0f} s; last: {last}\n{self.picture()}")

    def until_ready(self, *names: str, namespace: str = "default", seconds: float = 240.0) -> list[Any]:
        """Waits until each of these pods is Ready."""

        def look() -> list[Any] | None:
            found = [self.get("Pod", name, namespace) for name in names]
            return found if all(is_true(pod, "Ready") for pod in found) else None

        return self.until(look, f"{', '.join(names)} Ready", seconds)

    def until_available(self, name: str, count: int, namespace: str = "default", seconds: float = 300.0) -> None:
        """Waits until so many replicas of a Deployment are available."""

        def look() -> bool:
            status = self.get("Deployment", name, namespace).get("status") or {}
            return int(status.get("availableReplicas") or 0) >= count

        self.until(look, f"{count} replicas of {name}", seconds)

    def until_nodes_ready(self, seconds: float = 300.0) -> None:
        def look() -> bool:
            ready = {item["metadata"]["name"] for item in self.api.items("/api/v1/nodes") if is_true(item, "Ready")}
            return ready >= set(self.nodes)

        self.until(look, "all nodes Ready", seconds)

    def picture(self) -> str:
        """What there is, for the report of a test that failed."""
        try:
            pods = self.api.items("/api/v1/pods")
        except KubernetesError as error:
            return f"pods: {error}"
        return "\n".join(describe_pod(pod) for pod in pods)

    def _note(self, step: Step) -> None:
        self.steps.append(step)


def describe_pod(pod: Mapping[str, Any]) -> str:
    meta, status = pod["metadata"], pod.get("status") or {}
    reasons = [
        state.get("reason", "")
        for each in status.get("containerStatuses") or []
        for state in (each.get("state") or {}).values()
    ]
    ready = "ready" if is_true(pod, "Ready") else "not ready"
    return f"{meta['namespace']}/{meta['name']}: {status.get('phase')}, {ready} {' '.join(filter(None, reasons))}"
