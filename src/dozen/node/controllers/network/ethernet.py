"""Ethernet links: what their drivers tell, again whenever a link changes, and what they should do.

A driver may take a setting and do something near to it (queues in steps of its own), so what it tells afterwards says
nothing about whether it was told: a setting is repeated only when the link, or what is wanted of it, has changed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import TYPE_CHECKING

from dozen.machinery.effects.links import SetEthernet
from dozen.machinery.effects.network import Each
from dozen.machinery.plan import Effect, Input, Put, Step, View
from dozen.machinery.resources import config
from dozen.machinery.resources.enums import ENUMS
from dozen.machinery.resources.ethernet import (
    ETHERNET_SPEC,
    ETHERNET_STATUS,
    ETHERNET_TOLD,
    NO_WAY,
    ChannelsSpec,
    EthernetChannels,
    EthernetFeature,
    EthernetRings,
    EthernetSpecSpec,
    EthernetStatusSpec,
    EthernetToldSpec,
    RingsSpec,
)
from dozen.machinery.resources.link import LINK_STATUS, LinkStatusSpec
from dozen.machinery.resources.settings import NETWORK, NETWORK_SETTINGS
from dozen.node.configuration import parse
from dozen.node.controllers.network.matching import called, find_links, is_physical

if TYPE_CHECKING:
    from dozen.engine.publisher import Publisher
    from dozen.engine.store import Store
    from dozen.linux.ethtool import Details, Feature
    from dozen.machinery.config.documents.links import EthernetConfig


class EthernetWatcher:
    """LinkStatus of physical links, and what their drivers tell → EthernetStatus."""

    name = "network-ethernet"
    outputs = (ETHERNET_STATUS,)

    def __init__(self, store: Store) -> None:
        self._store = store

    async def run(self, publish: Publisher) -> None:
        from dozen.linux.ethtool import read_ethernet

        changed = asyncio.Event()
        # A link is not always told of when its driver was: then EthernetTold says it.
        stops = [self._store.listen(kind, lambda event: changed.set()) for kind in (LINK_STATUS, ETHERNET_TOLD)]
        try:
            while True:
                changed.clear()
                links = [link for link in self._store.list(LINK_STATUS) if is_physical(link.spec)]
                publish.replace(
                    ETHERNET_STATUS, {link.id: describe_ethernet(link.spec, read_ethernet(link.id)) for link in links}
                )
                await changed.wait()
        finally:
            for stop in stops:
                stop()


class EthernetSpecController:
    """MachineConfig, LinkStatus, the names that NetworkSettings gives to links → EthernetSpec."""

    name = "network-ethernet-specs"
    inputs = (Input(config.MACHINE_CONFIG, config.ACTIVE), Input(NETWORK_SETTINGS, NETWORK), Input(LINK_STATUS))
    outputs = (ETHERNET_SPEC,)

    def plan(self, view: View) -> Iterable[Step]:
        from dozen.machinery.config.effective import find_documents

        active, settings = view.get(config.MACHINE_CONFIG, config.ACTIVE), view.get(NETWORK_SETTINGS, NETWORK)
        documents = find_documents(parse(active.spec.text), "EthernetConfig") if active is not None else []
        if settings is None or not documents:
            return
        links = tuple(called(settings.spec, view.list(LINK_STATUS)))
        wanted: dict[str, EthernetSpecSpec] = {}
        for document in documents:
            for link in find_links(links, document.name, None):
                wanted.setdefault(link, read_document(document))
        for link, spec in wanted.items():
            yield Put(ETHERNET_SPEC, link, spec)


def read_document(said: EthernetConfig) -> EthernetSpecSpec:
    """What a document asks for."""
    rings, channels = said.rings, said.channels
    return EthernetSpecSpec(
        features=said.features,
        rings=RingsSpec(**{name: getattr(rings, name) for name in rings.__struct_fields__}) if rings else None,
        channels=ChannelsSpec(**{n: getattr(channels, n) for n in channels.__struct_fields__}) if channels else None,
        wake_on_lan=() if said.wake_on_lan is None else said.wake_on_lan or (NO_WAY,),
    )


class EthernetController:
    """EthernetSpec + EthernetStatus + LinkStatus → EthernetTold, and the drivers are told what is otherwise."""

    name = "network-ethernet-changes"
    inputs = (Input(ETHERNET_SPEC), Input(ETHERNET_STATUS), Input(LINK_STATUS))
    outputs = (ETHERNET_TOLD,)

    def plan(self, view: View) -> Iterable[Step]:
        effects: list[Effect] = []
        told: list[tuple[str, EthernetToldSpec]] = []
        for wanted in view.list(ETHERNET_SPEC):
            link, status = view.get(LINK_STATUS, wanted.id), view.get(ETHERNET_STATUS, wanted.id)
            if link is None or status is None:
                continue
            now = EthernetToldSpec(index=link.spec.index, spec_version=str(wanted.metadata.version))
            before = view.get(ETHERNET_TOLD, wanted.id)
            if before is None or before.spec != now:
                rest = difference(wanted.spec, status.spec)
                effects += [SetEthernet(wanted.id, rest)] if rest != EthernetSpecSpec() else []
            told.append((wanted.id, now))
        if effects:
            yield Each(tuple(effects))
        for id, now in told:
            yield Put(ETHERNET_TOLD, id, now)


def difference(wanted: EthernetSpecSpec, status: EthernetStatusSpec) -> EthernetSpecSpec:
    """What of it is not so already."""
    present = {each.name: each.status.startswith("on") for each in status.features}
    ways = wanted.wake_on_lan
    return EthernetSpecSpec(
        features={name: value for name, value in wanted.features.items() if present.get(name) is not value},
        rings=wanted.rings if _differs(wanted.rings, status.rings) else None,
        channels=wanted.channels if _differs(wanted.channels, status.channels) else None,
        wake_on_lan=ways if ways and set(ways) - {NO_WAY} != set(status.wake_on_lan) else (),
    )


def _differs(wanted: RingsSpec | ChannelsSpec | None, present: EthernetRings | EthernetChannels | None) -> bool:
    if wanted is None:
        return False
    given = {name: getattr(wanted, name) for name in wanted.__struct_fields__}
    given = {name: value for name, value in given.items() if value is not None and (value or value is False)}
    return any(present is None or getattr(present, name) != value for name, value in given.items())


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
        wake_on_lan=tuple(name for name, bit in ENUMS["WOLMode"].items() if told.wake_on_lan & bit),
    )


def _status(feature: Feature) -> str:
    return ("on" if feature.active else "off") + (" [fixed]" if feature.fixed else "")
