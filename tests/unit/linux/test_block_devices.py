"""Block devices as sysfs shows them, from small copies of its tree."""

from __future__ import annotations

from pathlib import Path

import pytest

from dozen.linux import block_kinds as words
from dozen.linux.block_devices import (
    Device,
    natural,
    pretty_size,
    probe_device,
    read_devices,
    read_links,
    root_device,
)

MIB = 1 << 20


def add(root: Path, place: str, **attributes: str) -> Path:
    """A device at ``place`` below /sys/devices, linked from /sys/class/block. ``__`` in a name stands for a slash."""
    path = root / "devices" / place
    for name, text in attributes.items():
        file = path / name.replace("__", "/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"{text}\n")
    links = root / "class/block"
    links.mkdir(parents=True, exist_ok=True)
    (links / path.name).symlink_to(path)
    return path


@pytest.fixture
def sysfs(tmp_path: Path) -> Path:
    disk = "pci0000:00/0000:00:03.0/virtio1/block/vdb"
    add(
        tmp_path,
        disk,
        dev="254:16",
        size=str(4096 * MIB // 512),
        ro="0",
        diskseq="9",
        serial="data-1",
        queue__logical_block_size="512",
        queue__minimum_io_size="4096",
        queue__rotational="1",
        device__modalias="virtio:d00000002v00001AF4",
    )
    add(
        tmp_path, f"{disk}/vdb1", dev="254:17", size="2048", start="2048", partition="1", ro="0", uevent="PARTNAME=META"
    )
    add(tmp_path, f"{disk}/vdb10", dev="254:26", size="2048", start="9999", partition="10", ro="0", uevent="")
    add(
        tmp_path,
        "pci0000:00/0000:00:1f.2/ata1/host0/target0:0:0/0:0:0:0/block/sr0",
        dev="11:0",
        size="2000",
        ro="1",
        device__model="QEMU   DVD-ROM",
    )
    add(tmp_path, "virtual/block/loop0", dev="7:0", size="0", ro="0")
    add(
        tmp_path,
        "pci0000:00/0000:00:04.0/nvme/nvme0/nvme0n1",
        dev="259:0",
        size="20",
        ro="0",
        diskseq="3",
        wwid="nvme.1b36",
        device__serial="S1",
        device__model="QEMU NVMe Ctrl",
        device__firmware_rev="1.0",
        queue__logical_block_size="4096",
    )
    (tmp_path / "devices/pci0000:00/0000:00:03.0/virtio1/block/vdb/slaves").mkdir()
    return tmp_path


def by_name(sysfs: Path) -> dict[str, Device]:
    return {device.name: device for device in read_devices(str(sysfs))}


def test_what_has_no_size_is_left_out(sysfs: Path) -> None:
    assert [device.name for device in read_devices(str(sysfs))] == ["sr0", "vdb", "vdb1", "vdb10", "nvme0n1"]


def test_a_disk(sysfs: Path) -> None:
    disk = by_name(sysfs)["vdb"]
    assert (disk.major, disk.minor, disk.size, disk.generation) == (254, 16, 4096 * MIB, 9)
    assert (disk.serial, disk.transport, disk.rotational, disk.io_size) == ("data-1", "virtio", True, 4096)
    assert disk.bus_path == "/pci0000:00/0000:00:03.0/virtio1"
    assert (disk.path, disk.is_disk, disk.is_partition) == ("/dev/vdb", True, False)


def test_a_partition_knows_its_disk(sysfs: Path) -> None:
    part = by_name(sysfs)["vdb1"]
    assert (part.parent, part.number, part.offset, part.size) == ("vdb", 1, MIB, MIB)
    assert (part.partition_name, part.generation, part.io_size) == ("META", 9, 4096)
    assert not part.is_disk


def test_a_drive_for_discs_is_no_disk(sysfs: Path) -> None:
    drive = by_name(sysfs)["sr0"]
    assert (drive.is_cdrom, drive.is_disk, drive.read_only, drive.model) == (True, False, True, "QEMU DVD-ROM")


def test_an_nvme_disk(sysfs: Path) -> None:
    disk = by_name(sysfs)["nvme0n1"]
    assert (disk.transport, disk.wwid, disk.serial, disk.firmware) == ("nvme", "nvme.1b36", "S1", "1.0")
    assert disk.sector_size == 4096


def test_a_machine_without_block_devices(tmp_path: Path) -> None:
    assert read_devices(str(tmp_path)) == []


def test_the_root_device_is_found_by_its_number(tmp_path: Path) -> None:
    number = tmp_path.stat().st_dev
    here = Device("vda", number >> 8 & 0xFFF, number & 0xFF, MIB, 1)
    assert root_device([Device("vdz", 1, 1, MIB, 1)], str(tmp_path)) is None
    assert root_device([here], str(tmp_path)) in (here, None)


def test_links_are_told_by_their_device(tmp_path: Path) -> None:
    (tmp_path / "by-id").mkdir()
    (tmp_path / "vdb").write_text("")
    for name in ("virtio-data", "wwn-1"):
        (tmp_path / "by-id" / name).symlink_to("../vdb")
    assert read_links(str(tmp_path)) == {"vdb": (f"{tmp_path}/by-id/virtio-data", f"{tmp_path}/by-id/wwn-1")}


def test_a_device_that_cannot_be_opened_is_unreadable() -> None:
    found = probe_device(Device("there-is-no-such-device", 1, 1, MIB, 1))
    assert (found.content, found.error) == (words.UNREADABLE, "No such file or directory")


def test_names_sort_as_people_count() -> None:
    names = ["sdaa", "vda10", "sdb", "nvme0n1p2", "vda2", "nvme0n1p10", "vda", "sda"]
    expected = ["sda", "sdb", "vda", "vda2", "vda10", "nvme0n1p2", "nvme0n1p10", "sdaa"]
    assert sorted(names, key=natural) == expected


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"),
        (512, "512 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (1 << 20, "1.0 MB"),
        (42_000_000, "42 MB"),
        (6_442_450_944, "6.4 GB"),
        (999_600_000_000, "1.0 TB"),
        (1 << 60, "1.2 EB"),
    ],
)
def test_sizes_are_shown_in_thousands(size: int, text: str) -> None:
    assert pretty_size(size) == text
