"""/var on the data disk: made on a blank disk, kept over a pulled plug, repaired when damaged, never made over data."""

from __future__ import annotations

from pathlib import Path

import pytest

from dozen.linux.gpt import Partition, parse_table
from dozen.testing.booter import Booter
from dozen.testing.live import LiveNode
from dozen.testing.toolbox import Toolbox

SECTOR = 512
XFS_MAGIC = b"XFSB"
# Offset of the checksum in an XFS superblock (xfs_format.h, struct xfs_dsb).
SB_CRC = 224


def partitions(disk: Path) -> dict[str, Partition]:
    with disk.open("rb") as file:

        def read(offset: int, size: int) -> bytes:
            file.seek(offset)
            return file.read(size)

        table = parse_table(read, disk.stat().st_size, SECTOR)
    assert table
    return {partition.name: partition for partition in table.partitions}


@pytest.fixture(scope="module")
def own(boot_for_module: Booter) -> LiveNode:
    """A machine whose disk may be damaged."""
    node = boot_for_module("ephemeral")
    node.until_healthy("containerd")
    return node


def test_a_blank_disk_gets_meta_and_ephemeral(own: LiveNode) -> None:
    found = partitions(own.machine.folder / "disk.raw")
    assert {"META", "EPHEMERAL"} <= set(found)
    volumes = own.resources("VolumeStatuses.block.talos.dev", "runtime")
    assert volumes["EPHEMERAL"]["phase"] == "ready"
    with (own.machine.folder / "disk.raw").open("rb") as file:
        file.seek(found["EPHEMERAL"].first * SECTOR)
        assert file.read(4) == XFS_MAGIC


def test_what_was_written_outlives_a_pulled_plug(boot_for_module: Booter, own: LiveNode, archive: bytes) -> None:
    toolbox = Toolbox(own)
    toolbox.install(archive)
    toolbox.check("mkdir -p /host/var/lib/test && echo kept > /host/var/lib/test/file && sync")
    boot_for_module.pull_plug(own)
    boot_for_module.plug_in(own)
    own.until_healthy("containerd")
    assert own.read("/var/lib/test/file") == b"kept\n"


def test_a_damaged_file_system_is_repaired(boot_for_module: Booter, own: LiveNode) -> None:
    disk = own.machine.folder / "disk.raw"
    boot_for_module.pull_plug(own)
    with disk.open("r+b") as file:
        file.seek(partitions(disk)["EPHEMERAL"].first * SECTOR + SB_CRC)
        file.write(b"\xde\xad\xbe\xef")
    boot_for_module.plug_in(own)
    own.until_healthy("containerd", seconds=180)
    assert own.read("/var/lib/test/file") == b"kept\n"
    assert "xfs_repair" in own.dmesg()


def test_a_disk_with_anything_on_it_is_left_alone(boot: Booter, tmp_path: Path) -> None:
    """The node formats blank disks only: one with somebody's data stays as it is, and the node says what it misses."""
    disk = tmp_path / "taken.raw"
    with disk.open("wb") as file:
        file.truncate(1 << 30)
        # An ext4 superblock's magic number, where mke2fs puts it.
        file.seek(1024 + 56)
        file.write(b"\x53\xef")
    before = disk.read_bytes()[: 1 << 20]
    node = boot("taken", disk_mib=0, disks={"taken": disk})
    reason = node.until(lambda: node.problems().get("ephemeral"), "a reason", 120)
    assert "disk" in reason
    assert node.services()["containerd"].state == "Waiting"
    assert disk.read_bytes()[: 1 << 20] == before
