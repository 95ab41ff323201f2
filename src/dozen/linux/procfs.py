"""What the kernel tells in /proc and /sys about memory, processors, disks, interfaces and mounts.

Every ``parse_*`` is a pure function from a file's text to named values; the names are those of the machine API's
fields, so that an answer can be filled from them directly. Every ``read_*`` reads the files itself; those take the
roots of /proc and /sys, so that tests can bring their own. All of them block for the short time that the kernel needs
to make the text.

Formats: proc(5) and the kernel's Documentation/filesystems/proc.rst, for block devices admin-guide/iostats.rst.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from dozen.linux.escapes import unescape

PROC = Path("/proc")
SYS = Path("/sys")

# The kernel counts processor time in /proc in this many ticks a second on every architecture that Debian has.
TICKS_PER_SECOND = 100


class CpuTimes(NamedTuple):
    """Seconds that a processor spent in each mode since boot."""

    user: float = 0.0
    nice: float = 0.0
    system: float = 0.0
    idle: float = 0.0
    iowait: float = 0.0
    irq: float = 0.0
    soft_irq: float = 0.0
    steal: float = 0.0
    guest: float = 0.0
    guest_nice: float = 0.0


class SoftIrqs(NamedTuple):
    """Soft interrupts since boot, by kind, in the kernel's order."""

    hi: int = 0
    timer: int = 0
    net_tx: int = 0
    net_rx: int = 0
    block: int = 0
    block_io_poll: int = 0
    tasklet: int = 0
    sched: int = 0
    hrtimer: int = 0
    rcu: int = 0


class SystemStat(NamedTuple):
    """/proc/stat. ``boot_time`` in seconds since the epoch; ``irq`` has one count for each interrupt number."""

    boot_time: int
    cpu_total: CpuTimes
    cpu: tuple[CpuTimes, ...]
    irq_total: int
    irq: tuple[int, ...]
    context_switches: int
    process_created: int
    process_running: int
    process_blocked: int
    soft_irq_total: int
    soft_irq: SoftIrqs


class LoadAverage(NamedTuple):
    """Average numbers of runnable or blocked tasks over 1, 5 and 15 minutes."""

    load1: float
    load5: float
    load15: float


class CpuFrequency(NamedTuple):
    """One processor's clock in kHz; zeros and no governor where the kernel does not govern it."""

    current_frequency: int = 0
    minimum_frequency: int = 0
    maximum_frequency: int = 0
    governor: str = ""


class DiskCounters(NamedTuple):
    """One line of /proc/diskstats, without the device's numbers."""

    name: str
    read_completed: int = 0
    read_merged: int = 0
    read_sectors: int = 0
    read_time_ms: int = 0
    write_completed: int = 0
    write_merged: int = 0
    write_sectors: int = 0
    write_time_ms: int = 0
    io_in_progress: int = 0
    io_time_ms: int = 0
    io_time_weighted_ms: int = 0
    discard_completed: int = 0
    discard_merged: int = 0
    discard_sectors: int = 0
    discard_time_ms: int = 0


class InterfaceCounters(NamedTuple):
    """One line of /proc/net/dev, in the order of its columns."""

    name: str
    rx_bytes: int = 0
    rx_packets: int = 0
    rx_errors: int = 0
    rx_dropped: int = 0
    rx_fifo: int = 0
    rx_frame: int = 0
    rx_compressed: int = 0
    rx_multicast: int = 0
    tx_bytes: int = 0
    tx_packets: int = 0
    tx_errors: int = 0
    tx_dropped: int = 0
    tx_fifo: int = 0
    tx_collisions: int = 0
    tx_carrier: int = 0
    tx_compressed: int = 0


class Mount(NamedTuple):
    """One mounted file system: its source, where it is mounted, its type and its options."""

    source: str
    target: str
    type: str
    options: str


class MountSpace(NamedTuple):
    """Space of a mounted file system in bytes; zeros for those that have none or could not be asked."""

    filesystem: str
    mounted_on: str
    size: int = 0
    available: int = 0


