"""Publishes what the drivers of physical links tell, again whenever a link changes."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from dozen.machinery.resources.ethernet import (
    ETHERNET_STATUS,
    EthernetChannels,
    EthernetFeature,
    EthernetRings,
    EthernetStatusSpec,
)
from dozen.machinery.resources.link import LINK_STATUS, LinkStatusSpec
from dozen.node.controllers.network.matching import is_physical

if TYPE_CHECKING:
    from dozen.engine.publisher import Publisher
    from dozen.engine.store import Store
    from dozen.linux.ethtool import Details, Feature


class EthernetWatcher:
    """LinkStatus of physical links, and what their drivers tell → EthernetStatus."""

    name = "network-ethernet"
    outputs = (ETHERNET_STATUS,)

    def __init__(self, store: Store) -> None:
        self._store = store

    async def run(self, publish: Publisher) -> None:
        from dozen.linux.ethtool import read_ethernet

        changed = asyncio.Event()
        stop = self._store.listen(LINK_STATUS, lambda event: changed.set())
        try:
            while True:
                changed.clear()
                links = [link for link in self._store.list(LINK_STATUS) if is_physical(link.spec)]
                publish.replace(
                    ETHERNET_STATUS, {link.id: describe_ethernet(link.spec, read_ethernet(link.id)) for link in links}
                )
                await changed.wait()
        finally:
            stop()


def describe_ethernet(link: LinkStatusSpec, told: Details) -> EthernetStatusSpec:
    """A link as a resource."""
    return EthernetStatusSpec(
        link_state=link.link_state,
        speed_mbit=link.speed_mbit,
        port=link.port,
        duplex=link.duplex,
        rings=EthernetRings(**told.rings._asdict()) if told.rings is not None else None,
        features=tuple(EthernetFeature(name=each.name, status=_status(each)) for each in told.features),
        channels=EthernetChannels(**told.channels._asdict()) if told.channels is not None else None,
    )


def _status(feature: Feature) -> str:
    return ("on" if feature.active else "off") + (" [fixed]" if feature.fixed else "")
