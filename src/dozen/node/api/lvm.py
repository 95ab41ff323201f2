"""Removing LVM's volumes, groups and labels."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Literal

from dozen.machinery.effects.lvm import RemoveVolume
from dozen.machinery.messages import message
from dozen.machinery.resources import block
from dozen.node.api.storage import change_disks
from dozen.rpc.router import Router
from dozen.rpc.status import Code, RpcError

if TYPE_CHECKING:
    from dozen.node.api.ports import Machine

SERVICE = "/machine.LVMService"
# lvm(8), "VALID NAMES".
_NAME = re.compile(r"[A-Za-z0-9_+.][A-Za-z0-9_+.-]*\Z")


def register(router: Router, machine: Machine) -> None:
    """Serve the calls of this theme."""

    async def remove(kind: Literal["lv", "vg", "pv"], name: str) -> Any:
        await change_disks(machine, [RemoveVolume(kind, name)])
        return message("google.protobuf.Empty")()

    async def remove_logical_volume(call: object, request: Any) -> Any:
        group = check_name(request.volume_group, "volume group")
        return await remove("lv", f"{group}/{check_name(request.logical_volume, 'logical volume')}")

    async def remove_group(call: object, request: Any) -> Any:
        return await remove("vg", check_name(request.volume_group, "volume group"))

    async def remove_physical_volume(call: object, request: Any) -> Any:
        name = request.device.removeprefix("/dev/")
        if not name:
            raise RpcError(Code.INVALID_ARGUMENT, "say which device")
        if machine.store.find(block.BLOCK_DEVICE, name) is None:
            raise RpcError(Code.NOT_FOUND, f'there is no block device "{name}": `get blockdevices` lists them')
        return await remove("pv", f"/dev/{name}")

    prefix = "machine.LVMService"
    router.unary(f"{SERVICE}/LogicalVolumeRemove", f"{prefix}LogicalVolumeRemoveRequest", remove_logical_volume)
    router.unary(f"{SERVICE}/VolumeGroupRemove", f"{prefix}VolumeGroupRemoveRequest", remove_group)
    router.unary(f"{SERVICE}/PhysicalVolumeRemove", f"{prefix}PhysicalVolumeRemoveRequest", remove_physical_volume)


def check_name(name: str, what: str) -> str:
    """A name as LVM takes it, and never an option of its programs. Raises INVALID_ARGUMENT."""
    if not name:
        raise RpcError(Code.INVALID_ARGUMENT, f"say which {what}")
    if not _NAME.match(name) or name in (".", ".."):
        raise RpcError(Code.INVALID_ARGUMENT, f'"{name}" is no name of a {what}')
    return name
