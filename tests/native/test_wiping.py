"""Wiping a block device of this computer's kernel: a file behind a loop device, with partitions on it."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from dozen.linux import block_kinds as words
from dozen.linux.block import run as run_on_block
from dozen.linux.block_devices import Device, probe_device
from dozen.linux.block_outcomes import Outcomes
from dozen.linux.wipe import run
from dozen.machinery.effects.block import WritePartitionTable
from dozen.machinery.effects.wipe import DropPartition, WipeDevice
from dozen.machinery.plan import Permanent
from native.privileges import needs_root

MIB = 1 << 20
NodeOf = Callable[[str], str]
TOOLS = ("losetup", "partx", "mkfs.ext4")
LOSETUP, PARTX, MKFS = (shutil.which(name, path="/usr/sbin:/sbin:/usr/bin:/bin") or "" for name in TOOLS)

pytestmark = [
    needs_root,
    pytest.mark.skipif(not (LOSETUP and PARTX and MKFS), reason=f"one of {', '.join(TOOLS)} is missing"),
]


@pytest.fixture
def loop(tmp_path: Path) -> Iterator[str]:
    """A blank disk, and its partitions once it has some."""
    file = tmp_path / "disk"
    with file.open("wb") as stream:
        stream.truncate(512 * MIB)
    done = subprocess.run([LOSETUP, "--find", "--show", "--partscan", str(file)], capture_output=True, check=True)
    path = done.stdout.decode().strip()
    try:
        yield path
    finally:
        subprocess.run([LOSETUP, "--detach", path], check=True)


def content(path: str) -> str:
    with open(path, "rb") as stream:
        size = stream.seek(0, os.SEEK_END)
    return probe_device(Device(os.path.basename(path), 0, 0, size, 0)).content


def partitions(path: str) -> list[str]:
    name = os.path.basename(path)
    return sorted(each for each in os.listdir(f"/sys/block/{name}") if each.startswith(f"{name}p"))


def partition(path: str) -> None:
    layout = (("one", 64 * MIB), ("two", 400 * MIB))

    async def refuse(*_: object) -> tuple[int, bytes]:
        raise AssertionError("no program is needed")

    asyncio.run(run_on_block(WritePartitionTable(path, 1, layout, words.BLANK), refuse, Outcomes()))
    if not partitions(path):
        # A kernel that was built without reading such tables is told of the partitions one by one.
        subprocess.run([PARTX, "--add", path], check=True)


@contextmanager
def mounted(device: str, folder: Path) -> Iterator[None]:
    subprocess.run(["mount", "-t", "ext4", device, str(folder)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", str(folder)], check=True)


@pytest.fixture
def node_of() -> Iterator[NodeOf]:
    """Makes the node of a partition in /dev where nothing else does it."""
    made: list[str] = []

    def make(name: str) -> str:
        path = f"/dev/{name}"
        if not os.path.exists(path):
            major, minor = (int(each) for each in Path(f"/sys/class/block/{name}/dev").read_text().split(":"))
            os.mknod(path, 0o60600, os.makedev(major, minor))
            made.append(path)
        return path

    yield make
    for path in made:
        os.unlink(path)


def make_filesystem(device: str) -> None:
    subprocess.run([MKFS, "-q", "-F", device], check=True)


def test_a_disk_and_its_partitions_are_wiped(loop: str, node_of: NodeOf) -> None:
    partition(loop)
    assert len(partitions(loop)) == 2
    second = node_of(f"{os.path.basename(loop)}p2")
    make_filesystem(second)
    assert content(second) == words.RECOGNIZED
    asyncio.run(run(WipeDevice(loop), Outcomes()))
    assert partitions(loop) == []
    assert content(loop) == words.BLANK
    # The same partitions made again come up empty: no file system is to be found or repaired from what is left of it.
    partition(loop)
    assert content(node_of(f"{os.path.basename(loop)}p2")) == words.BLANK


def test_what_is_mounted_is_not_wiped(loop: str, node_of: NodeOf, tmp_path: Path) -> None:
    partition(loop)
    second = node_of(f"{os.path.basename(loop)}p2")
    make_filesystem(second)
    folder = tmp_path / "mounted"
    folder.mkdir()
    with mounted(second, folder):
        for device in (second, loop):
            with pytest.raises(Permanent, match=re.escape(f"cannot wipe {device}: something uses it")):
                asyncio.run(run(WipeDevice(device), Outcomes()))
    assert content(second) == words.RECOGNIZED


def test_a_partition_goes_while_its_neighbour_is_in_use(loop: str, node_of: NodeOf, tmp_path: Path) -> None:
    partition(loop)
    name = os.path.basename(loop)
    second = node_of(f"{name}p2")
    make_filesystem(second)
    folder = tmp_path / "mounted"
    folder.mkdir()
    with mounted(second, folder):
        asyncio.run(run(DropPartition(loop, 1), Outcomes()))
        assert partitions(loop) == [f"{name}p2"]
        with pytest.raises(Permanent, match="has no partition 1"):
            asyncio.run(run(DropPartition(loop, 1), Outcomes()))
    assert content(second) == words.RECOGNIZED
