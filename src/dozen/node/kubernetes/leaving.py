"""What a node does for its pods before it goes down on purpose: it takes no new ones, and sends its own elsewhere.

Only where there is an elsewhere: on a cluster's only node an eviction is nothing but an outage that begins earlier.
Whatever goes wrong is told and does not hold up the end; a forced end does not try.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from dozen.machinery.kubernetes.objects import Object, is_true
from dozen.machinery.resources.kubernetes import NODENAME
from dozen.node.kubernetes.api import KubernetesApi
from dozen.node.kubernetes.client import Client, KubernetesError
from dozen.node.kubernetes.drain import cordon, drain

if TYPE_CHECKING:
    from dozen.node.machine import Machine

# A disruption budget or a slow pod may take longer; then the pods end with the machine.
DRAIN_SECONDS = 60.0
ASK_SECONDS = 10.0

log = logging.getLogger("dozen.drain")


async def cordon_and_drain_node(machine: Machine) -> None:
    """The task of the sequences that end a boot."""
    nodename = machine.store.find(NODENAME, "nodename")
    if nodename is None or nodename.spec.skip_node_registration or (await machine.ending()).force:
        return
    api = KubernetesApi(machine.store, log)
    try:
        client = await asyncio.wait_for(api.try_connect(), ASK_SECONDS)
    except TimeoutError:
        client = None
    if client is None:
        log.info("node=%s is not drained: %s", nodename.spec.nodename, api.last_error or "the API does not answer")
        return
    async with client:
        try:
            await asyncio.wait_for(_leave(client, nodename.spec.nodename), DRAIN_SECONDS + ASK_SECONDS)
        except (KubernetesError, TimeoutError) as error:
            log.warning("node=%s is not drained: %s", nodename.spec.nodename, error or "it took too long")


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
