"""Whether the machine is ready, and if not, what it waits for.

Inputs are the sequencer's stage, the services, the network and the clock. A machine is ready when it is running and
each of these is fine; what is not is listed by name and reason, so that an operator reads one resource instead of
guessing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from dozen.machinery.plan import Input, Put, Step, View
from dozen.machinery.resources import network, runtime, time
from dozen.node.stage import STAGE

REQUIRED_SERVICES = ("apid", "machined")


class MachineStatusController:
    """Stage, services, network, time → MachineStatus."""

    name = "machine-status"
    inputs = (Input(STAGE), Input(runtime.SERVICE), Input(network.NETWORK_STATUS), Input(time.TIME_STATUS))
    outputs = (runtime.MACHINE_STATUS,)

    def plan(self, view: View) -> Iterable[Step]:
        stage = view.get(STAGE, "machine")
        if stage is None:
            return
        unmet = tuple(_unmet_conditions(view))
        # "running" is what the sequence ends in; before that the machine is by definition not ready.
        ready = stage.spec.stage == "running" and not unmet
        status = runtime.MachineReadiness(ready=ready, unmet_conditions=unmet)
        yield Put(runtime.MACHINE_STATUS, "machine", runtime.MachineStatusSpec(stage=stage.spec.stage, status=status))


def _unmet_conditions(view: View) -> Iterator[runtime.UnmetCondition]:
    clock = view.get(time.TIME_STATUS, "node")
    if clock is None or not (clock.spec.synced or clock.spec.sync_disabled):
        yield runtime.UnmetCondition(name="time", reason="time is not in sync yet")
    connectivity = view.get(network.NETWORK_STATUS, "status")
    if connectivity is None:
        yield runtime.UnmetCondition(name="network", reason="no network status yet")
    else:
        parts = {
            "address": connectivity.spec.address_ready,
            "connectivity": connectivity.spec.connectivity_ready,
            "hostname": connectivity.spec.hostname_ready,
            "etc files": connectivity.spec.etc_files_ready,
        }
        missing = [name for name, ready in parts.items() if not ready]
        if missing:
            yield runtime.UnmetCondition(name="network", reason=f"waiting on: {', '.join(missing)}")
    problems = []
    for id in REQUIRED_SERVICES:
        service = view.get(runtime.SERVICE, id)
        if service is None or not service.spec.running:
            problems.append(f"{id} not running")
        elif not service.spec.healthy and not service.spec.unknown:
            problems.append(f"{id} not healthy")
    if problems:
        yield runtime.UnmetCondition(name="services", reason=", ".join(problems))
