"""Tells whoever listens to the machine's events what it is busy with and whether it is ready.

Clients that reboot a machine wait for the event which says that it runs and is ready again; MachineStatus, as a
resource, says the same to those who look.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dozen.machinery.resources.enums import ENUMS
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


def event_of(status: MachineStatusSpec) -> dict[str, Any]:
    """The fields of machine.MachineStatusEvent."""
    unmet = [{"name": each.name, "reason": each.reason} for each in status.status.unmet_conditions]
    return {
        "stage": ENUMS["MachineStage"].get(status.stage, 0),
        "status": {"ready": status.status.ready, "unmet_conditions": unmet},
    }
