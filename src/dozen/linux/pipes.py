"""Named pipes between the node and a container, without blocking the event loop.

A shim opens its ends when the container is created and closes them when the container's output has ended. A read end
that is open before there is a writer reports the end of the file at once, so reading has to begin after that.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable

READ_BYTES = 32 * 1024


class Pipes:
    """The three pipes of one container in a directory of their own; with a terminal there is none for errors."""

    def __init__(self, directory: str, *, terminal: bool) -> None:
        """Make and open them. Raises OSError."""
        self._directory = directory
        os.makedirs(directory, mode=0o700)
        self.stdin = self._make("stdin")
        self.stdout = self._make("stdout")
        self.stderr = "" if terminal else self._make("stderr")
        # For writing alone it could not be opened before there is a reader (fifo(7)).
        self._input: int | None = os.open(self.stdin, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        self._outputs = [
            os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC) for path in (self.stdout, self.stderr) if path
        ]

    def _make(self, name: str) -> str:
        path = os.path.join(self._directory, name)
        os.mkfifo(path, 0o600)
        return path

    def outputs(self) -> list[AsyncIterator[bytes]]:
        """What the container prints, one iterator for each stream, until it has ended."""
        return [_read_all(descriptor) for descriptor in self._outputs]

    async def write(self, data: bytes) -> None:
        """Give the container input; waits while it has enough. Nothing happens once the input is closed."""
        while data and self._input is not None:
            try:
                data = data[os.write(self._input, data) :]
            except BlockingIOError:
                await wait_writable(self._input)

    def close_input(self) -> None:
        """No more input comes."""
        if self._input is not None:
            os.close(self._input)
            self._input = None

    def remove(self) -> None:
        """Close and delete everything."""
        self.close_input()
        for descriptor in self._outputs:
            os.close(descriptor)
        self._outputs = []
        for path in (self.stdin, self.stdout, self.stderr):
            if path:
                os.unlink(path)
        os.rmdir(self._directory)


async def _read_all(descriptor: int) -> AsyncIterator[bytes]:
    while True:
        try:
            data = os.read(descriptor, READ_BYTES)
        except BlockingIOError:
            await wait_readable(descriptor)
            continue
        if not data:
            return
        yield data


async def wait_readable(descriptor: int) -> None:
    """Until there is something to read, or the end."""
    loop = asyncio.get_running_loop()
    await _wait(descriptor, loop.add_reader, loop.remove_reader)


async def wait_writable(descriptor: int) -> None:
    """Until there is room."""
    loop = asyncio.get_running_loop()
    await _wait(descriptor, loop.add_writer, loop.remove_writer)


async def _wait(descriptor: int, add: Callable[..., object], remove: Callable[[int], object]) -> None:
    ready = asyncio.Event()
    add(descriptor, ready.set)
    try:
        await ready.wait()
    finally:
        remove(descriptor)
