"""A machine's readiness as an event: what trackers of a reboot wait for."""

from __future__ import annotations

import asyncio

import pytest

from dozen.machinery.messages import message
from dozen.machinery.resources import network, runtime
from dozen.node.events import Events
from dozen.node.readiness import AddressReporter, MachineStatusReporter, event_of
from dozen.testing.controllers import Bench


def status(stage: str, *unmet: str) -> runtime.MachineStatusSpec:
    conditions = tuple(runtime.UnmetCondition(name=name, reason="because") for name in unmet)
    readiness = runtime.MachineReadiness(ready=not unmet, unmet_conditions=conditions)
    return runtime.MachineStatusSpec(stage=stage, status=readiness)


@pytest.mark.parametrize(("stage", "number"), [("booting", 1), ("running", 4), ("rebooting", 5), ("shutting down", 6)])
def test_a_status_is_an_event_of_the_api(stage: str, number: int) -> None:
    event = message("machine.MachineStatusEvent")(**event_of(status(stage, "network")))
    assert event.stage == number
    assert not event.status.ready
    assert [(each.name, each.reason) for each in event.status.unmet_conditions] == [("network", "because")]


def test_each_change_is_one_event() -> None:
    async def run() -> list[tuple[int, bool]]:
        events = Events()
        async with Bench() as bench:
            bench.runtime.add_watcher(MachineStatusReporter(bench.store, events))
            for each in (status("booting", "time"), status("running", "time"), status("running")):
                bench.put(runtime.MACHINE_STATUS, "machine", each)
                await bench.settle()
        return [(event.fields["stage"], event.fields["status"]["ready"]) for event in events.history()]

    assert asyncio.run(run()) == [(1, False), (4, False), (4, True)]


def test_where_a_machine_is_is_told_when_that_changes() -> None:
    async def run() -> list[tuple[str, list[str]]]:
        events = Events()
        async with Bench() as bench:
            bench.runtime.add_watcher(AddressReporter(bench.store, events))
            bench.put(network.HOSTNAME_STATUS, "hostname", network.HostnameStatusSpec(hostname="n1"))
            await bench.settle()
            for id in ("current", "current-no-k8s", "routed"):
                addresses = ("10.0.0.1/24",) if id.endswith("k8s") else ("10.0.0.1/24", "10.244.0.1/24")
                bench.put(network.NODE_ADDRESS, id, network.NodeAddressSpec(addresses=addresses))
                await bench.settle()
        return [(event.fields["hostname"], event.fields["addresses"]) for event in events.history()]

    assert asyncio.run(run()) == [("n1", []), ("n1", ["10.0.0.1", "10.244.0.1"]), ("n1", ["10.0.0.1"])]
