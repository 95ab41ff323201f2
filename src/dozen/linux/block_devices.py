"""The block devices of a machine as sysfs shows them, and reading what they hold.

A *disk* is a whole device, a *partition* a part of one; both have an entry in /sys/class/block. Sizes in sysfs count
512 bytes whatever the device's sectors are. Sources: Documentation/ABI/stable/sysfs-block, and for serial numbers the
attributes of each driver (virtio_blk, nvme, scsi's VPD pages).
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from dozen.linux import block_kinds as words
from dozen.linux.block_probe import Probe, probe
from dozen.linux.sysfs import read_attribute

SYSFS = "/sys"
LINKS = "/dev/disk"
SYSFS_SECTOR = 512
# Whole devices that are no disks of the machine: memory, files, network, other devices in disguise.
VIRTUAL = re.compile(r"(ram|loop|zram|dm-|md|fd|nbd|rbd|drbd|sr)\d")
CDROM = re.compile(r"sr\d")
# What a device's place in sysfs says about how it is attached; the first that fits.
TRANSPORTS = (
    ("/virtio", "virtio"), ("/nvme", "nvme"), ("/usb", "usb"), ("/mmc_host", "mmc"), ("/ata", "sata"),
    ("/end_device", "sas"), ("/host", "scsi"),
)  # fmt: skip


class Device(NamedTuple):
    """One entry of /sys/class/block. Sizes and offsets are bytes; ``parent`` and ``number`` are a partition's."""

    name: str
    major: int
    minor: int
    size: int
    generation: int
    parent: str = ""
    number: int = 0
    offset: int = 0
    partition_name: str = ""
    read_only: bool = False
    sector_size: int = 512
    io_size: int = 512
    rotational: bool = False
    model: str = ""
    firmware: str = ""
    serial: str = ""
    modalias: str = ""
    wwid: str = ""
    uuid: str = ""
    bus_path: str = ""
    transport: str = ""
    secondaries: tuple[str, ...] = ()

    @property
    def path(self) -> str:
        return f"/dev/{self.name}"

    @property
    def is_partition(self) -> bool:
        return self.number > 0

    @property
    def is_cdrom(self) -> bool:
        return CDROM.match(self.name) is not None

    @property
    def is_disk(self) -> bool:
        """A disk of the machine that data could be kept on."""
        return not self.is_partition and VIRTUAL.match(self.name) is None


def read_devices(root: str = SYSFS) -> list[Device]:
    """All block devices that have a size, disks before their partitions."""
    folder = f"{root}/class/block"
    found: dict[str, Device] = {}
    try:
        names = os.listdir(folder)
    except OSError:
        return []
    for name in sorted(names, key=natural):
        device = _read_device(os.path.realpath(f"{folder}/{name}"), root)
        if device is not None:
            found[name] = device
    return [_with_parents_attributes(device, found.get(device.parent)) for device in found.values()]


def natural(name: str) -> tuple[int, str, tuple[tuple[int, str], ...]]:
    """A sort key by which sdb comes before sdaa, and vda2 before vda10."""
    letters = len(re.match(r"[a-z]*", name)[0])  # type: ignore[index] # an empty match is a match
    parts = tuple((int(digits or 0), text) for digits, text in re.findall(r"(\d+)|(\D+)", name[letters:]))
    return letters, name[:letters], parts


def _read_device(path: str, root: str) -> Device | None:
    name = os.path.basename(path)
    major, _, minor = read_attribute(f"{path}/dev").partition(":")
    sectors = _read_number(path, "size")
    if not major.isdigit() or not minor.isdigit() or sectors == 0:
        return None  # gone meanwhile, or a drive without a medium
    numbers = (int(major), int(minor), sectors * SYSFS_SECTOR)
    generation = _read_number(path, "diskseq")
    if os.path.exists(f"{path}/partition"):
        parent = os.path.basename(os.path.dirname(path))
        return Device(
            name,
            *numbers,
            generation=_read_number(os.path.dirname(path), "diskseq"),
            parent=parent,
            number=_read_number(path, "partition"),
            offset=_read_number(path, "start") * SYSFS_SECTOR,
            partition_name=_read_uevent(path).get("PARTNAME", ""),
            read_only=_read_number(path, "ro") != 0,
        )
    return Device(
        name,
        *numbers,
        generation=generation,
        read_only=_read_number(path, "ro") != 0,
        sector_size=_read_number(path, "queue/logical_block_size") or 512,
        io_size=_read_number(path, "queue/minimum_io_size") or 512,
        rotational=_read_number(path, "queue/rotational") != 0,
        secondaries=tuple(sorted(_list(f"{path}/slaves"))),
    )._replace(**_read_identity(path, root))


