"""What a container's runtime is told, as data: an image's configuration and a wish become an OCI runtime specification.

Pure functions. The format is the OCI runtime specification 1.1 (config.md, config-linux.md); what an image's
configuration holds is in the OCI image specification (config.md).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

if TYPE_CHECKING:
    from dozen.node.services.definition import ContainerProgram

VERSION = "1.1.0"
SPEC_TYPE = "types.containerd.io/opencontainers/runtime-spec/1/Spec"
# Open files that a service may have: what container engines give.
FILES = 1024 * 1024
DEFAULT_PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

# capabilities(7), by number.
ALL_CAPABILITIES = tuple(
    f"CAP_{name}"
    for name in (
        *("CHOWN", "DAC_OVERRIDE", "DAC_READ_SEARCH", "FOWNER", "FSETID", "KILL", "SETGID", "SETUID", "SETPCAP"),
        *("LINUX_IMMUTABLE", "NET_BIND_SERVICE", "NET_BROADCAST", "NET_ADMIN", "NET_RAW", "IPC_LOCK", "IPC_OWNER"),
        *("SYS_MODULE", "SYS_RAWIO", "SYS_CHROOT", "SYS_PTRACE", "SYS_PACCT", "SYS_ADMIN", "SYS_BOOT", "SYS_NICE"),
        *("SYS_RESOURCE", "SYS_TIME", "SYS_TTY_CONFIG", "MKNOD", "LEASE", "AUDIT_WRITE", "AUDIT_CONTROL", "SETFCAP"),
        *("MAC_OVERRIDE", "MAC_ADMIN", "SYSLOG", "WAKE_ALARM", "BLOCK_SUSPEND", "AUDIT_READ", "PERFMON", "BPF"),
        "CHECKPOINT_RESTORE",
    )
)
# What containers usually get: enough to be root in one's own files, nothing that reaches outside.
USUAL_CAPABILITIES = tuple(
    f"CAP_{name}"
    for name in (
        *("CHOWN", "DAC_OVERRIDE", "FSETID", "FOWNER", "MKNOD", "NET_RAW", "SETGID", "SETUID", "SETFCAP", "SETPCAP"),
        *("NET_BIND_SERVICE", "SYS_CHROOT", "KILL", "AUDIT_WRITE"),
    )
)

_MASKED = (
    *("/proc/acpi", "/proc/asound", "/proc/interrupts", "/proc/kcore", "/proc/keys", "/proc/latency_stats"),
    *("/proc/sched_debug", "/proc/scsi", "/proc/timer_list", "/proc/timer_stats", "/sys/firmware"),
    "/sys/devices/virtual/powercap",
)
_READONLY = ("/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger")


class ImageConfig(NamedTuple):
    """What an image says about running it. ``diff_ids`` are the digests of its uncompressed layers, lowest first."""

    entrypoint: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    env: tuple[str, ...] = ()
    directory: str = "/"
    user: str = ""
    diff_ids: tuple[str, ...] = ()


class Wish(NamedTuple):
    """What whoever runs a container wants. ``cgroup`` is a path below /sys/fs/cgroup. ``may_give`` has a bit set for
    each capability that the node itself can hold; asking for others would fail.
    """

    args: Sequence[str] = ()
    env: Mapping[str, str] = {}
    terminal: bool = False
    privileged: bool = True
    cgroup: str = ""
    may_give: int = -1


class BadImage(ValueError):
    """The image cannot be run as it is; the text is for people."""


class _Settings(
    msgspec.Struct,
    rename={"entrypoint": "Entrypoint", "command": "Cmd", "env": "Env", "directory": "WorkingDir", "user": "User"},
):
    """What is said about the process, as it is written. Whoever made the image may have written ``null`` anywhere."""

    entrypoint: tuple[str, ...] | None = None
    command: tuple[str, ...] | None = None
    env: tuple[str, ...] | None = None
    directory: str | None = None
    user: str | None = None


class _Layers(msgspec.Struct):
    diff_ids: tuple[str, ...] | None = None


class _Document(msgspec.Struct):
    config: _Settings | None = None
    rootfs: _Layers | None = None


def parse_image_config(config: Mapping[str, Any]) -> ImageConfig:
    """An image's configuration, decoded from JSON. Raises BadImage."""
    try:
        found = msgspec.convert(config, _Document)
    except msgspec.ValidationError as error:
        raise BadImage(f"the image's configuration is of another form: {error}") from None
    said, layers = found.config or _Settings(), found.rootfs or _Layers()
    return ImageConfig(
        said.entrypoint or (),
        said.command or (),
        said.env or (),
        said.directory or "/",
        said.user or "",
        layers.diff_ids or (),
    )


