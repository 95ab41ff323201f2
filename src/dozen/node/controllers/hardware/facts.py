"""Publishes what is settled when the machine starts, and now and then what it is busy with."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from dozen.machinery.plan import Input, Put, Step, View
from dozen.machinery.resources.block import SWAP_STATUS, SwapStatusSpec
from dozen.machinery.resources.kernel import KERNEL_CMDLINE, KernelCmdlineSpec
from dozen.machinery.resources.perf import CPU_STAT, LATEST, MEMORY_STAT, CPUStatSpec, CPUTimes, MemoryStatSpec
from dozen.machinery.resources.runtime import (
    BOOT_ID,
    PLATFORM_METADATA,
    SECURITY_STATE,
    VERSION,
    BootIDSpec,
    PlatformMetadataSpec,
    SecurityStateSpec,
    VersionSpec,
)
from dozen.machinery.resources.settings import NETWORK, PLATFORM_NETWORK

if TYPE_CHECKING:
    from dozen.engine.publisher import Publisher
    from dozen.linux.bootfacts import Security
    from dozen.linux.procfs import CpuTimes, SystemStat
    from dozen.linux.swaps import Swap

SYSTEM_NAME = "Dozen Linux"
STATS_PERIOD = 30.0  # seconds; who wants it sooner asks for SystemStat and Memory
# Fields of MemoryStat whose names do not follow from those of /proc/meminfo.
MEMORY_NAMES = {
    "total": "memtotal",
    "available": "memavailable",
    "slab_reclaimable": "sreclaimable",
    "slab_unreclaimable": "sunreclaim",
}


class BootWatcher:
    """The kernel's boot id and command line, protection, version → BootID, KernelCmdline, SecurityState, Version.

    A machine that is a container has no boot of its own: a boot id there would not change when the machine starts
    again, and whoever waits for another one would wait for ever.
    """

    name = "boot-facts"
    outputs = (VERSION, SECURITY_STATE, BOOT_ID, KERNEL_CMDLINE)

    def __init__(self, version: str, managed: bool = True) -> None:
        self._version = version
        self._managed = managed

    async def run(self, publish: Publisher) -> None:
        from dozen.linux import bootfacts

        publish.put(VERSION, "version", VersionSpec(name=SYSTEM_NAME, version=self._version))
        publish.put(SECURITY_STATE, "securitystate", describe_security(bootfacts.read_security()))
        if self._managed:
            publish.put(BOOT_ID, "boot-id", BootIDSpec(boot_id=bootfacts.read_boot_id()))
            publish.put(KERNEL_CMDLINE, "cmdline", KernelCmdlineSpec(cmdline=bootfacts.read_command_line()))


class StatsWatcher:
    """/proc/stat, /proc/meminfo, /proc/swaps → CPUStat, MemoryStat, SwapStatus, every `STATS_PERIOD` seconds."""

    name = "stats"
    outputs = (CPU_STAT, MEMORY_STAT, SWAP_STATUS)

    async def run(self, publish: Publisher) -> None:
        from dozen.linux.procfs import PROC, parse_memory, parse_system_stat
        from dozen.linux.swaps import read_swaps

        while True:
            publish.put(CPU_STAT, LATEST, describe_processors(parse_system_stat(_read(PROC / "stat"))))
            publish.put(MEMORY_STAT, LATEST, describe_memory(parse_memory(_read(PROC / "meminfo"))))
            publish.replace(SWAP_STATUS, describe_swaps(read_swaps()))
            await asyncio.sleep(STATS_PERIOD)


class PlatformMetadataController:
    """The platform's name, and what it told this machine → PlatformMetadata."""

    name = "platform-metadata"
    inputs = (Input(PLATFORM_NETWORK),)
    outputs = (PLATFORM_METADATA,)

    def __init__(self, platform: str) -> None:
        self._platform = platform

    def plan(self, view: View) -> Iterable[Step]:
        told = view.get(PLATFORM_NETWORK, NETWORK)
        hostname = told.spec.fallback_hostname if told is not None else ""
        spec = PlatformMetadataSpec(platform=self._platform, hostname=hostname)
        yield Put(PLATFORM_METADATA, "platformmetadata", spec)


def describe_security(found: Security) -> SecurityStateSpec:
    """The state as a resource. No image of ours is one signed file, hence neither UKI nor its keys."""
    return SecurityStateSpec(
        secure_boot=found.secure_boot,
        selinux_state=found.selinux,
        fips_state="enabled" if found.fips else "disabled",
        module_signature_enforced=found.signed_modules_only,
    )


def describe_processors(stat: SystemStat) -> CPUStatSpec:
    """What the processors did since the boot."""
    return CPUStatSpec(
        cpu=tuple(_times(each) for each in stat.cpu),
        cpu_total=_times(stat.cpu_total),
        irq_total=stat.irq_total,
        context_switches=stat.context_switches,
        process_created=stat.process_created,
        process_running=stat.process_running,
        process_blocked=stat.process_blocked,
        soft_irq_total=stat.soft_irq_total,
    )


def describe_memory(found: Mapping[str, int]) -> MemoryStatSpec:
    """What memory is used for; what this kernel does not count is 0."""
    values = {
        field: found.get(MEMORY_NAMES.get(field, field.replace("_", "")), 0)
        for field in MemoryStatSpec.__struct_fields__
    }
    values["used"] = values["total"] - found.get("memfree", 0)
    return MemoryStatSpec(**values)


def describe_swaps(swaps: Iterable[Swap]) -> dict[str, SwapStatusSpec]:
    """Swap space by path."""
    from dozen.linux.block_devices import pretty_size

    return {
        each.path: SwapStatusSpec(
            device=each.path,
            type=each.type,
            size=each.size,
            size_human=pretty_size(each.size),
            used=each.used,
            used_human=pretty_size(each.used),
            priority=each.priority,
        )
        for each in swaps
    }


def _times(times: CpuTimes) -> CPUTimes:
    return CPUTimes(**times._asdict())


def _read(path: Path) -> str:
    return path.read_text(errors="replace")
