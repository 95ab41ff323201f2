"""etcd's data directory: whether there is a member in it, whose it is, making and emptying it."""

from __future__ import annotations

import os
import shutil


def make_directory(path: str, uid: int) -> None:
    """For the member's user alone. Raises OSError."""
    os.makedirs(path, mode=0o700, exist_ok=True)
    os.chmod(path, 0o700)
    if os.geteuid() == 0:
        os.chown(path, uid, uid)


def has_member(path: str) -> bool:
    """Whether a member has been there."""
    return os.path.isdir(os.path.join(path, "member"))


def remember_cluster(data: str, cluster_id: str) -> None:
    """Note beside the data which cluster it is of. Raises OSError."""
    if cluster_id:
        with open(f"{data}.cluster", "w") as file:
            file.write(f"{cluster_id}\n")


def find_other_cluster(data: str, cluster_id: str) -> str:
    """The id of the cluster that the data is of, if it is not this one; data without a note may be anybody's."""
    try:
        with open(f"{data}.cluster") as file:
            noted = file.read().strip()
    except FileNotFoundError:
        return ""
    return noted if cluster_id and noted != cluster_id else ""


def holds_anything(directory: str) -> bool:
    """Whether there is anything at all, which Bootstrap must not touch."""
    try:
        return bool(os.listdir(directory))
    except FileNotFoundError:
        return False


def empty(directory: str) -> None:
    """Remove everything in the directory, which stays. Raises OSError."""
    for name in os.listdir(directory):
        path = os.path.join(directory, name)
        if os.path.isdir(path) and not os.path.islink(path):
            shutil.rmtree(path)
        else:
            os.unlink(path)


def write_all(descriptor: int, data: bytes) -> None:
    """Write all of it. Raises OSError."""
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]
