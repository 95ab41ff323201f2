"""What a node asks of its cluster before it goes down on purpose: no new pods, and its own elsewhere.

Only where there is an elsewhere: on a cluster's only node an eviction is nothing but an outage that begins earlier.
Whatever goes wrong is told and does not hold up the end; a forced end does not try.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from dozen.machinery.kubernetes.objects import Object, full_name, is_true
from dozen.machinery.resources.kubernetes import NODENAME
from dozen.node.kubernetes.api import KubernetesApi
from dozen.node.kubernetes.client import Client
from dozen.node.kubernetes.drain import cordon, drain
from dozen.node.kubernetes.errors import KubernetesError

if TYPE_CHECKING:
    from dozen.node.machine import Machine

# A disruption budget or a slow pod may take longer; then the pods end with the machine.
DRAIN_SECONDS = 60.0
ASK_SECONDS = 10.0

log = logging.getLogger("dozen.drain")


async def cordon_and_drain_node(machine: Machine) -> None:
    """The task of the sequences that end a boot."""
    if (await machine.ending()).force:
        return
    name = _name_of_node(machine)
    client = await _connect(machine, name)
    if client is None:
        return
    async with client:
        try:
            await asyncio.wait_for(_leave(client, name), DRAIN_SECONDS + ASK_SECONDS)
        except (KubernetesError, TimeoutError) as error:
            log.warning("node=%s is not drained: %s", name, error or "it took too long")


async def ask_priorities(machine: Machine) -> dict[str, int]:
    """Priorities of this node's pods by ``namespace/name``; none when the API does not answer."""
    name = _name_of_node(machine)
    client = await _connect(machine, name)
    if client is None:
        return {}
    async with client:
        try:
            asking = client.list("v1", "Pod", field_selector=f"spec.nodeName={name}")
            pods = await asyncio.wait_for(asking, ASK_SECONDS)
        except (KubernetesError, TimeoutError) as error:
            log.info("node=%s the order of its pods is guessed: %s", name, error or "the API does not answer")
            return {}
    return {full_name(pod): int((pod.get("spec") or {}).get("priority") or 0) for pod in pods}


def _name_of_node(machine: Machine) -> str:
    """The node's name in its cluster, empty when it is in none."""
    nodename = machine.store.find(NODENAME, "nodename")
    return "" if nodename is None or nodename.spec.skip_node_registration else nodename.spec.nodename


async def _connect(machine: Machine, name: str) -> Client | None:
    """A client of the cluster's API; None when there is no cluster, or no answer soon."""
    if not name:
        return None
    api = KubernetesApi(machine.store, log)
    try:
        client = await asyncio.wait_for(api.try_connect(), ASK_SECONDS)
    except TimeoutError:
        client = None
    if client is None:
        log.info("node=%s asks nobody: %s", name, api.last_error or "the API does not answer")
    return client


async def _leave(client: Client, name: str) -> None:
    await cordon(client, name)
    if not others_take_pods(await client.list("v1", "Node"), name):
        log.info("node=%s is the only one that takes pods; they stay", name)
        return
    gone = await drain(client, name, DRAIN_SECONDS, lambda text: log.info("%s", text))
    log.info("node=%s drained=%s", name, "yes" if gone else "in part")


def others_take_pods(nodes: list[Object], name: str) -> bool:
    """Whether pods of a node could run on another one."""
    return any(
        is_true(node, "Ready") and not (node.get("spec") or {}).get("unschedulable")
        for node in nodes
        if node["metadata"]["name"] != name
    )
