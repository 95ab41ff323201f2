"""Looking through file trees for the API: listing, reading, adding up.

All of these are plain generators that block on the disk, so that a caller may run them in a thread, as far at a time
as it likes. They hold little however large the tree is: a directory is sorted only while that is cheap, and nothing
is read ahead of what is asked for. An entry that cannot be looked at is reported in its place and does not end the
walk. Symbolic links are never followed, except the one that a caller names as the root.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from itertools import islice
from typing import NamedTuple

UNLIMITED = -1
READ_BYTES = 64 * 1024
# Directories of up to so many entries are listed in order; larger ones as the file system gives them.
SORTED_ENTRIES = 4096
# st_blocks counts in these units whatever the file system's blocks are (stat(2)).
_BLOCK_BYTES = 512

# Bits of Go's os.FileMode, which the API speaks (the table is in the documentation of Go's package io/fs).
_GO_TYPES = {
    stat.S_IFDIR: 1 << 31,
    stat.S_IFLNK: 1 << 27,
    stat.S_IFBLK: 1 << 26,
    stat.S_IFCHR: 1 << 26 | 1 << 21,
    stat.S_IFIFO: 1 << 25,
    stat.S_IFSOCK: 1 << 24,
    stat.S_IFREG: 0,
}
_GO_IRREGULAR = 1 << 19
_GO_SPECIALS = ((stat.S_ISUID, 1 << 23), (stat.S_ISGID, 1 << 22), (stat.S_ISVTX, 1 << 20))


class Entry(NamedTuple):
    """A file of a tree. ``relative`` is the path from the root, ``.`` for the root; ``error`` says why ``info`` is
    missing.

    An unreadable directory comes twice: first as an entry, then, with an error, instead of its content.
    """

    path: str
    relative: str
    depth: int
    info: os.stat_result | None
    error: str = ""

    @property
    def is_directory(self) -> bool:
        return self.info is not None and stat.S_ISDIR(self.info.st_mode)


class Usage(NamedTuple):
    """Bytes that a file, or a directory with all that is in it, takes."""

    path: str
    relative: str
    depth: int
    size: int
    is_directory: bool
    error: str = ""


class NotRegular(OSError):
    """The path leads to something that has no content to read."""


def go_mode(mode: int) -> int:
    """A mode of stat(2) in the bits of Go's os.FileMode."""
    bits = stat.S_IMODE(mode) & 0o777 | _GO_TYPES.get(stat.S_IFMT(mode), _GO_IRREGULAR)
    for flag, bit in _GO_SPECIALS:
        if mode & flag:
            bits |= bit
    return bits


def absolute(path: str) -> str:
    """A caller's path, made absolute and plain."""
    return os.path.normpath("/" + path.lstrip("/"))


def walk(root: str, max_depth: int = UNLIMITED) -> Iterator[Entry]:
    """The root and what is below it, each directory before its content. Raises OSError when there is no such root."""
    info = os.lstat(root)
    if stat.S_ISLNK(info.st_mode) and os.path.isdir(root):
        info = os.stat(root)
    top = Entry(root, ".", 0, info)
    yield top
    waiting = [_open_directory(top)] if top.is_directory and max_depth != 0 else []
    while waiting:
        entry = next(waiting[-1], None)
        if entry is None:
            waiting.pop()
            continue
        yield entry
        if entry.is_directory and not entry.error and entry.depth != max_depth:
            waiting.append(_open_directory(entry))


def _open_directory(parent: Entry) -> Iterator[Entry]:
    """What is in a directory; the names as far as they were read so far are all that is held."""
    prefix = "" if parent.relative == "." else parent.relative + "/"
    depth = parent.depth + 1
    try:
        with os.scandir(parent.path) as names:
            first = list(islice(names, SORTED_ENTRIES))
            if len(first) < SORTED_ENTRIES:
                first.sort(key=lambda found: found.name)
            for found in first:
                yield _look_at(found, prefix + found.name, depth)
            for found in names:
                yield _look_at(found, prefix + found.name, depth)
    except OSError as error:
        yield parent._replace(error=describe(error))


