"""udevd's side of devices: rules for it, waking it, and having the kernel announce the devices that it missed.

udevd hears of devices from the kernel as they come. Those that came before it started are announced once more by
writing "add" into each device's ``uevent`` file in sysfs: the *coldplug*. It works through its events in an own queue,
and keeps a file while that is not empty. Sources: udev(7), systemd-udevd(8), Documentation/ABI/testing/sysfs-uevent.
"""

from __future__ import annotations

import contextlib
import os
import socket
import struct
from collections.abc import Iterable, Iterator

RULES = "/run/udev/rules.d/99-machine.rules"
QUEUE = "/run/udev/queue"
CONTROL = "/run/udev/control"
SYSFS = "/sys"

# udev-ctrl.c of systemd before version 258: version, magic, type, and a value that these types do not have
CONTROL_MESSAGE = struct.Struct("=16sII256x")
CONTROL_MAGIC = 0xDEAD1DEA
MESSAGE_END, MESSAGE_RELOAD = 0, 4
PATIENCE = 5.0  # seconds that udevd gets to answer


def render_rules(rules: Iterable[str]) -> str:
    """The text of the rules file for the rules that a machine configuration gives."""
    return "".join(f"{rule.rstrip()}\n" for rule in rules)


def list_devices(root: str = SYSFS) -> Iterator[str]:
    """The directory of every device, once: those that have a bus, then those that only have a class."""
    seen = set()
    for pattern in ("bus", "class"):
        for group in _list_directory(f"{root}/{pattern}"):
            parent = f"{root}/bus/{group}/devices" if pattern == "bus" else f"{root}/class/{group}"
            for name in _list_directory(parent):
                path = os.path.realpath(f"{parent}/{name}")
                if path not in seen:
                    seen.add(path)
                    yield path


def announce_devices(root: str = SYSFS) -> int:
    """Have the kernel announce every device again; returns how many. Blocks for a while: run it in a thread."""
    count = 0
    for path in list_devices(root):
        # a device may be gone again, or be one that nobody may announce
        with contextlib.suppress(OSError):
            descriptor = os.open(f"{path}/uevent", os.O_WRONLY | os.O_CLOEXEC)
            try:
                os.write(descriptor, b"add")
                count += 1
            finally:
                os.close(descriptor)
    return count


def reload_rules(control: str = CONTROL) -> None:
    """Have udevd read its rules again if they changed; raises OSError when it does not run.

    Says what ``udevadm control --reload`` says, and waits as it does until udevd has hung up: then it is done.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_CLOEXEC) as client:
        client.settimeout(PATIENCE)
        client.connect(control)
        for message in (MESSAGE_RELOAD, MESSAGE_END):
            client.send(CONTROL_MESSAGE.pack(b"udev", CONTROL_MAGIC, message))
        client.recv(1)


def _list_directory(path: str) -> list[str]:
    try:
        return sorted(os.listdir(path))
    except OSError:
        return []
