"""This node as a member of its cluster: its Node object is made to say what the configuration wants, and is published.

Labels, annotations and taints are applied as `dozen.machinery.kubernetes.nodes` plans them. A node that this system had
taken out of scheduling for a reboot is put back when it is there again.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from dozen.machinery.kubernetes.nodes import (
    Change,
    Taint,
    Wanted,
    cordon_patch,
    is_cordoned_by_us,
    may_label_itself,
    plan_node,
)
from dozen.machinery.kubernetes.objects import Object, is_true
from dozen.machinery.resources.kubernetes import NODE_STATUS, NODENAME, NodeStatusSpec
from dozen.machinery.resources.manifests import NODE_ANNOTATION, NODE_LABEL, NODE_TAINT
from dozen.node.kubernetes.api import KubernetesApi, retrying
from dozen.node.kubernetes.client import Client
from dozen.node.kubernetes.errors import ApiError, Conflict

if TYPE_CHECKING:
    from dozen.engine.publisher import Publisher
    from dozen.engine.store import Store
    from dozen.node.problems import Problems

PROBLEM = "node-object"


class NodeMember:
    """NodeLabelSpec, NodeAnnotationSpec, NodeTaintSpec → the Node; the Node → NodeStatus."""

    name = "node-member"
    outputs = (NODE_STATUS,)

    def __init__(self, api: KubernetesApi, store: Store, problems: Problems) -> None:
        self._api = api
        self._store = store
        self._problems = problems
        self._log = logging.getLogger("dozen.node")
        self._welcome = True  # until the node was seen once in this boot

    async def run(self, publish: Publisher) -> None:
        nodename = await self._store.wait_for(NODENAME, "nodename", lambda it: bool(it.spec.nodename))
        if nodename.spec.skip_node_registration:
            return
        name = nodename.spec.nodename
        with retrying():
            async with await self._api.connect() as client, asyncio.TaskGroup() as group:
                changed = asyncio.Event()
                group.create_task(self._note_changes(changed))
                await self._follow(client, name, changed, publish, group)

    async def _follow(
        self, client: Client, name: str, changed: asyncio.Event, publish: Publisher, group: asyncio.TaskGroup
    ) -> None:
        latest: dict[str, Object] = {}

        async def read() -> None:
            async for nodes in client.follow("v1", "Node", field_selector=f"metadata.name={name}"):
                latest.clear()
                latest.update(nodes)
                changed.set()

        group.create_task(read())
        while True:
            await changed.wait()
            changed.clear()
            node = latest.get(name)
            publish.replace(NODE_STATUS, {name: status_of(node)} if node is not None else {})
            if node is not None:
                await self._bring_in_line(client, node)

    async def _note_changes(self, changed: asyncio.Event) -> None:
        """Set the event when the configuration wants something else."""
        with (
            self._store.watch(NODE_LABEL) as labels,
            self._store.watch(NODE_ANNOTATION) as annotations,
            self._store.watch(NODE_TAINT) as taints,
        ):
            while True:
                waiting = [asyncio.ensure_future(each.wait()) for each in (labels, annotations, taints)]
                try:
                    await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
                finally:
                    for each in waiting:
                        each.cancel()
                for watch in (labels, annotations, taints):
                    watch.take()
                changed.set()

    async def _bring_in_line(self, client: Client, node: Object) -> None:
        name = node["metadata"]["name"]
        wanted, refused = self._wanted()
        change = plan_node(node, wanted)
        self._tell(name, change, refused)
        try:
            if change.patch is not None:
                await client.patch("v1", "Node", name, change.patch)
                self._log.info("node=%s labels, annotations and taints brought in line", name)
            if self._welcome and is_cordoned_by_us(node):
                await client.patch("v1", "Node", name, cordon_patch(cordoned=False))
                self._log.info("node=%s is back in scheduling", name)
            self._welcome = False
        except Conflict:
            return  # it has changed meanwhile, so there is another look at it coming
        except ApiError as error:
            self._problems.report_problem(PROBLEM, f"the API server refuses a change of Node {name}: {error}")

    def _wanted(self) -> tuple[Wanted, list[str]]:
        """What the configuration wants, as far as this identity may do it, and the labels it may not set."""
        admin = self._api.is_control_plane
        labels = {each.spec.key: each.spec.value for each in self._store.list(NODE_LABEL)}
        refused = [] if admin else [key for key in labels if not may_label_itself(key)]
        annotations = {each.spec.key: each.spec.value for each in self._store.list(NODE_ANNOTATION)}
        taints = {each.spec.key: Taint(each.spec.effect, each.spec.value) for each in self._store.list(NODE_TAINT)}
        allowed = {key: value for key, value in labels.items() if key not in refused}
        # A worker's taints are given by its kubelet when it registers; later it may not change them itself.
        return Wanted(allowed, annotations, taints if admin else None), refused

    def _tell(self, name: str, change: Change, refused: list[str]) -> None:
        told = [f"{key} of Node {name} was set by somebody else and is left alone" for key in change.conflicts]
        told += [f"a worker may not give itself the label {key}; set it with kubectl" for key in refused]
        if told:
            self._problems.report_problem(PROBLEM, "; ".join(told))
        else:
            self._problems.clear_problem(PROBLEM)


def status_of(node: Object) -> NodeStatusSpec:
    """What the cluster says of a node."""
    metadata, spec = node["metadata"], node.get("spec") or {}
    return NodeStatusSpec(
        nodename=metadata["name"],
        node_ready=is_true(node, "Ready"),
        unschedulable=bool(spec.get("unschedulable")),
        labels=metadata.get("labels") or {},
        annotations=metadata.get("annotations") or {},
        pod_cidrs=tuple(spec.get("podCIDRs") or ()),
    )