def parse_memory(text: str) -> dict[str, int]:
    """/proc/meminfo; a name is the kernel's in lower case without punctuation: ``Active(anon)`` is ``activeanon``.

    Values as the kernel prints them: KiB, or a number of pages for the HugePages lines.
    """
    values = {}
    for line in text.splitlines():
        name, _, rest = line.partition(":")
        number = rest.split()
        if number and number[0].isdigit():
            values["".join(filter(str.isalnum, name)).lower()] = int(number[0])
    return values


def parse_load(text: str) -> LoadAverage:
    """/proc/loadavg. Raises ValueError."""
    one, five, fifteen = (float(word) for word in text.split()[:3])
    return LoadAverage(one, five, fifteen)


def parse_system_stat(text: str) -> SystemStat:
    """/proc/stat."""
    lines = {words[0]: words[1:] for line in text.splitlines() if (words := line.split())}
    processors = [name for name in lines if name[:3] == "cpu" and name != "cpu"]
    interrupts = [int(word) for word in lines.get("intr", ())]
    soft = [int(word) for word in lines.get("softirq", ())]

    def single(name: str) -> int:
        return int((lines.get(name) or ["0"])[0])

    return SystemStat(
        boot_time=single("btime"),
        cpu_total=_parse_times(lines.get("cpu", ())),
        cpu=tuple(_parse_times(lines[name]) for name in processors),
        irq_total=interrupts[0] if interrupts else 0,
        irq=tuple(interrupts[1:]),
        context_switches=single("ctxt"),
        process_created=single("processes"),
        process_running=single("procs_running"),
        process_blocked=single("procs_blocked"),
        soft_irq_total=soft[0] if soft else 0,
        soft_irq=SoftIrqs(*soft[1 : len(SoftIrqs._fields) + 1]),
    )


def _parse_times(words: Sequence[str]) -> CpuTimes:
    return CpuTimes(*(int(word) / TICKS_PER_SECOND for word in words[: len(CpuTimes._fields)]))


# /proc/cpuinfo's names on x86 → the API's field and how to read the value. A name that is missing here is not reported.
_CPU_FIELDS: dict[str, tuple[str, type]] = {
    "processor": ("processor", int),
    "vendor_id": ("vendor_id", str),
    "cpu family": ("cpu_family", str),
    "model": ("model", str),
    "model name": ("model_name", str),
    "stepping": ("stepping", str),
    "microcode": ("microcode", str),
    "cpu MHz": ("cpu_mhz", float),
    "cache size": ("cache_size", str),
    "physical id": ("physical_id", str),
    "siblings": ("siblings", int),
    "core id": ("core_id", str),
    "cpu cores": ("cpu_cores", int),
    "apicid": ("apic_id", str),
    "initial apicid": ("initial_apic_id", str),
    "fpu": ("fpu", str),
    "fpu_exception": ("fpu_exception", str),
    "cpuid level": ("cpu_id_level", int),
    "wp": ("wp", str),
    "flags": ("flags", list),
    "bugs": ("bugs", list),
    "bogomips": ("bogo_mips", float),
    "clflush size": ("cl_flush_size", int),
    "cache_alignment": ("cache_alignment", int),
    "address sizes": ("address_sizes", str),
    "power management": ("power_management", str),
}

CpuInfo = dict[str, int | str | float | list[str]]


def parse_cpu_info(text: str) -> list[CpuInfo]:
    """/proc/cpuinfo of an x86 machine: one dictionary for each processor; numbers that make no sense are left out."""
    processors: list[CpuInfo] = []
    for block in text.split("\n\n"):
        processor: CpuInfo = {}
        for line in block.splitlines():
            name, _, value = line.partition(":")
            field, read = _CPU_FIELDS.get(name.strip(), ("", str))
            if field:
                with contextlib.suppress(ValueError):
                    processor[field] = value.split() if read is list else read(value.strip())
        if "processor" in processor:
            processors.append(processor)
    return processors


