"""How this node's static pods are doing, as the API server was told by the kubelet."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from dozen.machinery.resources.kubernetes import NODENAME, STATIC_POD_STATUS, StaticPodStatusSpec
from dozen.node.kubernetes.api import KubernetesApi, retrying

if TYPE_CHECKING:
    from dozen.engine.publisher import Publisher
    from dozen.engine.store import Store
    from dozen.machinery.kubernetes.objects import Object

# The kubelet puts this on the objects that stand for pods which nobody but itself has asked for.
MIRROR = "kubernetes.io/config.mirror"


class StaticPodWatcher:
    """The pods of this node that are static → StaticPodStatus, by ``namespace/name``."""

    name = "static-pods-status"
    outputs = (STATIC_POD_STATUS,)

    def __init__(self, api: KubernetesApi, store: Store) -> None:
        self._api = api
        self._store = store

    async def run(self, publish: Publisher) -> None:
        name = (await self._store.wait_for(NODENAME, "nodename", lambda it: bool(it.spec.nodename))).spec.nodename
        with retrying():
            async with await self._api.connect() as client:
                async for pods in client.follow("v1", "Pod", field_selector=f"spec.nodeName={name}"):
                    publish.replace(STATIC_POD_STATUS, static_pods(pods))


def static_pods(pods: Mapping[str, Object]) -> dict[str, StaticPodStatusSpec]:
    """Those among the pods that are static."""
    return {
        id: StaticPodStatusSpec(pod_status=pod.get("status") or {})
        for id, pod in pods.items()
        if MIRROR in (pod["metadata"].get("annotations") or {})
    }
