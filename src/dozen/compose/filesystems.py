"""Packs a tree into a file-system image, and lays it out as files for the native lane."""

from __future__ import annotations

import os
import shutil
import tempfile
import uuid
from pathlib import Path
from typing import Literal

import msgspec

from dozen.compose.archives import write_tar
from dozen.compose.cache import write_whole
from dozen.compose.objects import object_path
from dozen.compose.toolroot import ToolRoot
from dozen.compose.tree import Entry, Tree

Profile = Literal["dev", "release"]

# dev: made in a second, four times as large. release: xz with the filter for machine code is the smallest by a seventh
# (zstd 57 MB, xz without it 53, with it 49). What xz usually costs at boot comes from small files that share a block:
# each read unpacks the whole of it. Without fragments every small file is a block of its own, for 2 MB more; processor
# seconds until the API's first process under emulation: erofs 5.9, zstd 6.9, xz 12.8, xz without fragments 9.
MAKERS: dict[Profile, list[str]] = {
    "dev": [
        "mkfs.erofs",
        "--quiet",
        "--tar=f",
        "-T{epoch}",
        "-U{uuid}",
        "-x-1",
        "/tmp/work/rootfs.img",
        "/tmp/work/tar",
    ],
    "release": [
        *("mksquashfs", "-", "/tmp/work/rootfs.img", "-tar", "-quiet", "-no-progress", "-noappend", "-no-xattrs"),
        *("-comp", "xz", "-Xbcj", "x86", "-b", "1M", "-no-fragments", "-mkfs-time", "{epoch}", "-all-time", "{epoch}"),
        *("-all-root", "-root-mode", "0755"),
    ],
}


def make_image(tree: Tree, epoch: int, identity: str, profile: Profile, toolroot: ToolRoot, out: Path) -> None:
    """Write the root file system to ``out``. ``identity`` (a hash of the content) becomes its UUID."""
    name = str(uuid.UUID(identity[:32]))
    with tempfile.TemporaryDirectory(prefix=".pack-", dir=out.parent) as scratch:
        work = Path(scratch)
        write_tar(tree, epoch, work / "tar")
        argv = [word.format(epoch=epoch, uuid=name) for word in MAKERS[profile]]
        data = (work / "tar").read_bytes() if "-tar" in argv else None
        toolroot.run(argv, {work: "/tmp/work"}, input=data)
        (work / "rootfs.img").chmod(0o644)
        (work / "rootfs.img").rename(out)


class Laid(msgspec.Struct, frozen=True, array_like=True):
    """What was laid out at a path, to be compared with next time."""

    kind: str
    mode: int
    content: str


def lay_out(tree: Tree, root: Path) -> None:
    """Make ``root`` hold the tree's files; what has not changed since the last time is left alone.

    Files are copies, so nothing that happens below ``root`` reaches the cache.
    """
    record = root.with_name(f".{root.name}.json")
    have = msgspec.json.decode(record.read_bytes(), type=dict[str, Laid]) if record.exists() and root.is_dir() else {}
    record.unlink(missing_ok=True)
    if not have and root.exists():
        shutil.rmtree(root)
    root.mkdir(parents=True, exist_ok=True)
    want = {entry.path: Laid(entry.kind, entry.mode, entry.sha256 or entry.target) for entry in tree.sorted()}
    for path in sorted(have, reverse=True):
        if have[path] != want.get(path):
            remove(root / path[1:], keep=want.get(path, Laid("", 0, "")).kind == "directory")
    for entry in tree.sorted():
        if have.get(entry.path) != want[entry.path]:
            place_entry(entry, root)
    write_whole(record, msgspec.json.encode(want))


def remove(path: Path, *, keep: bool) -> None:
    if path.is_dir() and not path.is_symlink():
        if not keep:
            path.rmdir()
    else:
        path.unlink(missing_ok=True)


def place_entry(entry: Entry, root: Path) -> None:
    path = root / entry.path[1:]
    if entry.kind == "directory":
        path.mkdir(exist_ok=True)
        path.chmod(entry.mode)
    elif entry.kind == "link":
        path.symlink_to(entry.target)
    elif entry.kind == "hardlink":
        os.link(root / entry.target[1:], path)
    else:
        shutil.copyfile(object_path(entry.sha256), path)
        path.chmod(entry.mode)
