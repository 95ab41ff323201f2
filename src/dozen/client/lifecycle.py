"""Calls that change what a machine is: resetting, upgrading and rolling back, and what is on its disks."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any, NamedTuple

from dozen.client.errors import NodeError
from dozen.client.images import instance
from dozen.client.machine import KUBERNETES_NAMESPACE, SYSTEM_NAMESPACE, Node
from dozen.client.state import list_records
from dozen.machinery.messages import enum, message

LIFECYCLE, LVM, STORAGE = "/machine.LifecycleService/", "/machine.LVMService/", "/storage.StorageService/"
MOUNTS, RUNTIME = "MountStatuses.block.talos.dev", "runtime"


class Reset(NamedTuple):
    """What a reset does. ``mode``: ALL, SYSTEM_DISK or USER_DISKS; no labels mean the whole system disk."""

    graceful: bool = True
    reboot: bool = False
    labels: Sequence[str] = ()
    user_disks: Sequence[str] = ()
    mode: str = "ALL"


async def reset(node: Node, wish: Reset) -> str:
    """Gives the actor id that marks the events of this reset."""
    request_class = message("machine.ResetRequest")
    request = request_class(
        graceful=wish.graceful,
        reboot=wish.reboot,
        system_partitions_to_wipe=[{"label": label, "wipe": True} for label in wish.labels],
        user_disks_to_wipe=list(wish.user_disks),
        mode=getattr(request_class, wish.mode),
    )
    return str((await node.ask("Reset", request)).actor_id)


async def rollback(node: Node) -> None:
    await node.ask("Rollback", message("machine.RollbackRequest")())


async def upgrade(node: Node, image: str) -> AsyncIterator[str]:
    """What the installer says, line by line. Raises NodeError when it fails."""
    request = message("machine.LifecycleServiceUpgradeRequest")(
        containerd=instance("system"), source={"image_name": image}
    )
    async for reply in node.listen(f"{LIFECYCLE}Upgrade", request):
        if reply.progress.WhichOneof("response") == "exit_code":
            if reply.progress.exit_code:
                raise NodeError(node.label, f"the installer of {image} ended with {reply.progress.exit_code}")
        else:
            yield str(reply.progress.message).rstrip("\n")


async def upgrade_as_before(node: Node, image: str, *, stage: bool, force: bool, mode: str) -> str:
    """The older call, after which the node reboots by itself. ``mode``: DEFAULT or POWERCYCLE. Gives the actor id."""
    request_class = message("machine.UpgradeRequest")
    request = request_class(image=image, stage=stage, force=force, preserve=True)
    request.reboot_mode = enum("machine.UpgradeRequest.RebootMode").Value(mode)
    return str((await node.ask("Upgrade", request)).actor_id)


async def restart(node: Node, id: str, *, kubernetes: bool = False) -> None:
    """End a container; what it belongs to starts it again."""
    driver = enum("common.ContainerDriver").Value("CRI" if kubernetes else "CONTAINERD")
    namespace = KUBERNETES_NAMESPACE if kubernetes else SYSTEM_NAMESPACE
    await node.ask("Restart", message("machine.RestartRequest")(namespace=namespace, id=id, driver=driver))


# -- Disks.


class Space(NamedTuple):
    """A mounted file system: ``info`` is machine.StorageServiceStatfsResponse."""

    source: str
    target: str
    filesystem: str
    info: Any


async def measure_mounts(node: Node) -> list[Space]:
    """The volumes that are mounted, and their space."""
    found = [record.spec async for record in list_records(node, MOUNTS, RUNTIME)]
    request = message("machine.StorageServiceStatfsRequest")
    return [
        Space(
            each.get("source", ""),
            each["target"],
            each.get("filesystem", ""),
            await node.ask("/machine.StorageService/Statfs", request(path=each["target"])),
        )
        for each in found
    ]


async def wipe(node: Node, devices: Sequence[str], method: str = "FAST", **options: bool) -> None:
    """``options``: skip_volume_check, skip_secondary_check, drop_partition."""
    number = enum("storage.BlockDeviceWipeDescriptor.Method").Value(method)
    wishes = [{"device": device, "method": number, **options} for device in devices]
    await node.ask(f"{STORAGE}BlockDeviceWipe", message("storage.BlockDeviceWipeRequest")(devices=wishes))


async def remove_logical_volume(node: Node, group: str, volume: str) -> None:
    request = message("machine.LVMServiceLogicalVolumeRemoveRequest")(volume_group=group, logical_volume=volume)
    await node.ask(f"{LVM}LogicalVolumeRemove", request)


async def remove_group(node: Node, group: str) -> None:
    request = message("machine.LVMServiceVolumeGroupRemoveRequest")(volume_group=group)
    await node.ask(f"{LVM}VolumeGroupRemove", request)


async def remove_physical_volume(node: Node, device: str) -> None:
    request = message("machine.LVMServicePhysicalVolumeRemoveRequest")(device=device)
    await node.ask(f"{LVM}PhysicalVolumeRemove", request)
