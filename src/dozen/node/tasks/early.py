"""What happens before anything else can: file systems of the kernel, a place to log, cgroups, the configuration."""

from __future__ import annotations

import contextlib
import logging
import os
from typing import TYPE_CHECKING

import msgspec

from dozen.linux import sys as linux
from dozen.node.journal import attach_journal

if TYPE_CHECKING:
    from dozen.node.machine import Machine

NOSUID_NOEXEC_NODEV = linux.MS_NOSUID | linux.MS_NOEXEC | linux.MS_NODEV


class PseudoMount(msgspec.Struct, frozen=True):
    """A file system without a device behind it. ``flags`` as in mount(2)."""

    target: str
    fstype: str
    flags: int = NOSUID_NOEXEC_NODEV
    options: str = ""


# The initramfs stage brings /dev, /proc and /sys along; what is mounted already is left as it is.
PSEUDO_MOUNTS = (
    PseudoMount("/proc", "proc"),
    PseudoMount("/sys", "sysfs"),
    PseudoMount("/dev", "devtmpfs", linux.MS_NOSUID, "mode=0755"),
    PseudoMount("/run", "tmpfs", linux.MS_NOSUID | linux.MS_NODEV, "mode=0755"),
    PseudoMount("/system", "tmpfs", linux.MS_NOSUID | linux.MS_NODEV, "mode=0755"),
    PseudoMount("/tmp", "tmpfs", NOSUID_NOEXEC_NODEV, "size=64M,mode=1777"),
    PseudoMount("/dev/pts", "devpts", linux.MS_NOSUID | linux.MS_NOEXEC, "ptmxmode=000,mode=0620,gid=5"),
    PseudoMount("/dev/shm", "tmpfs", linux.MS_NOSUID | linux.MS_NODEV, "mode=1777"),
    PseudoMount("/dev/mqueue", "mqueue"),
    PseudoMount("/sys/fs/cgroup", "cgroup2", NOSUID_NOEXEC_NODEV, "nsdelegate,memory_recursiveprot"),
    PseudoMount("/sys/kernel/security", "securityfs"),
    PseudoMount("/sys/kernel/debug", "debugfs"),
    PseudoMount("/sys/kernel/tracing", "tracefs"),
    PseudoMount("/sys/fs/bpf", "bpf", NOSUID_NOEXEC_NODEV, "mode=0700"),
    PseudoMount("/sys/fs/pstore", "pstore"),
)
# Made inside the writable, volatile part of the tree.
DIRECTORIES = ("/dev/pts", "/dev/shm", "/dev/mqueue", "/run/lock", "/run/udev", "/system/run/machined",
               "/system/run/apid", "/system/etc", "/system/state")  # fmt: skip
DEVICE_LINKS = (("/proc/self/fd", "/dev/fd"), ("/proc/self/fd/0", "/dev/stdin"), ("/proc/self/fd/1", "/dev/stdout"),
                ("/proc/self/fd/2", "/dev/stderr"))  # fmt: skip
# Records below this number go to the console (proc_sys_kernel(5)); ours are 3 to 6.
CONSOLE_LEVEL = "/proc/sys/kernel/printk"
# Each service has a group of its own below these; Kubernetes' pods get theirs beside them.
PARENTS = ("system", "podruntime")
CGROUPS = ("init", *PARENTS)


async def mount_pseudo_filesystems(machine: Machine) -> None:
    """Mount what a kernel offers as files. A file system that this kernel lacks is no reason to stop."""
    for mount in PSEUDO_MOUNTS:
        if machine.mode == "container" and mount.target.startswith(("/sys/", "/dev/")):
            continue
        with contextlib.suppress(OSError):
            os.makedirs(mount.target, exist_ok=True)
        if os.path.ismount(mount.target):
            continue
        try:
            linux.mount(mount.fstype, mount.target, mount.fstype, mount.flags, mount.options)
        except OSError as error:
            machine.log.warning("mount=%s fstype=%s error=%s", mount.target, mount.fstype, error)
    for directory in DIRECTORIES:
        with contextlib.suppress(OSError):
            os.makedirs(directory, exist_ok=True)
    for target, link in DEVICE_LINKS:
        with contextlib.suppress(OSError):
            os.symlink(target, link)


async def start_loopback(machine: Machine) -> None:
    """Programs of the node talk to each other over 127.0.0.1 whether or not there is a network."""
    from dozen.linux.network import Network
    from dozen.linux.rtnetlink import LinkChange

    with Network() as network:
        network.set_link("lo", LinkChange(up=True))


async def open_console(machine: Machine) -> None:
    """From here on what PID 1 says goes to the kernel's log (and so to the console) and to the log "machined"."""
    attach_journal(machine.logs.open("machined"), to_kernel=machine.mode != "container")
    if machine.mode != "container":
        with contextlib.suppress(OSError), open(CONSOLE_LEVEL, "w") as stream:
            stream.write("7")


async def create_cgroups(machine: Machine) -> None:
    """Move PID 1 out of the root group and hand controllers down (cgroup-v2.rst, "No Internal Process Constraint")."""
    if machine.mode == "container":
        return
    from dozen.linux.cgroups import CONTROLLERS, Hierarchy

    hierarchy = Hierarchy()
    for name in CGROUPS:
        hierarchy.create(name)
    hierarchy.add("init", 1)
    for name in PARENTS:
        hierarchy.enable_controllers(name, CONTROLLERS)


async def write_etc(machine: Machine) -> None:
    """The generated files that /etc of the read-only image links to; controllers rewrite them when they know better."""
    with contextlib.suppress(FileExistsError), open("/system/etc/resolv.conf", "x"):
        pass
    with contextlib.suppress(FileExistsError), open("/system/etc/hosts", "x") as stream:
        stream.write("127.0.0.1 localhost\n::1 localhost\n")
    # machine-id(5): 32 hexadecimal digits, stable for a machine. Firmware's UUID is that; a container makes one up.
    try:
        with open("/sys/class/dmi/id/product_uuid") as stream:
            seed = stream.read().strip()
    except OSError:
        with open("/proc/sys/kernel/random/boot_id") as stream:
            seed = stream.read().strip()
    with open("/system/etc/machine-id", "w") as stream:
        stream.write(seed.replace("-", "").lower()[:32] + "\n")


async def load_config(machine: Machine) -> None:
    """Find the machine configuration, decode it, and make it a resource; without a good one the node stays up."""
    from dozen.node.sources import find_early

    found = find_early(machine)
    if found is None:
        machine.set_stage("maintenance")
        logging.getLogger("dozen.config").warning("no machine configuration found; serving in maintenance mode")
        return
    machine.configuration.take(*found)