def build_spec(image: ImageConfig, wish: Wish) -> dict[str, Any]:
    """The specification of a container that shares the node's namespaces but for its mounts. Raises BadImage.

    A privileged one has every capability and device, and the node's files at /host.
    """
    wanted = ALL_CAPABILITIES if wish.privileged else USUAL_CAPABILITIES
    capabilities = [name for name in wanted if wish.may_give >> ALL_CAPABILITIES.index(name) & 1]
    linux: dict[str, Any] = {
        "namespaces": [{"type": "mount"}],
        "cgroupsPath": wish.cgroup,
        "resources": {"devices": [{"allow": wish.privileged, "access": "rwm"}]},
    }
    if wish.privileged:
        # What the node mounts later appears below /host as well.
        linux["rootfsPropagation"] = "rslave"
    else:
        linux["maskedPaths"] = list(_MASKED)
        linux["readonlyPaths"] = list(_READONLY)
    return {
        "ociVersion": VERSION,
        "process": {
            "terminal": wish.terminal,
            "user": parse_user(image.user),
            "args": build_command(image, wish.args),
            "env": build_environment(image.env, wish),
            "cwd": image.directory,
            "capabilities": dict.fromkeys(("bounding", "effective", "permitted"), capabilities),
            "noNewPrivileges": not wish.privileged,
        },
        "root": {"path": "rootfs", "readonly": False},
        "mounts": _privileged_mounts() if wish.privileged else _usual_mounts(),
        "linux": linux,
    }


def build_program_spec(image: ImageConfig, program: ContainerProgram, may_give: int = -1) -> dict[str, Any]:
    """The specification of a service's container: the node's network and names, its own mounts. Raises BadImage."""
    wanted = ALL_CAPABILITIES if program.privileged else program.capabilities
    capabilities = [name for name in wanted if may_give >> ALL_CAPABILITIES.index(name) & 1]
    own = ("mount",) if program.host_pids else ("mount", "pid", "ipc")
    linux: dict[str, Any] = {
        "namespaces": [{"type": name} for name in own],
        "cgroupsPath": program.cgroup,
        "resources": {"devices": [{"allow": program.privileged, "access": "rwm"}]},
    }
    if program.propagation:
        linux["rootfsPropagation"] = program.propagation
    if not program.privileged:
        linux["maskedPaths"] = list(_MASKED)
        linux["readonlyPaths"] = list(_READONLY)
    mounts = _program_mounts() if program.privileged else _usual_mounts()
    mounts += [_mount(each.destination, each.type, each.source, *each.options) for each in program.mounts]
    return {
        "ociVersion": VERSION,
        "process": {
            "terminal": False,
            "user": {"uid": program.uid, "gid": program.gid},
            "args": build_command(image, program.args),
            "env": build_environment(image.env, Wish(env=dict(program.env))),
            "cwd": image.directory,
            "capabilities": dict.fromkeys(("bounding", "effective", "permitted"), capabilities),
            "noNewPrivileges": not program.privileged,
            "oomScoreAdj": program.oom,
            "rlimits": [{"type": "RLIMIT_NOFILE", "hard": FILES, "soft": FILES}],
        },
        "root": {"path": "rootfs", "readonly": program.read_only},
        "mounts": mounts,
        "linux": linux,
    }


def build_command(image: ImageConfig, args: Sequence[str]) -> list[str]:
    """The command line: the caller's, or the image's own."""
    command = list(args) or [*image.entrypoint, *image.command]
    if not command:
        raise BadImage("the image names no program to run: give one as arguments")
    return command


def build_environment(of_image: Sequence[str], wish: Wish) -> list[str]:
    """``NAME=value`` for each variable, the caller's instead of the image's."""
    values = dict(entry.partition("=")[::2] for entry in (DEFAULT_PATH, *of_image))
    if wish.terminal:
        values.setdefault("TERM", "xterm")
    return [f"{name}={value}" for name, value in {**values, **wish.env}.items()]


def parse_user(user: str) -> dict[str, int]:
    """``uid`` or ``uid:gid``; root when empty. Names would have to be looked up inside the image."""
    uid, _, gid = (user or "0").partition(":")
    if not uid.isdigit() or not (gid or "0").isdigit():
        raise BadImage(f"the image's user {user!r} is a name: only numbers are understood")
    return {"uid": int(uid), "gid": int(gid or "0")}


def _mount(target: str, type: str, source: str, *options: str) -> dict[str, Any]:
    return {"destination": target, "type": type, "source": source, "options": list(options)}


def _privileged_mounts() -> list[dict[str, Any]]:
    return [
        _mount("/proc", "proc", "proc", "nosuid", "noexec", "nodev"),
        _mount("/sys", "bind", "/sys", "rbind", "rw", "rslave"),
        _mount("/dev", "bind", "/dev", "rbind", "rw", "rslave"),
        _mount("/host", "bind", "/", "rbind", "rw", "rslave"),
    ]


def _program_mounts() -> list[dict[str, Any]]:
    """What a privileged service sees of the node without asking for more: its devices and all of /sys."""
    return [
        _mount("/proc", "proc", "proc", "nosuid", "noexec", "nodev"),
        _mount("/sys", "bind", "/sys", "rbind", "rw", "rslave"),
        _mount("/dev", "bind", "/dev", "rbind", "rw", "rslave"),
    ]


def _usual_mounts() -> list[dict[str, Any]]:
    pts = ("nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5")
    return [
        _mount("/proc", "proc", "proc", "nosuid", "noexec", "nodev"),
        _mount("/dev", "tmpfs", "tmpfs", "nosuid", "strictatime", "mode=755", "size=65536k"),
        _mount("/dev/pts", "devpts", "devpts", *pts),
        _mount("/dev/shm", "tmpfs", "shm", "nosuid", "noexec", "nodev", "mode=1777", "size=65536k"),
        # The node's, because its network namespace is: a new one could not be mounted from inside another.
        _mount("/sys", "bind", "/sys", "rbind", "ro", "nosuid", "noexec", "nodev"),
    ]
