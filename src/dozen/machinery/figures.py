"""The figures of a node's screen, made from what its API answers. Pure: whoever draws asks the node itself.

The node's own console and ``dozenctl dashboard`` ask the same calls (`CALLS`) and look at the same resources
(`RESOURCES`), and so show the same screen.
"""

from __future__ import annotations

import time
from typing import Any

from dozen.machinery.screen import Figures, ProcessLine, ServiceLine

# What does not change while a node runs, and what does.
CALLS_ONCE = ("Version",)
CALLS = (
    "LoadAvg",
    "Memory",
    "SystemStat",
    "CPUFreqStats",
    "CPUInfo",
    "NetworkDeviceStats",
    "DiskStats",
    "Processes",
    "ServiceList",
)
RESOURCES = {
    "status": ("MachineStatuses.runtime.talos.dev", "runtime", "machine"),
    "hostname": ("HostnameStatuses.net.talos.dev", "network", "hostname"),
    "addresses": ("NodeAddresses.net.talos.dev", "network", "default"),
    "resolvers": ("ResolverStatuses.net.talos.dev", "network", "resolvers"),
    "time": ("TimeStatuses.v1alpha1.talos.dev", "runtime", "node"),
    "type": ("MachineTypes.config.talos.dev", "config", "machine-type"),
}


def make_figures(
    answers: dict[str, Any],
    specs: dict[str, Any],
    before: tuple[float, dict[str, Any]] | None,
    now: float,
    log: tuple[str, ...],
    note: str,
) -> Figures:
    """The screen's figures from what the node answered; ``before`` are the answers of the last time."""
    status = specs.get("status") or {}
    memory, load, stat = (answers.get(name) for name in ("Memory", "LoadAvg", "SystemStat"))
    version, processors = answers.get("Version"), answers.get("CPUInfo")
    network = _rates(answers, before, now, "NetworkDeviceStats", ("rx_bytes", "tx_bytes"))
    disks = _rates(answers, before, now, "DiskStats", ("read_sectors", "write_sectors"))
    return Figures(
        hostname=(specs.get("hostname") or {}).get("hostname", ""),
        version=version.version.tag if version else "",
        stage=status.get("stage", ""),
        ready=bool((status.get("status") or {}).get("ready")),
        unmet=tuple(each.get("name", "") for each in (status.get("status") or {}).get("unmetConditions") or ()),
        uptime=time.time() - stat.boot_time if stat and stat.boot_time else None,
        machine_type=_machine_type(specs.get("type")),
        addresses=tuple((specs.get("addresses") or {}).get("addresses") or ()),
        resolvers=tuple((specs.get("resolvers") or {}).get("dnsServers") or ()),
        time_synced=(specs.get("time") or {}).get("synced"),
        processors=len(processors.cpu_info) if processors else 0,
        frequency=_frequency(answers.get("CPUFreqStats")),
        cpu=_cpu_share(stat, before[1].get("SystemStat") if before else None),
        load=(load.load1, load.load5, load.load15) if load else (),
        memory_total=memory.meminfo.memtotal * 1024 if memory else 0,
        memory_available=memory.meminfo.memavailable * 1024 if memory else 0,
        received=network[0],
        sent=network[1],
        disk_read=None if disks[0] is None else disks[0] * 512,
        disk_written=None if disks[1] is None else disks[1] * 512,
        process_count=len(answers["Processes"].processes) if answers.get("Processes") else 0,
        services=_services(answers.get("ServiceList")),
        processes=_processes(answers.get("Processes"), before, now),
        log=log,
        note=note,
    )


def _services(answer: Any) -> tuple[ServiceLine, ...]:
    return tuple(
        ServiceLine(each.id, each.state, None if each.health.unknown else each.health.healthy)
        for each in (answer.services if answer else ())
    )


def _machine_type(spec: Any) -> str:
    return spec if isinstance(spec, str) else ""


def _frequency(answer: Any) -> float | None:
    """The mean of the processors' clocks in Hz; None where nobody governs them."""
    clocks = (
        [each.current_frequency * 1000 for each in answer.cpu_freq_stats if each.current_frequency] if answer else []
    )
    return sum(clocks) / len(clocks) if clocks else None


def _cpu_share(stat: Any, before: Any) -> float | None:
    """The share of time that processors were not idle since the last look."""
    if stat is None or before is None:
        return None

    def sums(total: Any) -> tuple[float, float]:
        fields = [getattr(total, field.name) for field in total.DESCRIPTOR.fields]
        guest = total.guest + total.guest_nice
        return sum(fields) - guest, total.idle + total.iowait

    (total, idle), (total_before, idle_before) = sums(stat.cpu_total), sums(before.cpu_total)
    spent = total - total_before
    return 1 - (idle - idle_before) / spent if spent > 0 else None


def _rates(
    answers: dict[str, Any],
    before: tuple[float, dict[str, Any]] | None,
    now: float,
    name: str,
    fields: tuple[str, str],
) -> tuple[float | None, float | None]:
    new, old = answers.get(name), before[1].get(name) if before else None
    if not new or not old or before is None or now <= before[0]:
        return None, None
    seconds = now - before[0]
    first, second = ((getattr(new.total, field) - getattr(old.total, field)) / seconds for field in fields)
    return max(0.0, first), max(0.0, second)


def _processes(answer: Any, before: tuple[float, dict[str, Any]] | None, now: float) -> Any:
    if answer is None:
        return ()
    old = before[1].get("Processes") if before else None
    spent = {each.pid: each.cpu_time for each in old.processes} if old else {}
    seconds = now - before[0] if before else 1.0
    lines = [
        ProcessLine(
            each.pid,
            max(0.0, each.cpu_time - spent.get(each.pid, each.cpu_time)) / seconds,
            each.resident_memory,
            each.args or each.command,
        )
        for each in answer.processes
        if each.resident_memory
    ]
    return tuple(sorted(lines, key=lambda line: (-round(line.cpu, 2), -line.memory))[:30])
