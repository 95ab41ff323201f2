"""Control groups: which processes belong together, what they may use, what they have used.

A *control group* is a directory of the one cgroup2 hierarchy; its files are its settings and its counters. Processes
live in the leaves only: a group whose children have controllers enabled may hold none itself (the kernel's "no
internal processes" rule). Source: Documentation/admin-guide/cgroup-v2.rst.
"""

from __future__ import annotations

import os
from collections.abc import Iterable

import msgspec

ROOT = "/sys/fs/cgroup"

UNLIMITED = "max"
CONTROLLERS = ("cpu", "cpuset", "io", "memory", "pids", "hugetlb")


class Usage(msgspec.Struct, frozen=True):
    """What a group uses now: bytes of memory, and the microseconds of processor time since it was made."""

    memory: int = 0
    memory_peak: int = 0
    cpu_usec: int = 0
    cpu_user_usec: int = 0
    cpu_system_usec: int = 0
    processes: int = 0


class Hierarchy:
    """The hierarchy below ``root``. A group is named by its path relative to it ("system/containerd")."""

    def __init__(self, root: str = ROOT) -> None:
        self.root = root

    def available(self) -> bool:
        """Whether this is a cgroup2 mount point that we may write to."""
        return os.access(f"{self.root}/cgroup.controllers", os.R_OK) and os.access(self.root, os.W_OK)

    def path(self, group: str) -> str:
        return f"{self.root}/{group}" if group else self.root

    def create(self, group: str, controllers: Iterable[str] = CONTROLLERS) -> None:
        """Make a group and its parents, and enable the controllers that exist on all levels above it."""
        wanted = tuple(controllers)
        parent = ""
        for name in group.split("/"):
            self.enable_controllers(parent, wanted)
            parent = f"{parent}/{name}" if parent else name
            os.makedirs(self.path(parent), exist_ok=True)

    def enable_controllers(self, group: str, controllers: Iterable[str]) -> None:
        """Give the children of a group the controllers that the group itself has; unknown ones are left out."""
        have = self._read(group, "cgroup.controllers").split()
        on = self._read(group, "cgroup.subtree_control").split()
        missing = [name for name in controllers if name in have and name not in on]
        if missing:
            self.write(group, "cgroup.subtree_control", " ".join(f"+{name}" for name in missing))

    def remove(self, group: str) -> None:
        """Remove a group and those below it; raises OSError (EBUSY) while processes are left in it."""
        path = self.path(group)
        try:
            entries = list(os.scandir(path))
        except FileNotFoundError:
            return
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                self.remove(f"{group}/{entry.name}")
        os.rmdir(path)

    def write(self, group: str, file: str, value: str) -> None:
        """Write one file of a group, for example ``memory.max``; raises OSError."""
        descriptor = os.open(f"{self.path(group)}/{file}", os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.write(descriptor, value.encode())
        finally:
            os.close(descriptor)

    def limit(self, group: str, *, memory: int | None = None, pids: int | None = None, cpu_weight: int = 0) -> None:
        """Set limits; None is no limit. ``cpu_weight`` is 1 to 10000, 100 by default in the kernel, 0 leaves it."""
        self.write(group, "memory.max", UNLIMITED if memory is None else str(memory))
        self.write(group, "pids.max", UNLIMITED if pids is None else str(pids))
        if cpu_weight:
            self.write(group, "cpu.weight", str(cpu_weight))

    def add(self, group: str, pid: int) -> None:
        """Move a process into a group."""
        self.write(group, "cgroup.procs", str(pid))

    def kill(self, group: str) -> None:
        """Kill every process of a group and those below it, at once and without a race against forks."""
        try:
            self.write(group, "cgroup.kill", "1")
        except FileNotFoundError:
            if os.path.isdir(self.path(group)):
                raise  # a kernel before 5.14

    def processes(self, group: str) -> list[int]:
        """The pids in a group, itself only."""
        return [int(pid) for pid in self._read(group, "cgroup.procs").split()]

    def children(self, group: str) -> list[str]:
        """The names of the groups in a group; none where there is no such group."""
        try:
            return sorted(entry.name for entry in os.scandir(self.path(group)) if entry.is_dir(follow_symlinks=False))
        except OSError:
            return []

    def processes_below(self, group: str) -> list[int]:
        """The pids in a group and in those in it."""
        found = self.processes(group)
        for name in self.children(group):
            found += self.processes_below(f"{group}/{name}")
        return found

    def number(self, group: str, file: str) -> int | None:
        """A file that holds one number; None for "max", and where there is no such file."""
        text = self._read(group, file).strip()
        return int(text) if text.isdecimal() else None

    def populated(self, group: str) -> bool:
        """Whether there is a living process in a group or below it."""
        return parse_counters(self._read(group, "cgroup.events")).get("populated", 0) == 1

    def usage(self, group: str) -> Usage:
        """The counters of a group; what has no controller counts zero."""
        cpu = parse_counters(self._read(group, "cpu.stat"))
        return Usage(
            memory=_number(self._read(group, "memory.current")),
            memory_peak=_number(self._read(group, "memory.peak")),
            cpu_usec=cpu.get("usage_usec", 0),
            cpu_user_usec=cpu.get("user_usec", 0),
            cpu_system_usec=cpu.get("system_usec", 0),
            processes=_number(self._read(group, "pids.current")),
        )

    def _read(self, group: str, file: str) -> str:
        """A file's text, "" when the group or the file is not there."""
        try:
            with open(f"{self.path(group)}/{file}", encoding="ascii", errors="replace") as stream:
                return stream.read()
        except OSError:
            return ""


def parse_counters(text: str) -> dict[str, int]:
    """``name number`` lines, as in cpu.stat; lines of another shape are left out."""
    counters = {}
    for line in text.splitlines():
        name, _, value = line.partition(" ")
        if value.isdecimal():
            counters[name] = int(value)
    return counters


def _number(text: str) -> int:
    return int(text) if text.strip().isdecimal() else 0
