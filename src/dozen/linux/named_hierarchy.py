"""A control group hierarchy of the first kind, with a name and no controllers, for a program that insists on one.

containerd's first kind of runtime (``io.containerd.runtime.v1.linux``, the shim ``/bin/containerd-shim``) asks after
each start for the task's place in the first kind of hierarchies and fails when none is mounted, although it does
nothing with the answer. A hierarchy that is only a name limits nothing and takes no controller away from cgroup2. The
name has to be one that the program looks for; ``systemd`` is the only one without a controller behind it.

Documentation: the kernel's admin-guide/cgroup-v1/cgroups.rst, section 2.1 ("none" and "name=").
"""

from __future__ import annotations

import os

from dozen.linux import sys as linux

DIRECTORY = "/run/dozen/cgroups"
NAME = "systemd"


def has_first_kind(mounts: str) -> bool:
    """Whether a hierarchy of the first kind is mounted, given /proc/mounts."""
    return any(line.split()[2:3] == ["cgroup"] for line in mounts.splitlines())


def mount_named_hierarchy() -> None:
    """See that there is one. Raises OSError."""
    with open("/proc/mounts") as mounts:
        if has_first_kind(mounts.read()):
            return
    target = os.path.join(DIRECTORY, NAME)
    os.makedirs(target, exist_ok=True)
    flags = linux.MS_NOSUID | linux.MS_NODEV | linux.MS_NOEXEC
    linux.mount("cgroup", target, "cgroup", flags, f"none,name={NAME}")
