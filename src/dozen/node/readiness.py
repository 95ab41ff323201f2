"""Tells whoever listens to the machine's events what it is busy with, whether it is ready, and where it is.

Clients that reboot a machine wait for the event which says that it runs and is ready again; MachineStatus, as a
resource, says the same to those who look.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from dozen.machinery.addresses import address_of
from dozen.machinery.resources.enums import ENUMS
from dozen.machinery.resources.network import HOSTNAME_STATUS, NODE_ADDRESS
from dozen.machinery.resources.runtime import MACHINE_STATUS, MachineStatusSpec

if TYPE_CHECKING:
    from dozen.engine.publisher import Publisher
    from dozen.engine.store import Store
    from dozen.node.events import Events


class MachineStatusReporter:
    """MachineStatus → the event MachineStatusEvent, for each change."""

    name = "machine-status-events"
    outputs = ()

    def __init__(self, store: Store, events: Events) -> None:
        self._store = store
        self._events = events

    async def run(self, publish: Publisher) -> None:
        said: MachineStatusSpec | None = None
        with self._store.watch(MACHINE_STATUS, "machine") as changes:
            async for change in changes:
                if change.resource is not None and change.resource.spec != said:
                    said = change.resource.spec
                    self._events.publish("MachineStatusEvent", event_of(said))


class AddressReporter:
    """HostnameStatus, NodeAddress → the event AddressEvent, for each change: pods' addresses are left out."""

    name = "address-events"
    outputs = ()

    def __init__(self, store: Store, events: Events) -> None:
        self._store = store
        self._events = events

    async def run(self, publish: Publisher) -> None:
        changed = asyncio.Event()
        stops = [self._store.listen(kind, lambda event: changed.set()) for kind in (HOSTNAME_STATUS, NODE_ADDRESS)]
        said: dict[str, Any] = {}
        try:
            while True:
                changed.clear()
                fields = self._look()
                if fields != said and any(fields.values()):
                    said = fields
                    self._events.publish("AddressEvent", fields)
                await changed.wait()
        finally:
            for stop in stops:
                stop()

    def _look(self) -> dict[str, Any]:
        name = self._store.find(HOSTNAME_STATUS, "hostname")
        found = self._store.find(NODE_ADDRESS, "current-no-k8s") or self._store.find(NODE_ADDRESS, "current")
        return {
            "hostname": name.spec.hostname if name is not None else "",
            "addresses": [address_of(each) for each in found.spec.addresses] if found is not None else [],
        }


def event_of(status: MachineStatusSpec) -> dict[str, Any]:
    """The fields of machine.MachineStatusEvent."""
    unmet = [{"name": each.name, "reason": each.reason} for each in status.status.unmet_conditions]
    return {
        "stage": ENUMS["MachineStage"].get(status.stage, 0),
        "status": {"ready": status.status.ready, "unmet_conditions": unmet},
    }
