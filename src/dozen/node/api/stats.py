"""What the machine is and what it is busy with: version, name, memory, processors, disks, interfaces, mounts,
processes.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dozen.machinery.messages import message
from dozen.node.api.streaming import printable, run_blocking
from dozen.rpc.router import Router

if TYPE_CHECKING:
    from dozen.node.api.ports import Machine

SERVICE = "/machine.MachineService"
EMPTY = "google.protobuf.Empty"


def register(router: Router, machine: Machine) -> None:
    """Serve the calls of this theme."""

    async def version(call: object, request: Any) -> Any:
        return describe_version(machine)

    calls: dict[str, Callable[[object, Any], Awaitable[Any]]] = {
        "Version": version,
        "Hostname": hostname,
        "Memory": memory,
        "LoadAvg": load_average,
        "SystemStat": system_stat,
        "CPUInfo": cpu_info,
        "CPUFreqStats": cpu_frequencies,
        "DiskStats": disk_stats,
        "NetworkDeviceStats": interface_stats,
        "Mounts": mounts,
        "Processes": processes,
    }
    for name, function in calls.items():
        router.unary(f"{SERVICE}/{name}", EMPTY, function)
    router.unary("/machine.StorageService/Statfs", "machine.StorageServiceStatfsRequest", statfs)


def describe_version(machine: Machine) -> Any:
    """What runs here. A machine without a configuration does not say that roles count: it asks nobody for one."""
    build, place = machine.version, machine.platform
    values: dict[str, Any] = {
        "version": {
            "tag": build.tag,
            "sha": build.sha,
            "built": build.built,
            "go_version": "CPython " + sys.version.partition(" ")[0],
            "os": build.os,
            "arch": build.arch,
        },
        "platform": {"name": place.name, "mode": place.mode},
    }
    if not machine.maintenance:
        values["features"] = {"rbac": True}
    return message("machine.VersionResponse")(messages=[values])


async def hostname(call: object, request: Any) -> Any:
    """The kernel's name for the machine."""
    return message("machine.HostnameResponse")(messages=[{"hostname": printable(os.uname().nodename)}])


async def memory(call: object, request: Any) -> Any:
    """/proc/meminfo; what the API has no field for is left out."""
    from dozen.linux.procfs import parse_memory

    values = parse_memory(await _read("/proc/meminfo"))
    mem_info = message("machine.MemInfo")()
    for field in mem_info.DESCRIPTOR.fields:
        setattr(mem_info, field.name, values.get(field.name, 0))
    return message("machine.MemoryResponse")(messages=[{"meminfo": mem_info}])


async def load_average(call: object, request: Any) -> Any:
    """/proc/loadavg."""
    from dozen.linux.procfs import parse_load

    return message("machine.LoadAvgResponse")(messages=[parse_load(await _read("/proc/loadavg"))._asdict()])


async def system_stat(call: object, request: Any) -> Any:
    """/proc/stat."""
    from dozen.linux.procfs import named, parse_system_stat

    stat = parse_system_stat(await _read("/proc/stat"))
    values = {**named(stat), "cpu": [named(times) for times in stat.cpu]}
    return message("machine.SystemStatResponse")(messages=[values])


async def cpu_info(call: object, request: Any) -> Any:
    """/proc/cpuinfo."""
    from dozen.linux.procfs import parse_cpu_info

    processors = parse_cpu_info(await _read("/proc/cpuinfo"))
    return message("machine.CPUInfoResponse")(messages=[{"cpu_info": processors}])


async def cpu_frequencies(call: object, request: Any) -> Any:
    """Clock of each processor."""
    from dozen.linux.procfs import read_cpu_frequencies

    found = await run_blocking(read_cpu_frequencies)
    frequencies = [frequency._asdict() for frequency in found]
    return message("machine.CPUFreqStatsResponse")(messages=[{"cpu_freq_stats": frequencies}])


async def disk_stats(call: object, request: Any) -> Any:
    """/proc/diskstats."""
    from dozen.linux.procfs import parse_disk_stats, read_whole_disks, sum_disks

    disks = parse_disk_stats(await _read("/proc/diskstats"))
    total = sum_disks(disks, await run_blocking(read_whole_disks))
    values = {"total": total._asdict(), "devices": [disk._asdict() for disk in disks]}
    return message("machine.DiskStatsResponse")(messages=[values])


async def interface_stats(call: object, request: Any) -> Any:
    """/proc/net/dev."""
    from dozen.linux.procfs import parse_interfaces, sum_interfaces

    interfaces = parse_interfaces(await _read("/proc/net/dev"))
    devices = [interface._asdict() for interface in interfaces]
    values = {"total": sum_interfaces(interfaces)._asdict(), "devices": devices}
    return message("machine.NetworkDeviceStatsResponse")(messages=[values])


async def mounts(call: object, request: Any) -> Any:
    """Mounted file systems with their space."""
    from dozen.linux.procfs import read_mount_spaces

    stats = [
        {
            "filesystem": printable(mount.filesystem),
            "mounted_on": printable(mount.mounted_on),
            "size": mount.size,
            "available": mount.available,
        }
        for mount in await run_blocking(read_mount_spaces)
    ]
    return message("machine.MountsResponse")(messages=[{"stats": stats}])


async def processes(call: object, request: Any) -> Any:
    """Every process of the machine."""
    from dozen.linux.processes import read_processes

    found = [
        process._replace(executable=printable(process.executable))._asdict()
        for process in await run_blocking(read_processes)
    ]
    return message("machine.ProcessesResponse")(messages=[{"processes": found}])


async def statfs(call: object, request: Any) -> Any:
    """Space of the file system that holds a path."""
    from dozen.linux.files import absolute

    found = await run_blocking(os.statvfs, absolute(request.path))
    return message("machine.StorageServiceStatfsResponse")(
        size=found.f_blocks * found.f_frsize,
        used=(found.f_blocks - found.f_bfree) * found.f_frsize,
        available=found.f_bavail * found.f_frsize,
        inodes=found.f_files,
        inodes_used=found.f_files - found.f_ffree,
        inodes_free=found.f_ffree,
    )


async def _read(path: str) -> str:
    return await run_blocking(_read_text, path)


def _read_text(path: str) -> str:
    return Path(path).read_text(errors="replace")
