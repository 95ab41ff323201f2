"""The machine's disks: listing them for older clients (Disks), and wiping them (BlockDeviceWipe)."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from dozen.linux.lvm import NoSuchVolume
from dozen.machinery.messages import enum, message
from dozen.machinery.plan import EffectError
from dozen.machinery.resources import block
from dozen.node.wiping import Wish, collect_facts, plan_wipes
from dozen.rpc.router import Router
from dozen.rpc.status import Code, RpcError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from dozen.machinery.plan import Effect
    from dozen.node.api.ports import Machine

SERVICE = "/storage.StorageService"

_changing = asyncio.Lock()


def register(router: Router, machine: Machine) -> None:
    """Serve the calls of this theme."""

    async def disks(call: object, request: Any) -> Any:
        return list_disks(machine)

    async def wipe(call: object, request: Any) -> Any:
        from dozen.linux.mounts import read_mounts

        methods = enum("storage.BlockDeviceWipeDescriptor.Method")
        wishes = [
            Wish(
                each.device,
                each.method == methods.Value("ZEROES"),
                each.skip_volume_check,
                each.skip_secondary_check,
                each.drop_partition,
            )
            for each in request.devices
        ]
        mounts = [(each.source, each.target) for each in read_mounts()]
        await change_disks(machine, plan_wipes(collect_facts(machine.store, mounts), wishes))
        return message("storage.BlockDeviceWipeResponse")(messages=[{}])

    router.unary(f"{SERVICE}/Disks", "google.protobuf.Empty", disks)
    router.unary(f"{SERVICE}/BlockDeviceWipe", "storage.BlockDeviceWipeRequest", wipe)


async def change_disks(machine: Machine, effects: Iterable[Effect]) -> None:
    """Carry out what a caller asked to be done to disks: one caller at a time, and its failures are the call's."""
    if _changing.locked():
        raise RpcError(Code.FAILED_PRECONDITION, "another call is changing disks: try again when it has ended")
    async with _changing:
        for effect in effects:
            try:
                await machine.run_effect(effect)
            except EffectError as error:
                code = Code.NOT_FOUND if isinstance(error, NoSuchVolume) else Code.FAILED_PRECONDITION
                raise RpcError(code, str(error)) from None


def list_disks(machine: Machine) -> Any:
    """The machine's disks as an older client wants them."""
    system = machine.store.find(block.SYSTEM_DISK, "system-disk")
    found = [
        {
            "size": spec.size,
            "model": spec.model,
            "device_name": spec.dev_path,
            "serial": spec.serial,
            "modalias": spec.modalias,
            "uuid": spec.uuid,
            "wwid": spec.wwid,
            "type": tell_type(spec),
            "bus_path": spec.bus_path,
            "system_disk": system is not None and system.spec.disk_id == id,
            "subsystem": spec.sub_system,
            "readonly": spec.readonly,
        }
        for id, spec in sorted((each.id, each.spec) for each in machine.store.list(block.DISK))
    ]
    return message("storage.DisksResponse")(messages=[{"disks": found}])


def tell_type(spec: block.DiskSpec) -> str:
    """A word of storage.Disk.DiskType."""
    if spec.cdrom:
        return "CD"
    by_transport = {"nvme": "NVME", "mmc": "SD"}
    return by_transport.get(spec.transport, "HDD" if spec.rotational else "SSD")
