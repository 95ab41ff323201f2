"""containerd's store on the data disk, begun from a read-only one that was prepared when the image was composed.

Importing the images of a control plane means hashing and unpacking half a gigabyte; that was done once, by the
composer. What is on its disk is a containerd root: two databases, blobs, and a directory for every layer. Here the
databases and small blobs are copied, since containerd writes to the one and the other would be more links than bytes;
every big blob and every layer becomes a symbolic link to the prepared one. overlayfs follows links in the path of a
lower layer, so containers run from the prepared disk, and the pages of a program are in memory once however many
containers run it.

Links are only right for the disk that they were made for. A store that came from another one (a newer system, or none
any more) is emptied and begun anew: what runs in pods is made again by kubelet, and images that were pulled are pulled
again. A store that never had to do with a prepared disk is left alone while there is none.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path

from dozen.machinery.imagecache import BLOBS, CONTAINERD, LISTING, METADATA, SNAPSHOTS

DATABASE = f"{METADATA}/meta.db"
ORIGIN = ".origin"
"""Names the prepared disk that a store was begun from."""
SMALL = 64 * 1024
"""Bytes. Manifests and configurations are well below, layers above."""


def inside(disk: Path, path: str) -> Path:
    """Where a path of the prepared disk is, while that is mounted at ``disk``."""
    return disk / path.lstrip("/")


def identify(disk: Path) -> str:
    """What tells one prepared disk from another: the hash of its list of images; empty when there is no disk."""
    try:
        return hashlib.sha256(inside(disk, LISTING).read_bytes()).hexdigest()
    except FileNotFoundError:
        return ""


def seed(disk: Path, root: Path) -> bool:
    """Makes sure that the store in ``root`` fits the prepared ``disk``; whether it was begun anew. Raises OSError.

    The name of the disk is written last, so that a store that was cut off half-way is begun again.
    """
    wanted = identify(disk)
    try:
        origin = (root / ORIGIN).read_text()
    except FileNotFoundError:
        origin = ""
    if origin == wanted and (wanted or not (root / ORIGIN).exists()):
        return False
    empty(root)
    if wanted:
        fill(inside(disk, CONTAINERD), root)
        (root / ORIGIN).write_text(wanted)
    return True


def empty(root: Path) -> None:
    """Removes what is in the store; links are removed, not what they lead to."""
    root.mkdir(mode=0o711, parents=True, exist_ok=True)
    for entry in list(root.iterdir()):
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()


def fill(prepared: Path, root: Path) -> None:
    for folder in (METADATA, BLOBS, f"{SNAPSHOTS}/snapshots"):
        (root / folder).mkdir(mode=0o700, parents=True, exist_ok=True)
    for blob in os.scandir(prepared / BLOBS):
        target = root / BLOBS / blob.name
        if blob.stat().st_size <= SMALL:
            shutil.copyfile(blob.path, target)
        else:
            target.symlink_to(blob.path)
    for layer in os.scandir(prepared / SNAPSHOTS / "snapshots"):
        (root / SNAPSHOTS / "snapshots" / layer.name).symlink_to(layer.path)
    for database in (f"{SNAPSHOTS}/metadata.db", DATABASE):
        shutil.copyfile(prepared / database, root / database)
        (root / database).chmod(0o600)


def install_programs(source: Path, target: Path) -> int:
    """Copies programs, replacing what goes by their names; how many there are. Raises OSError."""
    target.mkdir(mode=0o755, parents=True, exist_ok=True)
    names = sorted(os.listdir(source)) if source.is_dir() else []
    for name in names:
        part = target / f".{name}.part"
        shutil.copyfile(source / name, part)
        part.chmod(0o755)
        part.replace(target / name)
    return len(names)
