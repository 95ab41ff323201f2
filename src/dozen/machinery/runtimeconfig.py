"""containerd's configuration with what a machine configuration changes of it, and what its containers begin from.

Parts are tables of TOML laid over the image's own configuration: tables are merged, everything else is replaced. The
*base specification* is what containerd gives a pod's container before it looks at the pod (OCI runtime specification);
giving it a file means giving it all of it, so its own default stands here as data (containerd 1.7, oci/spec.go).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from dozen.machinery.registries import quote

# Of the format in which the image's configuration is written.
VERSION = 2
_RUNC = ("plugins", "io.containerd.grpc.v1.cri", "containerd", "runtimes", "runc")
_CAPABILITIES = tuple(
    f"CAP_{name}"
    for name in (
        *("CHOWN", "DAC_OVERRIDE", "FSETID", "FOWNER", "MKNOD", "NET_RAW", "SETGID", "SETUID", "SETFCAP", "SETPCAP"),
        *("NET_BIND_SERVICE", "SYS_CHROOT", "KILL", "AUDIT_WRITE"),
    )
)
_MASKED = (
    *("/proc/acpi", "/proc/asound", "/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/timer_list"),
    *("/proc/timer_stats", "/proc/sched_debug", "/sys/firmware", "/sys/devices/virtual/powercap", "/proc/scsi"),
)
_READONLY = ("/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger")
_HIDDEN = ("nosuid", "noexec", "nodev")
_MOUNTS: tuple[tuple[str, str, str, tuple[str, ...]], ...] = (
    ("/proc", "proc", "proc", _HIDDEN),
    ("/dev", "tmpfs", "tmpfs", ("nosuid", "strictatime", "mode=755", "size=65536k")),
    ("/dev/pts", "devpts", "devpts", ("nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5")),
    ("/dev/shm", "tmpfs", "shm", (*_HIDDEN, "mode=1777", "size=65536k")),
    ("/dev/mqueue", "mqueue", "mqueue", _HIDDEN),
    ("/sys", "sysfs", "sysfs", (*_HIDDEN, "ro")),
    ("/run", "tmpfs", "tmpfs", ("nosuid", "strictatime", "mode=755", "size=65536k")),
)


class BadPart(ValueError):
    """A part is not TOML, or of another version of containerd's configuration."""


def read_part(text: str) -> dict[str, Any]:
    """Raises BadPart."""
    import tomllib

    try:
        part = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise BadPart(f"is not TOML: {error}") from None
    if part.get("version", VERSION) != VERSION:
        raise BadPart(f"is of version {part['version']} of containerd's configuration; here it is version {VERSION}")
    return part


def compose(own: str, parts: Iterable[str], base_spec: str = "") -> str:
    """The image's configuration with parts laid over it; ``base_spec`` names the file of a base specification.

    Raises BadPart.
    """
    found = read_part(own)
    for part in parts:
        found = laid_over(found, read_part(part))
    if base_spec:
        setting: dict[str, Any] = {"base_runtime_spec": base_spec}
        for name in reversed(_RUNC):
            setting = {name: setting}
        found = laid_over(found, setting)
    return "".join(f"{line}\n" for line in _tables(found, ()))


def laid_over(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Mappings are merged; of everything else the latter wins."""
    found = dict(base)
    for name, value in over.items():
        before = found.get(name)
        found[name] = laid_over(before, value) if isinstance(before, dict) and isinstance(value, dict) else value
    return found


def base_specification(overrides: Mapping[str, Any]) -> dict[str, Any]:
    """The default one of containerd, with what the configuration wants otherwise."""
    default: dict[str, Any] = {
        "ociVersion": "1.1.0",
        "process": {
            "user": {"uid": 0, "gid": 0},
            "cwd": "/",
            "capabilities": {each: list(_CAPABILITIES) for each in ("bounding", "effective", "permitted")},
            "rlimits": [{"type": "RLIMIT_NOFILE", "hard": 1024, "soft": 1024}],
            "noNewPrivileges": True,
        },
        "root": {"path": "rootfs"},
        "mounts": [
            {"destination": place, "type": kind, "source": source, "options": list(options)}
            for place, kind, source, options in _MOUNTS
        ],
        "linux": {
            "resources": {"devices": [{"allow": False, "access": "rwm"}]},
            "cgroupsPath": "/default",
            "namespaces": [{"type": each} for each in ("pid", "ipc", "uts", "mount", "network")],
            "maskedPaths": list(_MASKED),
            "readonlyPaths": list(_READONLY),
        },
    }
    return laid_over(default, overrides)


def _tables(table: Mapping[str, Any], path: tuple[str, ...]) -> Iterator[str]:
    """Lines of a table: its values first, as they would else belong to a table within it."""
    values = {name: value for name, value in table.items() if not isinstance(value, dict)}
    if path and (values or not table):
        yield ""
        yield f"[{'.'.join(_key(name) for name in path)}]"
    for name, value in values.items():
        yield f"{_key(name)} = {_value(value)}"
    for name, value in table.items():
        if isinstance(value, dict):
            yield from _tables(value, (*path, name))


def _key(name: str) -> str:
    return name if name.replace("-", "a").replace("_", "a").isalnum() and name.isascii() else quote(name)


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return quote(value)
    if isinstance(value, list):
        return f"[{', '.join(_value(each) for each in value)}]"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{_key(name)} = {_value(each)}' for name, each in value.items())}}}"
    return str(value)  # numbers and times are written as they are printed
