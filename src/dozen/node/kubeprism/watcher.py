"""Listens where KubePrismConfig says, and publishes whether some API server is there."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from dozen.machinery.resources.kubeprism import (
    KUBE_PRISM_CONFIG,
    KUBE_PRISM_STATUS,
    KubePrismConfigSpec,
    KubePrismStatusSpec,
)
from dozen.node.controllers.kubernetes.kubeprism import ID

if TYPE_CHECKING:
    from dozen.engine.publisher import Publisher
    from dozen.engine.store import Store
    from dozen.node.kubeprism.balancer import Balancer

log = logging.getLogger("dozen.kubeprism")


class KubePrismWatcher:
    """KubePrismConfig → a listening balancer, KubePrismStatus."""

    name = "kubeprism-balancer"
    outputs = (KUBE_PRISM_STATUS,)

    def __init__(self, store: Store) -> None:
        self._store = store

    async def run(self, publish: Publisher) -> None:
        changed = asyncio.Event()
        stop = self._store.listen(KUBE_PRISM_CONFIG, lambda _: changed.set())
        try:
            while True:
                changed.clear()
                said = self._config()
                if said is None:
                    publish.replace(KUBE_PRISM_STATUS, {})
                    await changed.wait()
                else:
                    await self._serve(said, publish, changed)
        finally:
            stop()

    def _config(self) -> KubePrismConfigSpec | None:
        found = self._store.find(KUBE_PRISM_CONFIG, ID)
        return found.spec if found is not None else None

    async def _serve(self, said: KubePrismConfigSpec, publish: Publisher, changed: asyncio.Event) -> None:
        """As long as it is to be in this place. Raises OSError when that is taken."""
        from dozen.node.kubeprism.balancer import Balancer

        place, balancer = f"{said.host}:{said.port}", Balancer(changed.set)
        server = await asyncio.get_running_loop().create_server(balancer.accept, said.host, said.port)
        log.info("kubeprism=%s listening", place)
        looking = asyncio.create_task(balancer.look_after(), name="kubeprism-targets")
        try:
            while (now := self._config()) is not None and (now.host, now.port) == (said.host, said.port):
                changed.clear()
                _use(balancer, now)
                publish.put(KUBE_PRISM_STATUS, ID, KubePrismStatusSpec(host=place, healthy=balancer.healthy))
                await changed.wait()
        finally:
            looking.cancel()
            server.close()
            balancer.use(())


def _use(balancer: Balancer, said: KubePrismConfigSpec) -> None:
    from dozen.node.kubeprism.balancer import Place

    wanted = tuple(Place(each.host, each.port) for each in said.endpoints)
    if wanted != tuple(each.place for each in balancer.targets):
        balancer.use(wanted)
