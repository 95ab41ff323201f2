"""Observes the table of mounts: every mount of the node itself, and which volumes are among them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from dozen.linux.mounts import MountChanges, Mounted, read_mounts
from dozen.machinery.resources import block, runtime

if TYPE_CHECKING:
    from dozen.engine.publisher import Publisher

# Which volume lives where; everything else that is mounted is somebody's own business.
VOLUMES = {"/var": "EPHEMERAL", "/system/state": "STATE"}
# Mounts that containers come and go with; a node has hundreds of them, and containerd tells about them.
PRIVATE = ("/run/containerd/", "/var/lib/containerd/", "/var/lib/kubelet/pods/", "/run/netns/", "/var/run/netns/")
WIRE_FILESYSTEMS = frozenset(("xfs", "vfat", "ext4", "iso9660", "swap", "virtiofs", "btrfs"))


class MountWatcher:
    """Publishes all mounts but containers' as runtime MountStatus, and volumes as block MountStatus too."""

    name = "mounts"
    outputs = (runtime.MOUNT_STATUS, block.MOUNT_STATUS)

    async def run(self, publish: Publisher) -> None:
        changes = MountChanges()
        try:
            while True:
                mounts = read_mounts()
                publish.replace(runtime.MOUNT_STATUS, describe_mounts(mounts))
                publish.replace(block.MOUNT_STATUS, describe_volumes(mounts))
                await changes.wait()
        finally:
            changes.close()


def describe_mounts(mounts: Iterable[Mounted]) -> dict[str, runtime.MountStatusSpec]:
    """By target; of several mounts on one directory the newest is the one that is seen."""
    return {
        each.target: runtime.MountStatusSpec(
            source=each.source,
            target=each.target,
            filesystem_type=each.fstype,
            options=(*each.options, *(word for word in each.super_options if word not in each.options)),
        )
        for each in mounts
        if not each.target.startswith(PRIVATE)
    }


def describe_volumes(mounts: Iterable[Mounted]) -> dict[str, block.MountStatusSpec]:
    """By the name of the volume."""
    return {
        VOLUMES[each.target]: block.MountStatusSpec(
            spec=block.MountRequest(
                volume_id=VOLUMES[each.target],
                read_only=each.read_only,
                secure="nosuid" in each.options and "nodev" in each.options,
                no_exec="noexec" in each.options,
                requesters=("machined",),
            ),
            source=each.source,
            target=each.target,
            filesystem=each.fstype if each.fstype in WIRE_FILESYSTEMS else "none",
            read_only=each.read_only,
            project_quota_support="prjquota" in each.super_options,
        )
        for each in mounts
        if each.target in VOLUMES
    }
