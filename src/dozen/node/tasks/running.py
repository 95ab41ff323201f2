"""What brings the node up once the ground is laid: API, controllers, devices, the data volume, services."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from dozen.linux.block_kinds import DEVICES as SCANNED
from dozen.linux.block_kinds import SCAN
from dozen.machinery.resources import block
from dozen.node.services.catalogue import APID_UID, CATALOGUE, DEVICES, EARLY, LAST, MACHINED, RUNTIME
from dozen.node.tasks.connection import is_addressed
from dozen.node.tasks.containers import find_cache, prepare_containers

if TYPE_CHECKING:
    from dozen.node.machine import Machine

# A data disk that is there is mounted within seconds; formatting a large one takes a few more. After this many the boot
# goes on without, and picks the volume up whenever it comes.
EPHEMERAL_PATIENCE = 60.0
LOG_DIRECTORY = "/var/log"
# How long the rest of the boot keeps out of the way of what somebody may wait for, seconds. Each takes a moment on a
# computer; under emulation, two seconds. Going on too early costs speed, not correctness.
API_PATIENCE = 3.0
CALLER_PATIENCE = 0.3
IDENTITY_PATIENCE = 1.5
DISKS_PATIENCE = 2.0
RUNTIME_PATIENCE = 5.0
LOOK_EVERY = 0.05
# apid has sixteen connections, and half of these calls at most: its callers cannot keep the node's own programs out.
LIMITS = {"max_streams": 256, "max_calls": 4096, "max_connections": 64}


async def serve_machine_socket(machine: Machine) -> None:
    """Answer the machine API on a socket that only root and apid can open."""
    from dozen.node.api import build_router
    from dozen.node.machine import MACHINE_SOCKET
    from dozen.rpc.server import Limits, serve

    os.makedirs(os.path.dirname(MACHINE_SOCKET), exist_ok=True)
    machine.server = await serve(build_router(machine), path=MACHINE_SOCKET, limits=Limits(**LIMITS))
    os.chown(MACHINE_SOCKET, 0, APID_UID)
    os.chmod(MACHINE_SOCKET, 0o660)


async def serve_trust_socket(machine: Machine) -> None:
    """On a control plane, answer trustd, which lets joining nodes in; a node in maintenance may become one later."""
    machine.keep(asyncio.create_task(_serve_control_plane(machine), name="trust-socket"))


async def _serve_control_plane(machine: Machine) -> None:
    from dozen.machinery.resources import config
    from dozen.node.configuration import parse

    await machine.store.wait_for(
        config.MACHINE_CONFIG, config.ACTIVE, lambda active: parse(active.spec.text).machine_type == "controlplane"
    )
    from dozen.node.trust.signing import serve_trust_socket

    await serve_trust_socket(machine)


async def start_early_services(machine: Machine) -> None:
    """Make all services known and start apid, which waits for its certificate by itself."""
    machine.services.add(CATALOGUE)
    machine.services.announce(MACHINED.id, "Service started as PID 1")
    machine.services.start_all(*EARLY)


async def start_controllers(machine: Machine) -> None:
    """Let the engine run: from here on the machine follows its resources."""
    from dozen.node.registry import add_first_wave

    add_first_wave(machine)
    machine.keep(asyncio.create_task(machine.runtime.run(), name="engine"))


async def prepare_first_answer(machine: Machine) -> None:
    """Import what a first call needs, which is about the version most often, while apid makes itself ready with its
    certificate: that, and an address, come first."""
    from dozen.node.api import import_theme
    from dozen.node.controllers.identity import SERVER_CERTIFICATE

    def can_be_called() -> bool:
        return os.path.exists(SERVER_CERTIFICATE) and (machine.mode == "container" or is_addressed(machine))

    await _wait(can_be_called, IDENTITY_PATIENCE, every=0.005)
    import_theme("stats")
    # Between two imports, whatever has come over the network meanwhile.
    await asyncio.sleep(0)
    from dozen.machinery.messages import method_types

    method_types("/machine.MachineService/Version")


async def wait_for_api(machine: Machine) -> None:
    """Let apid have the processors until it listens, and its first caller until he has his answer."""
    from dozen.node.services.catalogue import apid_listens

    await _wait(lambda: apid_listens() or machine.maintenance, API_PATIENCE)
    server = machine.server
    if server is not None:
        await _wait(lambda: server.calls > 0, CALLER_PATIENCE)


async def start_volume_controllers(machine: Machine) -> None:
    """Find the disk with /var, and mount it."""
    from dozen.node.registry import add_second_wave

    add_second_wave(machine)
    machine.keep(asyncio.create_task(_use_ephemeral(machine), name="ephemeral"))


async def wait_for_first_disks(machine: Machine) -> None:
    """Give /var the moment that it takes on a disk whose driver is loaded; others wait for udevd."""
    await _wait(lambda: machine.containers_prepared or bool(_reason_against_ephemeral(machine)), DISKS_PATIENCE)


async def start_other_controllers(machine: Machine) -> None:
    """Everything that neither the API's first answer nor /var need wait for."""
    from dozen.node.registry import add_third_wave

    add_third_wave(machine)


