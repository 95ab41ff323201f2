"""The table of mounts: reading it, hearing of its changes, and carrying out the effects on it.

The kernel shows a process's mounts in /proc/self/mountinfo and tells of a change by an exceptional condition on that
file (proc_pid_mountinfo(5)).
"""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import select
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import NamedTuple

from dozen.linux import block_kinds as words
from dozen.linux import sys as linux
from dozen.linux.block_outcomes import OUTCOMES, Outcomes
from dozen.linux.escapes import unescape
from dozen.machinery.effects.mount import Mount, Unmount
from dozen.machinery.plan import Effect, Temporary

MOUNTINFO = "/proc/self/mountinfo"
BURST = 0.01  # seconds; mounts come in bursts

FLAGS = {
    "ro": linux.MS_RDONLY,
    "nosuid": linux.MS_NOSUID,
    "nodev": linux.MS_NODEV,
    "noexec": linux.MS_NOEXEC,
    "noatime": linux.MS_NOATIME,
    "bind": linux.MS_BIND,
}
# How XFS says "damaged": EUCLEAN and EBADMSG (a checksum) are its own words (fs/xfs/libxfs/xfs_format.h calls them
# EFSCORRUPTED and EFSBADCRC); EINVAL is what a superblock that makes no sense gets.
DAMAGED = frozenset((errno.EUCLEAN, errno.EBADMSG, errno.EINVAL))

log = logging.getLogger("dozen.mounts")


class Mounted(NamedTuple):
    """One line of mountinfo. ``options`` are the mount's own, ``super_options`` the file system's."""

    target: str
    source: str
    fstype: str
    options: tuple[str, ...]
    super_options: tuple[str, ...]

    @property
    def read_only(self) -> bool:
        return "ro" in self.options or "ro" in self.super_options


def parse_mountinfo(text: str) -> list[Mounted]:
    """All mounts, oldest first; a line that cannot be understood is left out."""
    found = []
    for line in text.splitlines():
        before, _, after = line.partition(" - ")
        fields, origin = before.split(" "), after.split(" ")
        if len(fields) >= 6 and len(origin) >= 2:
            super_options = tuple(origin[2].split(",")) if len(origin) > 2 else ()
            target, source = unescape(fields[4]), unescape(origin[1])
            found.append(Mounted(target, source, origin[0], tuple(fields[5].split(",")), super_options))
    return found


def read_mounts() -> list[Mounted]:
    """The mounts of this process. Raises OSError."""
    with open(MOUNTINFO, encoding="utf-8", errors="surrogateescape") as stream:
        return parse_mountinfo(stream.read())


# -- Effects.


async def run(
    effect: Effect,
    run_program: Callable[[Sequence[str], float], Awaitable[tuple[int, bytes]]],
    outcomes: Outcomes = OUTCOMES,
) -> None:
    """Carry out an effect on mounts.

    A damaged file system is an outcome and not an exception; anything else that goes wrong raises `Temporary`.
    """
    match effect:
        case Mount():
            await _mount(effect, outcomes)
        case Unmount():
            await asyncio.to_thread(_unmount, effect)
        case _:
            raise TypeError(f"not an effect on mounts: {effect!r}")


def split_options(options: Iterable[str]) -> tuple[int, str]:
    """Words of an option list → the flags of mount(2) and the text that is left for the file system."""
    flags, rest = 0, []
    for word in options:
        if word in FLAGS:
            flags |= FLAGS[word]
        else:
            rest.append(word)
    return flags, ",".join(rest)


async def _mount(effect: Mount, outcomes: Outcomes) -> None:
    name = os.path.basename(effect.source)
    try:
        await asyncio.to_thread(_mount_once, effect)
    except OSError as error:
        message = f"{effect.source} cannot be mounted on {effect.target}: {error.strerror or error}"
        result = words.CORRUPT if error.errno in DAMAGED else words.FAILED
        log.error('mount source=%s target=%s result=%s error="%s"', effect.source, effect.target, result, message)
        await outcomes.record(name, words.MOUNT, result, message, effect.generation)
        if result == words.FAILED:
            raise Temporary(message) from error
    else:
        await outcomes.record(name, words.MOUNT, words.OK, generation=effect.generation)


def _mount_once(effect: Mount) -> None:
    """A plan made on old news may ask for what is there already."""
    if any(each.target == effect.target and each.source == effect.source for each in read_mounts()):
        return
    flags, data = split_options(effect.options)
    linux.mount(effect.source, effect.target, effect.fstype, flags, data)


def _unmount(effect: Unmount) -> None:
    try:
        linux.umount(effect.target)
    except OSError as error:
        if error.errno != errno.EINVAL:  # EINVAL: it is not a mount point
            raise Temporary(f"{effect.target} cannot be unmounted: {error.strerror}") from error


# -- Hearing of changes.


class MountChanges:
    """``await changes.wait()`` returns when the table has changed since the last call (or this was made)."""

    def __init__(self) -> None:
        self._descriptor = os.open(MOUNTINFO, os.O_RDONLY | os.O_CLOEXEC)
        # The file is always readable too, so the loop cannot watch it; an epoll of its own waits for the exception.
        self._changes = select.epoll()
        self._changes.register(self._descriptor, select.EPOLLPRI)
        self._woken = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._changes.fileno(), self._woken.set)

    async def wait(self) -> None:
        await self._woken.wait()
        await asyncio.sleep(BURST)
        self._changes.poll(0)
        self._woken.clear()

    def close(self) -> None:
        self._loop.remove_reader(self._changes.fileno())
        self._changes.close()
        os.close(self._descriptor)
