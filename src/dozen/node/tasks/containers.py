"""What containers need of the node before the first of them: places to write, the prepared images, network plugins.

The root file system is read-only, and its places for other people's files are bound to the data disk. The disk with
the prepared images is known by its label. All of it happens once the data volume is there, before containerd starts.
"""

from __future__ import annotations

import asyncio
import logging
import os
from typing import TYPE_CHECKING

import msgspec

from dozen.linux import sys as linux
from dozen.machinery import imagecache
from dozen.machinery.resources import block, cri

if TYPE_CHECKING:
    from dozen.node.machine import Machine

log = logging.getLogger("dozen.containers")

CACHE = "/system/imagecache/disk"
STORE = "/var/lib/containerd"
PLUGINS = "/opt/cni/bin"


class Place(msgspec.Struct, frozen=True):
    """A directory of the read-only root and what is written there in truth."""

    path: str
    source: str
    reason: str


PLACES = (
    Place("/opt", "/var/system/opt", "network plugins, and what others bring along"),
    Place("/etc/cni", "/var/system/etc-cni", "the cluster network's configuration"),
    Place("/usr/libexec/kubernetes", "/var/system/libexec-kubernetes", "volume plugins of storage drivers"),
    Place("/etc/kubernetes", "/system/etc/kubernetes", "static pods and what they read; ends with the node"),
)
FOLDERS = (
    *(("/etc/kubernetes/manifests", 0o700), ("/var/lib/kubelet", 0o700), ("/var/lib/cni", 0o700)),
    *(("/var/log/pods", 0o755), ("/var/log/containers", 0o755), ("/var/mnt", 0o755), ("/run/containerd", 0o711)),
)


async def prepare_containers(machine: Machine) -> None:
    """Everything that is named above. What fails is told as a problem, and containerd starts all the same."""
    if machine.mode == "container":
        return
    device = find_cache(machine)
    try:
        await asyncio.to_thread(prepare, device)
        machine.clear_problem("containers")
        spec = cri.ImageCacheConfigSpec(
            status="ready" if device else "disabled",
            copy_status="ready" if device else "skipped",
            roots=(CACHE,) if device else (),
        )
        machine.store.put(cri.IMAGE_CACHE_CONFIG, cri.IMAGE_CACHE, spec, owner="containers")
    except OSError as error:
        machine.report_problem("containers", f"the ground for containers could not be laid: {error}", error=error)


def find_cache(machine: Machine) -> str:
    """The disk with the prepared images, empty when there is none."""
    for volume in machine.store.list(block.DISCOVERED_VOLUME):
        if volume.spec.label == imagecache.LABEL and volume.spec.name == "erofs":
            return volume.spec.dev_path
    return ""


def prepare(device: str) -> None:
    from pathlib import Path

    from dozen.linux import containerstore, etclayer

    # What kubelet mounts in its own container has to be seen by everyone else (mount_namespaces(7)).
    linux.mount("none", "/", "", linux.MS_REC | linux.MS_SHARED, "")
    with etclayer.lock:
        for place in PLACES:
            os.makedirs(place.source, mode=0o755, exist_ok=True)
            if not os.path.ismount(place.path):
                linux.mount(place.source, place.path, "", linux.MS_BIND, "")
    for folder, mode in FOLDERS:
        os.makedirs(folder, mode=mode, exist_ok=True)
    os.makedirs(CACHE, exist_ok=True)
    if device and not os.path.ismount(CACHE):
        flags = linux.MS_RDONLY | linux.MS_NOSUID | linux.MS_NODEV
        linux.mount(device, CACHE, "erofs", flags, "")
    if containerstore.seed(Path(CACHE), Path(STORE)):
        source = containerstore.inside(Path(CACHE), imagecache.PLUGINS)
        count = containerstore.install_programs(source, Path(PLUGINS))
        log.info("containers images=%s plugins=%d begun anew", device or "none", count)
