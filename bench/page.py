"""Writes docs/benchmarks.md from what was measured; a part that could not be measured says why instead."""

from __future__ import annotations

import os
import platform
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

Results = dict[str, Any]

ROWS = (
    ("First kernel message, s", "seconds", "kernel"),
    ("Root file system's first program (stage 1, systemd), s", "seconds", "system"),
    ('PID 1 ready to listen (its phase "api"), s', "seconds", "python"),
    ("First API reply, s", "seconds", "api"),
    ("Stage 1 to first API reply, s", "seconds", "stage 1 to api"),
    ("containerd ready, s", "seconds", "containerd"),
    ("Memory used after 30 s idle (neither free nor cache), MiB", "figures", "memory_mib"),
    ("Memory not available then (MemTotal − MemAvailable), MiB", "figures", "unavailable_mib"),
    ("PID 1, MiB RSS", "figures", "init_mib"),
    ("apid, MiB RSS", "figures", "apid_mib"),
    ("containerd, MiB RSS", "figures", "containerd_mib"),
    ("Processes (kernel threads aside)", "figures", "processes"),
)


def render(results: Results) -> str:
    sections = [
        "# Benchmarks\n",
        "Made by `make bench`, which runs everything in one session on one machine, one after the other. It reports;",
        "no test depends on it.\n",
        f"{results['date']}, {results['machine']}.\n",
        "## Boot, memory and size, side by side\n",
        *side_by_side(results),
        "\n## Composing an image (development profile, s)\n",
        *pairs(results.get("compose")),
        "\n## The client: `dozenctl --help` (ms)\n",
        *pairs(results.get("client")),
        "\n## Reading a machine configuration\n",
        *pairs(results.get("configuration")),
        "\n## The API of a node in namespaces\n",
        "Clients in the node's network, by mutual TLS through apid to machined; all share the processors.\n",
        *pairs(results.get("native")),
        "\n## The API's transport alone\n",
        *pairs(results.get("rpc")),
        "\n## The engine\n",
        *pairs(results.get("engine")),
    ]
    return "\n".join(sections) + "\n"


def side_by_side(results: Results) -> list[str]:
    systems = [(name, results[key]) for key, name in SYSTEMS if isinstance(results.get(key), dict)]
    lines = ["| |" + "".join(f" {name} |" for name, _ in systems), "|---|" + "---:|" * len(systems)]
    for title, part, key in ROWS:
        cells = [show(system.get(part, {}).get(key)) for _, system in systems]
        if any(cells):
            lines.append(f"| {title} |" + "".join(f" {cell or '–'} |" for cell in cells))
    for title in ("root file system, MB", "names in the folders of PATH", "packages"):
        cells = [show(system.get(title)) for _, system in systems]
        lines.append(f"| {title[0].upper()}{title[1:]} |" + "".join(f" {cell or '–'} |" for cell in cells))
    lines.append("\nSeconds are wall time from the emulator's start, medians; all booted once before, to settle.")
    lines += [f"{name} was not measured: {results[key]}" for key, name in SYSTEMS if isinstance(results.get(key), str)]
    return [*lines, *notes(results), *goals(results)]


SYSTEMS = (("release", "Dozen Linux (release)"), ("dev", "Dozen Linux (dev)"), ("debian", "Debian 13 minimal"))


def notes(results: Results) -> list[str]:
    debian = results.get("debian")
    if not isinstance(debian, dict):
        return []
    return [
        "\nThe Debian system is debootstrap's minbase with systemd, containerd, runc, iptables, nftables, lvm2 and",
        "xfsprogs (`bench/debian.py`), with its own initramfs and the same kernel, emulator and flags. Its containerd",
        "counts as ready when systemd was told so; ours when it answered a call. Counted as the reference figures",
        f"were, with `ls` over all of PATH, Debian has {debian['listed']} names, because /bin and /sbin lead to the",
        "same folders as /usr/bin and /usr/sbin.",
    ]


def goals(results: Results) -> list[str]:
    """What the figures come to, measured by the goals."""
    ours, debian = results.get("release"), results.get("debian")
    if not (isinstance(ours, dict) and isinstance(debian, dict)):
        return []
    base = debian["seconds"]["containerd"]
    own = ours["seconds"]
    rows = (
        ("first API reply ÷ Debian's containerd", own["api"] / base, 0.13),
        ("containerd ÷ Debian's containerd", own["containerd"] / base, 0.2),
        ("stage 1 to first API reply, s", own["stage 1 to api"], 1.5),
        ("memory used, MiB", ours["figures"]["memory_mib"], 150),
        ("PID 1, MiB", ours["figures"]["init_mib"], 40),
        ("root file system, MB", ours["root file system, MB"], 50),
    )
    lines = ["\n| Goal | Figure | At most | |", "|---|---:|---:|---|"]
    lines += [
        f"| {name} | {show(round(value, 2))} | {limit} | {'met' if value <= limit else 'missed'} |"
        for name, value, limit in rows
    ]
    return lines


def pairs(part: Any) -> list[str]:
    """A table of names and figures; nested figures are flattened."""
    if not isinstance(part, dict):
        return [f"Not measured: {part or 'left out of this run'}."]
    return ["| | |", "|---|---:|", *(f"| {name} | {show(value)} |" for name, value in flatten(part))]


def flatten(part: dict[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    for name, value in part.items():
        title = f"{prefix}{name.replace('_', ' ')}"
        found += flatten(value, f"{title}: ") if isinstance(value, dict) else [(title, value)]
    return found


def show(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:,.0f}" if value >= 1000 else f"{value:.4g}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def describe_machine(accelerator: str) -> str:
    """Processor, memory, kernel and emulator."""
    cpuinfo = Path("/proc/cpuinfo").read_text()
    model = next((line.partition(":")[2].strip() for line in cpuinfo.splitlines() if "model name" in line), "")
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    emulator = subprocess.run(["qemu-system-x86_64", "--version"], capture_output=True, text=True, check=False).stdout
    load = os.getloadavg()[0]
    return (
        f"{os.cpu_count()} × {model or platform.processor()}, {memory:.0f} GiB, Linux {platform.release()}, "
        f"{emulator.partition(chr(10))[0]} with {accelerator.upper()}, Python {platform.python_version()}, "
        f"load {load:.1f} at the start"
    )


def today() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%d")
