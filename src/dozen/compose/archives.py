"""Writes a tree as an archive: tar for the file-system makers, cpio for the initramfs. Same tree, same bytes.

Every entry belongs to root and has the build's time; nothing is read but objects and entries, so the build machine's
users, clock and file system leave no trace.
"""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from dozen.compose.objects import get_object
from dozen.compose.tree import Tree

TYPES = {"file": tarfile.REGTYPE, "hardlink": tarfile.LNKTYPE, "link": tarfile.SYMTYPE, "directory": tarfile.DIRTYPE}
BLOCK = 512


def write_tar(tree: Tree, epoch: int, path: Path) -> None:
    """The tree as a GNU tar file with relative names."""
    with path.open("wb") as stream, tarfile.open(fileobj=stream, mode="w", format=tarfile.GNU_FORMAT) as tar:
        # Without an entry of its own the root directory gets mode 0777, and the launcher's seal refuses the image.
        root = tarfile.TarInfo("./")
        root.type, root.mode, root.mtime = tarfile.DIRTYPE, 0o755, epoch
        tar.addfile(root)
        for entry in tree.sorted():
            info = tarfile.TarInfo(entry.path.lstrip("/"))
            info.type = TYPES[entry.kind]
            info.mode = entry.mode
            info.mtime = epoch
            info.linkname = entry.target.lstrip("/") if entry.kind == "hardlink" else entry.target
            if entry.kind == "file":
                data = get_object(entry.sha256)
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))
            else:
                tar.addfile(info)


class Member(NamedTuple):
    """An entry of a cpio archive; ``mode`` includes the type bits, ``device`` is (major, minor) of a node."""

    name: str
    mode: int
    data: bytes = b""
    device: tuple[int, int] = (0, 0)


def make_cpio(members: Iterable[Member], epoch: int) -> bytes:
    """A ``newc`` archive, the format of an initramfs (the kernel's buffer-format document)."""
    out = bytearray()
    end = Member("TRAILER!!!", 0)
    for number, member in enumerate([*members, end], start=1):
        name = member.name.encode() + b"\0"
        last = member is end
        fields = (
            *(0 if last else number, member.mode, 0, 0, 1, 0 if last else epoch, len(member.data)),
            *(0, 0, *member.device, len(name), 0),
        )
        out += b"070701" + b"".join(b"%08X" % field for field in fields) + name
        out += b"\0" * (-len(out) % 4)
        out += member.data
        out += b"\0" * (-len(out) % 4)
    out += b"\0" * (-len(out) % BLOCK)
    return bytes(out)