async def start_runtime(machine: Machine) -> None:
    """Start containerd, which all the rest of a node waits for."""
    machine.services.start_all(RUNTIME)


async def wait_for_runtime(machine: Machine) -> None:
    """Let containerd have the processors until it answers, if it could be started yet."""
    containerd = machine.services.get(RUNTIME)
    if machine.mode != "container" and machine.var_is_ready:
        await _wait(lambda: containerd.ready, RUNTIME_PATIENCE)


async def _wait(met: Callable[[], bool], patience: float, every: float = LOOK_EVERY) -> None:
    """Until something is so, or for as long as that is worth waiting for."""
    deadline = time.monotonic() + patience
    while not met() and time.monotonic() < deadline:
        await asyncio.sleep(every)


async def start_device_services(machine: Machine) -> None:
    """udevd names devices and loads their drivers; it has to listen before the coldplug."""
    machine.services.start_all(*DEVICES)


async def coldplug(machine: Machine) -> None:
    """Have the kernel announce every device again, now that udevd listens."""
    from dozen.machinery.resources import runtime
    from dozen.node.machine import OWNER

    if machine.mode != "container":
        from dozen.linux import udev

        while not machine.services.get("udevd").ready:
            await machine.services.get("udevd").changed.wait()
        await asyncio.to_thread(udev.announce_devices)
    machine.store.put(runtime.DEVICES_STATUS, "devices", runtime.DevicesStatusSpec(ready=True), owner=OWNER)


async def wait_for_ephemeral(machine: Machine) -> None:
    """Give /var the time it takes to be mounted."""
    await _wait(lambda: machine.containers_prepared or bool(_reason_against_ephemeral(machine)), EPHEMERAL_PATIENCE)
    if not machine.containers_prepared:
        reason = _reason_against_ephemeral(machine) or "no volume for /var yet; attach a blank disk"
        machine.report_problem("ephemeral", f"containerd waits for /var: {reason}")


async def _use_ephemeral(machine: Machine) -> None:
    """Once /var is mounted, logs move there and containers find their places."""
    while not machine.var_is_ready:
        await asyncio.sleep(0.05)
    from pathlib import Path

    machine.logs.keep_in(Path(LOG_DIRECTORY))
    while not (machine.mode == "container" or find_cache(machine) or _all_disks_are_known(machine)):
        await asyncio.sleep(LOOK_EVERY)
    await prepare_containers(machine)
    machine.containers_prepared = True
    machine.clear_problem("ephemeral")


def _all_disks_are_known(machine: Machine) -> bool:
    """Whether every disk was looked into, those too whose drivers udevd loads.

    The store of containers is begun anew when the disk with the prepared images is gone, so one that is slow must not
    be taken for that.
    """
    scan = machine.store.find(SCAN, SCANNED)
    return scan is not None and scan.spec.settled


def _reason_against_ephemeral(machine: Machine) -> str:
    """Why the volume cannot be had, once the plan of volumes has found out."""
    volume = machine.store.find(block.VOLUME_STATUS, "EPHEMERAL")
    given_up = volume is not None and volume.spec.phase in ("failed", "missing")
    return volume.spec.error_message if given_up and volume is not None else ""


async def start_services(machine: Machine) -> None:
    """Start what pods need; each service waits for what it needs itself."""
    machine.services.start_all(*(service.id for service in CATALOGUE if service.id not in (*DEVICES, *LAST)))


async def start_last_services(machine: Machine) -> None:
    """Start the rest, and say that this is all."""
    machine.services.start_all()
    machine.set_stage("maintenance" if machine.maintenance else "running")


async def follow_configuration(machine: Machine) -> None:
    """Keep the configuration where it outlives this boot, and go on looking for one while there is none."""
    from dozen.node.sources import look_further

    machine.keep(asyncio.create_task(machine.configuration.follow_state(), name="configuration-state"))
    machine.keep(asyncio.create_task(look_further(machine), name="configuration-sources"))


async def report_ignored_settings(machine: Machine) -> None:
    """Say which settings have no effect, once nothing more urgent is left to be done."""
    machine.configuration.report_ignored()
