"""Clients that do not behave: raw HTTP/2 on sockets that are made inside of a node's network namespace.

The native lane's own way in is a relay, which would be what breaks first. A socket stays in the namespace that it was
made in, so a thread goes in, makes sockets, and ends.
"""

from __future__ import annotations

import ctypes
import os
import select
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

from dozen.rpc import frames

PORT = 50000
CLONE_NEWNET = 0x40000000
ValueT = TypeVar("ValueT")


def inside(pid: int, work: Callable[[], ValueT]) -> ValueT:
    """What ``work`` gives in a thread in the network namespace of a process. Raises what it raises."""
    results: list[ValueT] = []
    errors: list[BaseException] = []

    def enter() -> None:
        try:
            with open(f"/proc/{pid}/ns/net") as namespace:
                libc = ctypes.CDLL(None, use_errno=True)
                if libc.setns(namespace.fileno(), CLONE_NEWNET):
                    raise OSError(ctypes.get_errno(), "setns")
            results.append(work())
        except BaseException as error:  # noqa: BLE001 (raised again by whoever waits)
            errors.append(error)

    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    if errors:
        raise errors[0]
    return results[0]


def connect(pid: int, count: int = 1, port: int = PORT) -> list[socket.socket]:
    """That many TCP connections to a node's API, without a word said; those that it refuses are left out."""

    def open_all() -> list[socket.socket]:
        opened = []
        for _ in range(count):
            try:
                opened.append(socket.create_connection(("127.0.0.1", port), timeout=5))
            except OSError:
                continue
        return opened

    return inside(pid, open_all)


class Hostile:
    """A connection over TLS on which a test writes frames by hand."""

    def __init__(self, plain: socket.socket, tls: ssl.SSLContext, hostname: str = "127.0.0.1") -> None:
        self.socket = tls.wrap_socket(plain, server_hostname=hostname)
        self._reader = frames.FrameReader(1 << 24)
        # Not select: there may be thousands of these.
        self._poll = select.poll()
        self._poll.register(self.socket, select.POLLIN)

    def greet(self, settings: dict[int, int] | None = None) -> Hostile:
        self.socket.sendall(frames.PREFACE + frames.settings_frame(settings or {}))
        return self

    def send(self, data: bytes) -> bool:
        """Whether the other end still took it."""
        try:
            self.socket.sendall(data)
        except OSError:
            return False
        return True

    def received(self, seconds: float) -> Iterator[frames.Frame]:
        """Frames that come within the time, or until the other end closes."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            if not self.socket.pending() and not self._poll.poll(left * 1000):
                return
            try:
                data = self.socket.recv(65536)
            except OSError:
                return
            if not data:
                return
            yield from self._reader.feed(data)

    def goodbye(self, seconds: float = 10.0) -> int | None:
        """The code of the GOAWAY that comes, or None when none does."""
        for kind, _, _, payload in self.received(seconds):
            if kind == frames.GOAWAY:
                return int(struct.unpack_from(">I", payload, 4)[0])
        return None

    def close(self) -> None:
        self.socket.close()


def host_pid(machine: int, pid: int) -> int:
    """This computer's number of a process that a node's init (``machine``) knows as ``pid``. Raises LookupError."""
    namespace = os.readlink(f"/proc/{machine}/ns/pid")
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            if os.readlink(entry / "ns/pid") != namespace:
                continue
            status = (entry / "status").read_text()
        except OSError:
            continue
        numbers = next(line for line in status.splitlines() if line.startswith("NSpid:")).split()[1:]
        if int(numbers[-1]) == pid:
            return int(entry.name)
    raise LookupError(f"no process {pid} in the node")


def resident(pid: int) -> int:
    """Bytes of memory that a process of this computer has now."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def most_resident(pid: int) -> int:
    """Bytes of memory that a process of this computer had at most."""
    status = Path(f"/proc/{pid}/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM:")) * 1024