def _look_at(found: os.DirEntry[str], relative: str, depth: int) -> Entry:
    try:
        return Entry(found.path, relative, depth, found.stat(follow_symlinks=False))
    except OSError as error:
        return Entry(found.path, relative, depth, None, describe(error))


def describe(error: OSError) -> str:
    """An error in the words that the system has for it, with the file that it is about."""
    text = (error.strerror or str(error)).lower()
    return f"{os.fsdecode(error.filename)}: {text}" if isinstance(error.filename, str | bytes) else text


def read_link(path: str) -> str:
    """Where a symbolic link points; empty when that cannot be read."""
    try:
        return os.readlink(path)
    except OSError:
        return ""


def read_xattrs(path: str) -> list[tuple[str, bytes]]:
    """Extended attributes of the file itself; those that cannot be read are left out."""
    attributes = []
    try:
        names = os.listxattr(path, follow_symlinks=False)
    except OSError:
        return []
    for name in names:
        try:
            attributes.append((name, os.getxattr(path, name, follow_symlinks=False)))
        except OSError:
            continue
    return attributes


def read_file(path: str) -> Iterator[bytes]:
    """The content of a regular file in chunks. Raises OSError, `NotRegular` for anything else.

    Looked at before it is opened, as opening a device may do something (/dev/watchdog begins to count). Opened without
    blocking, as some of the kernel's files (/proc/kmsg, trace_pipe) would hold the reader forever at their end.
    """
    _require_regular(os.stat(path))
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    try:
        _require_regular(os.fstat(descriptor))
        while True:
            try:
                chunk = os.read(descriptor, READ_BYTES)
            except BlockingIOError:
                return
            if not chunk:
                return
            yield chunk
    finally:
        os.close(descriptor)


def _require_regular(info: os.stat_result) -> None:
    if not stat.S_ISREG(info.st_mode):
        raise NotRegular(errno.EINVAL, "path must be a regular file")


def measure(root: str) -> Iterator[Usage]:
    """Disk usage like du(1): a directory after what is in it, sizes by blocks, a file with many links counted once.

    Raises OSError when there is no such root.
    """
    linked: set[tuple[int, int]] = set()
    # Directories on the way down to where the walk is, each with the bytes counted in it so far.
    above: list[tuple[Entry, int]] = []
    for entry in walk(root):
        while above and not _is_below(entry, above[-1][0]):
            yield _close_directory(above)
        if entry.error:
            yield Usage(entry.path, entry.relative, entry.depth, 0, entry.is_directory, entry.error)
            continue
        size = _take_size(entry, linked)
        if entry.is_directory:
            above.append((entry, size))
            continue
        if above:
            parent, total = above[-1]
            above[-1] = (parent, total + size)
        yield Usage(entry.path, entry.relative, entry.depth, size, False)
    while above:
        yield _close_directory(above)


def _is_below(entry: Entry, directory: Entry) -> bool:
    """Whether the walk is still inside the directory; a directory's own error stands for its content."""
    return entry.depth > directory.depth or bool(entry.error and entry.path == directory.path)


def _close_directory(above: list[tuple[Entry, int]]) -> Usage:
    entry, size = above.pop()
    if above:
        parent, total = above[-1]
        above[-1] = (parent, total + size)
    return Usage(entry.path, entry.relative, entry.depth, size, True)


def _take_size(entry: Entry, linked: set[tuple[int, int]]) -> int:
    info = entry.info
    if info is None:
        return 0
    if info.st_nlink > 1 and not entry.is_directory:
        identity = (info.st_dev, info.st_ino)
        if identity in linked:
            return 0
        linked.add(identity)
    return info.st_blocks * _BLOCK_BYTES
