"""Device events: what the kernel, and udevd after it, announce about devices that come, change and go.

Both use a netlink socket and one message for each event. The kernel's (group 1) is a line ``action@path`` and then
``NAME=value`` texts, each ended by a zero byte. udevd's (group 2) comes when its rules have been applied and the links
in /dev are there; it has a binary head that says where the texts begin. Source: lib/kobject_uevent.c, sd-device's
monitor.
"""

from __future__ import annotations

import asyncio
import errno
import socket
import struct
from collections.abc import Iterable
from typing import NamedTuple

KERNEL, UDEV = 1, 2  # the multicast groups

NETLINK_KOBJECT_UEVENT = 15
RECEIVE_SIZE = 16 * 1024  # the kernel's own limit is 2 KiB; udevd's properties are more
BUFFER = 4 << 20  # the coldplug announces every device at once
SO_RCVBUFFORCE = 33

UDEV_PREFIX = b"libudev\0"
UDEV_HEAD = struct.Struct("=8s4xIII")  # prefix, magic, size of the head, offset and length of the texts


class MalformedEvent(ValueError):
    """Bytes that are no device event."""


class MissedEvents(Exception):
    """More events came than the buffer holds: look at sysfs again."""


class Event(NamedTuple):
    """One event. ``path`` is below /sys; ``properties`` are all of the texts, DEVNAME, MAJOR and the like."""

    action: str
    path: str
    subsystem: str
    properties: dict[str, str]


def parse_event(data: bytes) -> Event:
    """Read an event of either sender; raises `MalformedEvent`."""
    if data.startswith(UDEV_PREFIX):
        if len(data) < UDEV_HEAD.size:
            raise MalformedEvent(f"a head of only {len(data)} bytes")
        _, _, offset, length = UDEV_HEAD.unpack_from(data)
        if offset + length > len(data):
            raise MalformedEvent(f"texts at {offset} with {length} bytes, of {len(data)}")
        texts = data[offset : offset + length]
    else:
        _, _, texts = data.partition(b"\0")
    properties = {}
    for text in texts.split(b"\0"):
        name, equals, value = text.decode("utf-8", "replace").partition("=")
        if equals:
            properties[name] = value
    if "ACTION" not in properties or "DEVPATH" not in properties:
        raise MalformedEvent("an event without an action and a path")
    return Event(properties["ACTION"], properties["DEVPATH"], properties.get("SUBSYSTEM", ""), properties)


class DeviceEvents:
    """Hears device events from the kernel or, with group `UDEV`, from udevd; of all subsystems or of these.

    A coldplug is a thousand events in a moment, so what nobody wants is dropped by a look at its bytes.
    """

    def __init__(self, group: int = KERNEL, subsystems: Iterable[str] = ()) -> None:
        self._marks = tuple(b"\0SUBSYSTEM=" + name.encode() + b"\0" for name in subsystems)
        flags = socket.SOCK_RAW | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK
        self._socket = socket.socket(socket.AF_NETLINK, flags, NETLINK_KOBJECT_UEVENT)
        try:
            self._socket.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, BUFFER)
        except OSError:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER)
        self._socket.bind((0, group))
        self._from_kernel = group == KERNEL

    def close(self) -> None:
        self._socket.close()

    async def read(self) -> Event:
        """The next event; raises `MissedEvents` when some were lost."""
        while True:
            event = self.read_waiting()
            if event is not None:
                return event
            await self._wait()

    def read_waiting(self) -> Event | None:
        """The next event if it is there already; raises `MissedEvents`."""
        while True:
            try:
                data, sender = self._socket.recvfrom(RECEIVE_SIZE)
            except BlockingIOError:
                return None
            except OSError as error:
                if error.errno == errno.ENOBUFS:
                    raise MissedEvents("device events were lost") from error
                raise
            if self._from_kernel and sender[0] != 0:
                continue  # a process may send to the group too; only port 0 is the kernel
            if self._marks and not any(mark in data for mark in self._marks):
                continue
            try:
                return parse_event(data)
            except MalformedEvent:
                continue

    async def _wait(self) -> None:
        loop = asyncio.get_running_loop()
        ready = asyncio.Event()
        loop.add_reader(self._socket, ready.set)
        try:
            await ready.wait()
        finally:
            loop.remove_reader(self._socket)