def read_cpu_frequencies(sys: Path = SYS) -> list[CpuFrequency]:
    """One for each processor, in their order."""
    folder = sys / "devices" / "system" / "cpu"
    numbers = sorted(int(path.name[3:]) for path in folder.glob("cpu[0-9]*") if path.name[3:].isdigit())
    return [_read_frequency(folder / f"cpu{number}" / "cpufreq") for number in numbers]


def _read_frequency(folder: Path) -> CpuFrequency:
    def number(name: str) -> int:
        value = read_word(folder / name)
        return int(value) if value.isdigit() else 0

    return CpuFrequency(
        number("scaling_cur_freq"),
        number("cpuinfo_min_freq"),
        number("cpuinfo_max_freq"),
        read_word(folder / "scaling_governor"),
    )


def parse_disk_stats(text: str) -> list[DiskCounters]:
    """/proc/diskstats; kernels before 4.18 have no discards, newer ones have flushes behind them."""
    disks = []
    for line in text.splitlines():
        words = line.split()
        if len(words) >= 3:
            disks.append(DiskCounters(words[2], *map(int, words[3 : 2 + len(DiskCounters._fields)])))
    return disks


def sum_disks(disks: Iterable[DiskCounters], whole: Iterable[str]) -> DiskCounters:
    """Sums over ``whole`` disks: a partition's work is its disk's work as well."""
    names = set(whole)
    columns = zip(*(disk[1:] for disk in disks if disk.name in names), strict=True)
    return DiskCounters("", *(sum(column) for column in columns))


def read_whole_disks(sys: Path = SYS) -> list[str]:
    """Names of block devices that are not partitions and not built on other devices (as mappings and loops are)."""
    try:
        names = sorted(os.listdir(sys / "block"))
    except OSError:
        return []
    return [name for name in names if "virtual" not in os.path.realpath(sys / "block" / name).split(os.sep)]


def parse_interfaces(text: str) -> list[InterfaceCounters]:
    """/proc/net/dev."""
    interfaces = []
    for line in text.splitlines()[2:]:
        name, _, rest = line.rpartition(":")
        if name:
            interfaces.append(InterfaceCounters(name.strip(), *map(int, rest.split()[:16])))
    return interfaces


def sum_interfaces(interfaces: Iterable[InterfaceCounters]) -> InterfaceCounters:
    """Sums over all interfaces."""
    columns = zip(*(interface[1:] for interface in interfaces), strict=True)
    return InterfaceCounters("", *(sum(column) for column in columns))


def parse_mounts(text: str) -> list[Mount]:
    """/proc/mounts; the kernel writes white space in names as octal escapes."""
    mounts = []
    for line in text.splitlines():
        words = [unescape(word) for word in line.split(" ")]
        if len(words) >= 4:
            mounts.append(Mount(*words[:4]))
    return mounts


def read_mount_spaces(proc: Path = PROC) -> list[MountSpace]:
    """Every mount of this process, with its space."""
    spaces = []
    for mount in parse_mounts((proc / "mounts").read_text(errors="surrogateescape")):
        space = MountSpace(mount.source, mount.target)
        with contextlib.suppress(OSError):
            found = os.statvfs(mount.target)
            space = space._replace(size=found.f_blocks * found.f_frsize, available=found.f_bavail * found.f_frsize)
        spaces.append(space)
    return spaces


def read_word(path: Path) -> str:
    """A one-line file's content; empty when it cannot be read."""
    try:
        return path.read_text(errors="replace").strip()
    except OSError:
        return ""


def named(values: NamedTuple) -> Mapping[str, object]:
    """A named tuple as keyword arguments for a message, nested ones as dictionaries."""
    return {
        name: dict(named(value)) if hasattr(value, "_fields") else value
        for name, value in zip(values._fields, values, strict=True)
    }
