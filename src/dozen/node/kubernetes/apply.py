"""Applies this control plane's manifests to its cluster, in order, and again whenever one of them changes.

Applying is server-side and the same objects lead to the same result, so every control plane may do it, at once or one
after another. An object that the API server refuses is reported and tried again later; it does not hold up the others,
because a mistake in somebody's own manifest should not cost the cluster its network. What objects define is waited for
before those that may need it, and what their workloads wait for is told (`dozen.node.kubernetes.rollouts`).
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from dozen.engine.backoff import delay_after
from dozen.machinery.kubernetes.objects import Object, identity, in_order
from dozen.machinery.kubernetes.rollouts import DEFINITIONS
from dozen.machinery.resources.manifests import MANIFEST, MANIFEST_STATUS, STATUS, ManifestStatusSpec
from dozen.node.kubernetes.api import KubernetesApi, retrying
from dozen.node.kubernetes.client import Client
from dozen.node.kubernetes.errors import ApiError, Unreachable
from dozen.node.kubernetes.rollouts import Rollouts, await_definitions

if TYPE_CHECKING:
    from dozen.engine.publisher import Publisher
    from dozen.engine.store import Store
    from dozen.engine.watch import Watch
    from dozen.machinery.resources.manifests import ManifestSpec
    from dozen.node.problems import Problems

PROBLEM = "manifests"


class ManifestApplier:
    """Manifest → the cluster; publishes ManifestStatus."""

    name = "manifest-applier"
    outputs = (MANIFEST_STATUS,)

    def __init__(self, api: KubernetesApi, store: Store, problems: Problems) -> None:
        self._api = api
        self._store = store
        self._problems = problems
        self._rollouts = Rollouts(problems)
        self._log = logging.getLogger("dozen.manifests")
        self._applied: dict[str, int] = {}  # id → version of the resource that the API server has taken

    async def run(self, publish: Publisher) -> None:
        with self._store.watch(MANIFEST) as changes:
            await changes.wait()  # on a worker there are no manifests, and nothing to connect for
            with retrying():
                async with await self._api.connect() as client, asyncio.TaskGroup() as group:
                    group.create_task(self._rollouts.run(client))
                    await self._keep_applied(client, changes, publish)

    async def _keep_applied(self, client: Client, changes: Watch[ManifestSpec], publish: Publisher) -> None:
        failures = 0
        while True:
            changes.take()
            errors = await self._apply_pending(client, publish)
            failures = failures + 1 if errors else 0
            if errors:
                self._problems.report_problem(PROBLEM, "; ".join(errors))
            else:
                self._problems.clear_problem(PROBLEM)
            try:
                await asyncio.wait_for(changes.wait(), delay_after(failures) if errors else None)
            except TimeoutError:
                continue

    async def _apply_pending(self, client: Client, publish: Publisher) -> list[str]:
        """Apply what is new or changed; the sentences say what was refused."""
        present = {each.id: each for each in self._store.list(MANIFEST)}
        self._applied = {id: version for id, version in self._applied.items() if id in present}
        errors: list[str] = []
        pending = [id for id, each in present.items() if self._applied.get(id) != each.metadata.version]
        for id in pending:
            resource = present[id]
            refused = await self._apply(client, id, resource.spec)
            errors += refused
            if not refused:
                self._applied[id] = resource.metadata.version
                self._log.info("manifest=%s applied objects=%d", id, len(resource.spec.items))
            publish.put(MANIFEST_STATUS, STATUS, ManifestStatusSpec(manifests_applied=tuple(sorted(self._applied))))
        if pending:
            self._rollouts.expect(dict(item.object) for each in present.values() for item in each.spec.items)
        return errors

    async def _apply(self, client: Client, id: str, manifest: ManifestSpec) -> list[str]:
        errors: list[str] = []
        definitions: list[Object] = []
        for item in in_order([dict(each.object) for each in manifest.items]):
            if definitions and item["kind"] not in DEFINITIONS:
                errors += await await_definitions(client, definitions)
                definitions = []
            try:
                applied = await client.apply(item)
            except Unreachable:
                raise  # nothing that follows would fare better
            except ApiError as error:
                errors.append(f"manifest {id}, {identity(item)}: {error}")
            else:
                definitions += [applied] if item["kind"] in DEFINITIONS else []
        return errors + await await_definitions(client, definitions)
