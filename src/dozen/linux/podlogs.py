"""Logs of pods' containers, as the container runtime keeps them below /var/log/pods.

There is a folder for each pod (namespace, name and uid, joined by ``_``), in it one for each container, in it a file
for each time that it was started. The kubelet moves a file that has grown too large aside and has a new one begun under
the same name, which a reader who follows has to notice.
"""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import AsyncIterator

ROOT = "/var/log/pods"
BLOCK = 64 * 1024
# How often a reader who follows looks for more, seconds.
PERIOD = 0.5
_ID = re.compile(r"([a-z0-9.-]+)/([a-z0-9.-]+):([a-z0-9-]+)")
_FILE = re.compile(r"(\d+)\.log")


def find_log(id: str, root: str = ROOT) -> str:
    """The newest log of ``namespace/pod:container``. Raises FileNotFoundError, and ValueError for another form."""
    parts = _ID.fullmatch(id)
    if parts is None:
        raise ValueError(f'"{id}" does not name a container of a pod; write namespace/pod:container')
    namespace, pod, container = parts.groups()
    found: list[tuple[int, str]] = []
    for folder in _names(root):
        # Names of namespaces and pods have no underscore.
        if folder.rpartition("_")[0] != f"{namespace}_{pod}":
            continue
        inside = f"{root}/{folder}/{container}"
        for name in _names(inside):
            if _FILE.fullmatch(name):
                path = f"{inside}/{name}"
                found.append((os.lstat(path).st_mtime_ns, path))
    if not found:
        raise FileNotFoundError(f"there is no log of {id}")
    return max(found)[1]


def _names(folder: str) -> list[str]:
    try:
        return os.listdir(folder)
    except (FileNotFoundError, NotADirectoryError):
        return []


async def read_log(path: str, lines: int, *, follow: bool) -> AsyncIterator[bytes]:
    """The last lines of a log (all when negative) and, with ``follow``, what is added. Raises OSError."""
    file = await asyncio.to_thread(_open, path)
    try:
        await asyncio.to_thread(seek_tail, file, lines)
        while True:
            while data := await asyncio.to_thread(os.read, file, BLOCK):
                yield data
            if not follow:
                return
            await asyncio.sleep(PERIOD)
            newer = await asyncio.to_thread(_successor, path, file)
            if newer is not None:
                while data := await asyncio.to_thread(os.read, file, BLOCK):
                    yield data  # what was written between the last look and the move
                os.close(file)
                file = newer
    finally:
        os.close(file)


def _open(path: str) -> int:
    return os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)


def _successor(path: str, file: int) -> int | None:
    """The file that has taken the place of the open one."""
    try:
        newer = _open(path)
    except FileNotFoundError:
        return None
    if os.path.samestat(os.fstat(newer), os.fstat(file)):
        os.close(newer)
        return None
    return newer


def seek_tail(file: int, lines: int) -> None:
    """Go to where the last ``lines`` lines begin."""
    if lines < 0:
        return
    end = os.lseek(file, 0, os.SEEK_END)
    # A line that is complete ends with a newline, which does not begin another one.
    left, at = lines, end
    if end and os.pread(file, 1, end - 1) == b"\n":
        left += 1
    while left > 0 and at > 0:
        start = max(0, at - BLOCK)
        block = os.pread(file, at - start, start)
        position = len(block)
        while left > 0 and (position := block.rfind(b"\n", 0, position)) >= 0:
            left -= 1
            if left == 0:
                os.lseek(file, start + position + 1, os.SEEK_SET)
                return
        at = start
    os.lseek(file, 0 if left > 0 else end, os.SEEK_SET)
