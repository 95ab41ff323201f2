"""What services and PID 1 say: kept in memory, written to files once there is a disk, followed by whoever asks.

A `LogBuffer` is a ring of the last bytes of one log, cut at line ends. As soon as ``/var`` is mounted it also appends
to ``/var/log/<id>.log``, first what the ring held, and rotates that file by size. Readers get the ring, or
the files where these reach further back, and then what comes; a reader that is too slow skips ahead instead of holding
memory.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections import deque
from collections.abc import AsyncIterator, Callable, Collection
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from dozen.node.logfiles import Part

RING_BYTES = 256 * 1024
FILE_BYTES = 5 * 1024 * 1024
FILES_KEPT = 2
READ_BYTES = 64 * 1024
# A follower may lag this far behind before it skips to the present.
LAG_BYTES = 1024 * 1024


Tap = Callable[[str, bytes], None]
"""Takes the id of a log and a line of it. Must not fail, and must not write to a log itself."""


class LogBuffer:
    """The last `RING_BYTES` of one log as whole lines, and its file when there is a place for it."""

    def __init__(self, id: str, taps: Collection[Tap] = ()) -> None:
        self.id = id
        self._taps = taps
        self._lines: deque[bytes] = deque()
        self._size = 0
        self._partial = b""
        self._file: _RotatingFile | None = None
        self._followers: set[_Follower] = set()

    def write(self, data: bytes) -> None:
        """Take bytes as they come; they become visible line by line."""
        *lines, self._partial = (self._partial + data).split(b"\n")
        if len(self._partial) > READ_BYTES:
            lines.append(self._partial)
            self._partial = b""
        for line in lines:
            self._append(line + b"\n")

    def flush(self) -> None:
        """End an unfinished last line: its writer is gone."""
        if self._partial:
            self.write(b"\n")

    def tail(self, lines: int) -> bytes:
        """The last ``lines`` lines in memory; all of them when negative."""
        if lines < 0 or lines >= len(self._lines):
            return b"".join(self._lines)
        return b"".join(list(self._lines)[len(self._lines) - lines :])

    async def read(self, lines: int) -> AsyncIterator[bytes]:
        """The last ``lines`` lines (all that are kept when negative), from the files where memory does not reach."""
        parts = self._open_files(lines)
        if parts:
            from dozen.node.logfiles import read_parts

            async with contextlib.aclosing(read_parts(parts, lines)) as blocks:
                async for block in blocks:
                    yield block
        elif present := self.tail(lines):
            yield present

    def _open_files(self, lines: int) -> list[Part]:
        """The files, when memory has less than that and they can be read."""
        if self._file is None or 0 <= lines <= len(self._lines):
            return []
        from dozen.node.logfiles import open_parts

        try:
            return open_parts(self._file.paths())
        except OSError:
            return []

    async def follow(self, lines: int) -> AsyncIterator[bytes]:
        """The last ``lines`` lines (all when negative), then each new one, for as long as it is iterated."""
        follower = _Follower()
        self._followers.add(follower)
        try:
            async for present in self.read(lines):
                yield present
            while True:
                yield await follower.next()
        finally:
            self._followers.discard(follower)

    def open_file(self, directory: Path) -> None:
        """Keep the log in ``directory`` from now on, beginning with what is in memory. Raises OSError."""
        if self._file is None:
            self._file = _RotatingFile(directory / f"{self.id}.log")
            self._file.write(b"".join(self._lines))

    def close_file(self) -> None:
        """Let go of the file so that its file system can be unmounted."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _append(self, line: bytes) -> None:
        self._lines.append(line)
        self._size += len(line)
        while self._size > RING_BYTES and len(self._lines) > 1:
            self._size -= len(self._lines.popleft())
        if self._file is not None:
            try:
                self._file.write(line)
            except OSError:
                # A full or broken disk must not take the log's reader down; memory keeps the newest lines.
                self.close_file()
        for follower in self._followers:
            follower.add(line)
        for tap in self._taps:
            tap(self.id, line)


class _Follower:
    def __init__(self) -> None:
        self._waiting = bytearray()
        self._wake = asyncio.Event()

    def add(self, line: bytes) -> None:
        if len(self._waiting) > LAG_BYTES:
            self._waiting[:] = b"... lines left out: the reader was too slow\n"
        self._waiting += line
        self._wake.set()

    async def next(self) -> bytes:
        await self._wake.wait()
        self._wake.clear()
        data = bytes(self._waiting)
        self._waiting.clear()
        return data


class _RotatingFile:
    def __init__(self, path: Path) -> None:
        self._path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        self._open()

    def _open(self) -> None:
        self._descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)
        self._size = os.fstat(self._descriptor).st_size

    def write(self, data: bytes) -> None:
        if self._size and self._size + len(data) > FILE_BYTES:
            self._rotate()
        self._size += os.write(self._descriptor, data)

    def paths(self) -> list[Path]:
        """What there may be of this log, oldest first."""
        older = [self._path.with_name(f"{self._path.name}.{number}") for number in range(FILES_KEPT, 0, -1)]
        return [*older, self._path]

    def _rotate(self) -> None:
        os.close(self._descriptor)
        for number in range(FILES_KEPT, 0, -1):
            older = self._path.with_name(f"{self._path.name}.{number}")
            newer = self._path.with_name(f"{self._path.name}.{number - 1}") if number > 1 else self._path
            with contextlib.suppress(FileNotFoundError):
                newer.replace(older)
        self._open()

    def close(self) -> None:
        os.close(self._descriptor)


class Logs:
    """Every log of the node by id."""

    def __init__(self) -> None:
        self._buffers: dict[str, LogBuffer] = {}
        self._taps: list[Tap] = []
        self._directory: Path | None = None

    def ids(self) -> list[str]:
        return sorted(self._buffers)

    def get(self, id: str) -> LogBuffer:
        """Raises KeyError when no such log was ever written."""
        return self._buffers[id]

    def open(self, id: str) -> LogBuffer:
        """The log of that id, made when it is new."""
        buffer = self._buffers.get(id)
        if buffer is None:
            buffer = self._buffers[id] = LogBuffer(id, self._taps)
            if self._directory is not None:
                buffer.open_file(self._directory)
        return buffer

    def tap(self, take: Tap) -> Callable[[], None]:
        """Give every line of every log, also of later ones, to ``take`` from now on; the result ends that."""
        self._taps.append(take)
        return lambda: self._taps.remove(take)

    def keep_in(self, directory: Path) -> None:
        """Write every log, also later ones, to files in ``directory``. Raises OSError when that cannot be written."""
        directory.mkdir(parents=True, exist_ok=True)
        for buffer in self._buffers.values():
            buffer.open_file(directory)
        self._directory = directory

    def let_go(self) -> None:
        """Close the files: their file system is about to go."""
        self._directory = None
        for buffer in self._buffers.values():
            buffer.close_file()


def pump(descriptor: int, write: Callable[[bytes], None], closed: Callable[[], None]) -> None:
    """Hand on what arrives at a pipe's read end until its writers are gone; the descriptor is closed then."""
    loop = asyncio.get_running_loop()
    os.set_blocking(descriptor, False)

    def readable() -> None:
        try:
            data = os.read(descriptor, READ_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if data:
            write(data)
            return
        loop.remove_reader(descriptor)
        os.close(descriptor)
        closed()

    loop.add_reader(descriptor, readable)