def _read_identity(path: str, root: str) -> dict[str, Any]:
    """What the maker says about a disk, where each driver puts it, and where it is attached."""
    bus = path.removeprefix(os.path.realpath(root))
    transport = next((name for part, name in TRANSPORTS if part in bus), "")
    return {
        "model": " ".join((read_attribute(f"{path}/device/model") or read_attribute(f"{path}/device/name")).split()),
        "firmware": read_attribute(f"{path}/device/firmware_rev") or read_attribute(f"{path}/device/rev"),
        "serial": read_attribute(f"{path}/serial")
        or read_attribute(f"{path}/device/serial")
        or _read_scsi_serial(path),
        "modalias": read_attribute(f"{path}/device/modalias"),
        "wwid": read_attribute(f"{path}/wwid") or read_attribute(f"{path}/device/wwid"),
        "uuid": read_attribute(f"{path}/uuid"),
        "bus_path": bus.removeprefix("/devices").partition("/block/")[0],
        "transport": "" if "/virtual/" in bus else transport,
    }


def _with_parents_attributes(device: Device, parent: Device | None) -> Device:
    if parent is None:
        return device
    return device._replace(sector_size=parent.sector_size, io_size=parent.io_size, rotational=parent.rotational)


def _read_scsi_serial(path: str) -> str:
    """Vital product data page 0x80: four bytes of head, then the number (SPC-4, 7.8.16)."""
    try:
        with open(f"{path}/device/vpd_pg80", "rb") as stream:
            return stream.read()[4:].decode("ascii", "replace").strip()
    except OSError:
        return ""


def _read_number(path: str, name: str) -> int:
    text = read_attribute(f"{path}/{name}")
    return int(text) if text.isdigit() else 0


def _read_uevent(path: str) -> dict[str, str]:
    lines = (line.partition("=") for line in read_attribute(f"{path}/uevent").splitlines())
    return {name: value for name, _, value in lines}


def _list(path: str) -> list[str]:
    try:
        return os.listdir(path)
    except OSError:
        return []


def read_links(root: str = LINKS) -> dict[str, tuple[str, ...]]:
    """The links that udevd made below /dev/disk, by the name of the device that they lead to."""
    found: dict[str, list[str]] = {}
    for folder in sorted(_list(root)):
        for name in sorted(_list(f"{root}/{folder}")):
            link = f"{root}/{folder}/{name}"
            found.setdefault(os.path.basename(os.path.realpath(link)), []).append(link)
    return {name: tuple(links) for name, links in found.items()}


def root_device(devices: Iterator[Device] | list[Device], path: str = "/") -> Device | None:
    """The device that the root file system is on; None when it has none of its own (an image in memory)."""
    number = os.stat(path).st_dev
    wanted = (os.major(number), os.minor(number))
    return next((device for device in devices if (device.major, device.minor) == wanted), None)


def probe_device(device: Device) -> Probe:
    """What the device holds. Never raises: a device that cannot be read is a finding. May block for long."""
    try:
        descriptor = os.open(device.path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            return probe(lambda at, length: os.pread(descriptor, length, at), device.size, device.sector_size)
        finally:
            os.close(descriptor)
    except OSError as error:
        return Probe(words.UNREADABLE, error=error.strerror or str(error))


def pretty_size(size: int) -> str:
    """``42 MB`` or ``6.4 GB``, in powers of 1000, as people's clients show sizes."""
    if size < 10:
        return f"{size} B"
    units = ("B", "kB", "MB", "GB", "TB", "PB", "EB")
    value, unit = float(size), 0
    while value >= 999.5 and unit < len(units) - 1:
        value /= 1000
        unit += 1
    return f"{value:.0f} {units[unit]}" if value >= 9.95 or unit == 0 else f"{value:.1f} {units[unit]}"
