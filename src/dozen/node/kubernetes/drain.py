"""Taking a node out of service: no new pods, and those that run are moved elsewhere by way of their evictions."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from dozen.machinery.kubernetes.nodes import cordon_patch
from dozen.node.kubernetes.client import Client
from dozen.node.kubernetes.errors import ApiError, NotFound
from dozen.node.kubernetes.pods import MIRROR

if TYPE_CHECKING:
    from dozen.machinery.kubernetes.objects import Object

PERIOD = 2.0
TOO_MANY_REQUESTS = 429


async def cordon(client: Client, name: str) -> None:
    """No new pods for the node; remembered as our doing, so that the next boot takes it back."""
    await client.patch("v1", "Node", name, cordon_patch(cordoned=True))


async def drain(client: Client, name: str, timeout: float, say: Callable[[str], None]) -> bool:
    """Evict the node's pods and wait until they are gone; False when some are left after ``timeout`` seconds.

    Static pods and those of DaemonSets stay: they belong to the node. A disruption budget may refuse an eviction for a
    while; it is asked again.
    """
    end = time.monotonic() + timeout
    while True:
        pods = [
            pod for pod in await client.list("v1", "Pod", field_selector=f"spec.nodeName={name}") if is_movable(pod)
        ]
        if not pods:
            return True
        if time.monotonic() > end:
            say(f"pods still on node {name}: {', '.join(sorted(pod['metadata']['name'] for pod in pods))}")
            return False
        for pod in pods:
            if "deletionTimestamp" not in pod["metadata"]:
                await _evict(client, pod, say)
        await asyncio.sleep(PERIOD)


def is_movable(pod: Object) -> bool:
    """Whether a drain has to wait for the pod: not one that has finished, nor one that belongs to the node."""
    metadata = pod["metadata"]
    owners = metadata.get("ownerReferences") or ()
    belongs = MIRROR in (metadata.get("annotations") or {}) or any(each["kind"] == "DaemonSet" for each in owners)
    return not belongs and (pod.get("status") or {}).get("phase") not in ("Succeeded", "Failed")


async def _evict(client: Client, pod: Object, say: Callable[[str], None]) -> None:
    try:
        await client.evict(pod)
    except NotFound:
        return
    except ApiError as error:
        if error.status != TOO_MANY_REQUESTS:
            raise
        say(f"pod {pod['metadata']['name']} may not be evicted yet: {error}")
