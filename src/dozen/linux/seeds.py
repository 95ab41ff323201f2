"""Disks that somebody attached to say what a machine is to be, and the node's own small volume, looked at early.

Two kinds of disks are known: one with the label ``metal-iso``, which has a file ``config.yaml``, and a cloud-init seed
of the kind NoCloud: label ``cidata``, files ``user-data``, ``meta-data`` and ``network-config``
(cloudinit/sources/DataSourceNoCloud.py's documentation). Either is ISO 9660 or FAT. The kernel reads them: a disk is
mounted for a moment, read-only, where nobody else looks.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from typing import NamedTuple

from dozen.linux import sys as linux
from dozen.linux.durable import read_text

METAL_ISO, CIDATA = "metal-iso", "cidata"
LABELS = (METAL_ISO, CIDATA)
FILES = {METAL_ISO: ("config.yaml",), CIDATA: ("user-data", "meta-data", "network-config")}
MODULES = {"iso9660": "isofs", "vfat": "vfat"}
# The volume descriptor of ISO 9660 ends here; a FAT's boot sector is the first one.
HEAD_BYTES = 34 * 1024
FILE_LIMIT = 4 << 20
SYSFS, DEVICES = "/sys/class/block", "/dev"
MOUNT_POINT = "/run/dozen-seed"
READ_ONLY = linux.MS_RDONLY | linux.MS_NOSUID | linux.MS_NODEV | linux.MS_NOEXEC
STATE, STATE_DIRECTORY = "STATE", "/system/state"
STATE_FLAGS = linux.MS_NOSUID | linux.MS_NODEV | linux.MS_NOEXEC

# The first bytes of an XFS (xfs_format.h, XFS_SB_MAGIC): a volume that is not made yet need not be tried.
XFS_MAGIC = b"XFSB"
FILESYSTEMS = "/proc/filesystems"
FILESYSTEM_PATIENCE, FILESYSTEM_POLL = 1.0, 0.005


class Seed(NamedTuple):
    """A disk with something to say: ``kind`` is one of `LABELS`."""

    kind: str
    device: str
    fstype: str


def kind_of(fstype: str, label: str) -> str:
    """Which kind of seed a file system with this label is, or ""."""
    return label.lower() if fstype in MODULES and label.lower() in LABELS else ""


def find_seeds(sysfs: str = SYSFS, devices: str = DEVICES) -> list[Seed]:
    """The seeds among the devices that are there by now, those labelled for this system first."""
    found = []
    for name in _names(sysfs):
        head = _read_head(f"{devices}/{name}")
        # Most disks have neither mark, and for them the readers of formats need not be imported.
        if head[32769:32774] == b"CD001" or b"FAT" in (head[54:57], head[82:85]):
            from dozen.linux.block_probe import read_iso9660, read_vfat

            held = read_iso9660(head) or read_vfat(head)
            if held is not None and (kind := kind_of(held.name, held.label)):
                found.append(Seed(kind, f"{devices}/{name}", held.name))
    return sorted(found, key=lambda seed: LABELS.index(seed.kind))


def _names(sysfs: str) -> list[str]:
    """Block devices that may be real disks or parts of them."""
    try:
        names = os.listdir(sysfs)
    except OSError:
        return []
    return sorted(name for name in names if not name.startswith(("ram", "loop", "zram", "fd", "nbd", "dm-", "md")))


def _read_head(path: str) -> bytes:
    """The beginning of a device, all of `HEAD_BYTES` or nothing."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return b""
    try:
        head = os.pread(descriptor, HEAD_BYTES, 0)
    except OSError:
        return b""
    finally:
        os.close(descriptor)
    return head if len(head) == HEAD_BYTES else b""


def read_seed(seed: Seed) -> dict[str, str]:
    """The files of a seed that are there, by name. Raises OSError and ValueError."""
    from dozen.linux import modules

    modules.load(MODULES[seed.fstype])
    os.makedirs(MOUNT_POINT, mode=0o700, exist_ok=True)
    linux.mount(seed.device, MOUNT_POINT, seed.fstype, READ_ONLY, "")
    try:
        return read_files(MOUNT_POINT, FILES[seed.kind])
    finally:
        linux.umount(MOUNT_POINT)


def read_files(folder: str, names: Iterable[str]) -> dict[str, str]:
    """Names are found whatever their case: FAT and plain ISO 9660 have none of their own."""
    present = {name.lower(): name for name in os.listdir(folder)}
    found = {}
    for name in names:
        # Without extensions ISO 9660 has eight characters, a dot and a version: "USER_DAT.;1" is "user-data".
        short = name.replace("-", "_")[:8]
        real = present.get(name) or present.get(short) or present.get(f"{short}.")
        text = read_text(f"{folder}/{real}", FILE_LIMIT) if real else None
        if text is not None:
            found[name] = text
    return found


def _holds_xfs(device: str) -> bool:
    try:
        with open(device, "rb", buffering=0) as stream:
            return stream.read(512).startswith(XFS_MAGIC)
    except OSError:
        return False


def wait_for_filesystem(name: str, path: str = FILESYSTEMS, patience: float = FILESYSTEM_PATIENCE) -> None:
    """Until the kernel knows a file system whose module stage 1's child is loading. Without, mount would start another
    program to load it, which takes longer; after ``patience`` seconds it does."""
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        with open(path) as stream:
            if name in stream.read().split():
                return
        time.sleep(FILESYSTEM_POLL)


def mount_state_early(sysfs: str = SYSFS) -> str:
    """Mount the volume STATE if it is there already and can only be this node's; the device, or "" for none.

    What does not work here is tried again, and told, by the plan of volumes once that runs.
    """
    found = [name for name in _names(sysfs) if _partition_name(f"{sysfs}/{name}") == STATE]
    if len(found) != 1 or os.path.ismount(STATE_DIRECTORY):
        return ""
    device = f"{DEVICES}/{found[0]}"
    if not _holds_xfs(device):
        return ""
    wait_for_filesystem("xfs")
    try:
        linux.mount(device, STATE_DIRECTORY, "xfs", STATE_FLAGS, "")
    except OSError:
        return ""
    return device


def _partition_name(folder: str) -> str:
    """What the partition table calls a partition (the kernel's PARTNAME), "" for what is none."""
    try:
        with open(f"{folder}/uevent") as stream:
            lines = stream.read().splitlines()
    except OSError:
        return ""
    return next((line.partition("=")[2] for line in lines if line.startswith("PARTNAME=")), "")
