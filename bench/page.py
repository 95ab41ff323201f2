"""Writes docs/benchmarks.md from what was measured; a part that could not be measured says why instead."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench.ablations import ABLATIONS
from dozen.provider import emulator

Results = dict[str, Any]

KERNEL_ROW = ("Kernel", "kernel", "")
ROWS = (
    ("First kernel message, s", "seconds", "kernel"),
    ("Root file system's first program (stage 1, systemd), s", "seconds", "system"),
    ('PID 1 ready to listen (its phase "api"), s', "seconds", "python"),
    ("First API reply, s", "seconds", "api"),
    ("Stage 1 to first API reply, s", "seconds", "stage 1 to api"),
    ("containerd ready (systemd was told), s", "seconds", "containerd"),
    ("containerd answers a call, s", "seconds", "answers"),
    ("Memory used after 30 s idle (neither free nor cache), MiB", "figures", "memory_mib"),
    ("Memory not available then (MemTotal − MemAvailable), MiB", "figures", "unavailable_mib"),
    ("PID 1, MiB RSS", "figures", "init_mib"),
    ("apid, MiB RSS", "figures", "apid_mib"),
    ("containerd, MiB RSS", "figures", "containerd_mib"),
    ("Processes (kernel threads aside)", "figures", "processes"),
    KERNEL_ROW,
)

# What a cluster of one node comes to, whichever system it is on; of an ablation, nothing else is shown.
CLUSTER_FIGURES = (
    ("API server ready, s", "seconds", "api server"),
    ("Node Ready, s", "seconds", "node"),
    ("CoreDNS available, s", "seconds", "coredns"),
    ("Processor seconds until the API server is ready", "processor", "api server"),
    ("… until the Node is Ready", "processor", "node"),
    ("… until CoreDNS is available", "processor", "coredns"),
    ("Memory used when idle (neither free nor cache), MiB", "figures", "memory_mib"),
    ("Memory not available then (MemTotal − MemAvailable), MiB", "figures", "unavailable_mib"),
    ("Processors used when idle (the emulator's, on the host)", "figures", "idle_processors"),
)
CLUSTER_ROWS = (
    ("First kernel message, s", "seconds", "kernel"),
    ("Root file system's first program, s", "seconds", "system"),
    ("containerd ready (systemd was told), s", "seconds", "containerd"),
    ("The node's own API answers, s", "seconds", "api"),
    ("etcd told to begin (`bootstrap`; `kubeadm init` started), s", "seconds", "begun"),
    ("`kubeadm init` done, s", "seconds", "initialized"),
    ("Runs of it that gave up at a slow answer before", "figures", "repeated"),
    ("kubectl has applied the pod network, s", "seconds", "applied"),
    *CLUSTER_FIGURES,
    KERNEL_ROW,
)


def render(results: Results) -> str:
    sections = [
        "# Benchmarks\n",
        "Made by `make bench`, which measures one part after the other on one machine; the last table tells when. It",
        "reports; no test depends on it.\n",
        f"{results['machine']}.\n",
        "## Boot, memory and size, side by side\n",
        *side_by_side(results),
        "\n## A cluster of one node, side by side\n",
        *clusters(results),
        "\n## What makes the difference\n",
        *ablated(results),
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
        "\n## When each part was measured\n",
        *pairs(results.get("begun")),
    ]
    return "\n".join(sections) + "\n"


def side_by_side(results: Results) -> list[str]:
    systems = measured(results, SYSTEMS)
    lines = table(systems, ROWS)
    for title in ("root file system, MB", "names in the folders of PATH", "packages"):
        cells = [show(system.get(title)) for _, system in systems]
        lines.append(f"| {title[0].upper()}{title[1:]} |" + "".join(f" {cell or '–'} |" for cell in cells))
    lines.append("\nSeconds are wall time from the emulator's start, medians; all booted once before, to settle.")
    return [*lines, *complaints(results, SYSTEMS), *notes(results), *goals(results)]


Systems = Sequence[tuple[str, str]]
"""(key in the results, name on the page)."""


def measured(results: Results, systems: Systems) -> list[tuple[str, Results]]:
    return [(name, results[key]) for key, name in systems if isinstance(results.get(key), dict)]


def complaints(results: Results, systems: Systems) -> list[str]:
    return [f"{name} was not measured: {results[key]}" for key, name in systems if isinstance(results.get(key), str)]


def table(systems: Sequence[tuple[str, Results]], rows: Sequence[tuple[str, str, str]]) -> list[str]:
    """A column for each system; a row that none of them has is left out."""
    lines = ["| |" + "".join(f" {name} |" for name, _ in systems), "|---|" + "---:|" * len(systems)]
    for title, part, key in rows:
        cells = [show(system.get(part, {}).get(key) if key else system.get(part)) for _, system in systems]
        if any(cells):
            lines.append(f"| {title} |" + "".join(f" {cell or '–'} |" for cell in cells))
    return lines


SYSTEMS = (("release", "Dozen Linux (release)"), ("dev", "Dozen Linux (dev)"), ("debian", "Debian 13 minimal"))


def notes(results: Results) -> list[str]:
    debian = results.get("debian")
    if not isinstance(debian, dict):
        return []
    return [
        "\nThe Debian system is debootstrap's minbase with systemd, containerd, runc, iptables, nftables, lvm2 and",
        "xfsprogs (`bench/debian.py`), with its own initramfs and the same emulator and flags. Its containerd counts",
        "as ready when systemd was told so, and answers when `ctr version` says so; ours answers when PID 1 was",
        "answered. The goals are held against the former, which comes first. Counted as the reference figures were,",
        f"with `ls` over all of PATH, Debian has {debian['listed']} names, because /bin and /sbin lead to the",
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
        ("containerd ÷ Debian's containerd", own["answers"] / base, 0.2),
        ("stage 1 to first API reply, s", own["stage 1 to api"], 1.5),
        ("memory used, MiB", ours["figures"]["memory_mib"], 150),
        ("PID 1, MiB", ours["figures"]["init_mib"], 40),
        ("root file system, MB", ours["root file system, MB"], 50),
    )
    return judged(rows)


def judged(rows: Sequence[tuple[str, float, float]]) -> list[str]:
    """(name, figure, goal) as a table."""
    lines = ["\n| Goal | Figure | At most | |", "|---|---:|---:|---|"]
    lines += [
        f"| {name} | {show(round(value, 2))} | {limit} | {'met' if value <= limit else 'missed'} |"
        for name, value, limit in rows
    ]
    return lines


CLUSTERS = (("cluster", "Dozen Linux (dev)"), ("kubeadm", "kubeadm on Debian 13 minimal"))
CLUSTER_GOALS = (
    ("API server ready", "seconds", "api server", 0.6),
    ("Node Ready", "seconds", "node", 0.6),
    ("CoreDNS available", "seconds", "coredns", 0.6),
    ("memory used when idle", "figures", "memory_mib", 0.85),
    ("processors used when idle", "figures", "idle_processors", 0.7),
)


def clusters(results: Results) -> list[str]:
    systems = measured(results, CLUSTERS)
    if not systems:
        return complaints(results, CLUSTERS) or ["Not measured: left out of this run."]
    lines = [
        *table(systems, CLUSTER_ROWS),
        f"\nSeconds are wall time from the emulator's start, medians of {systems[0][1]['boots']}. Each boot is",
        "the first of a machine with 2 processors and 3 GiB whose cluster does not exist yet.",
        *complaints(results, CLUSTERS),
        *(f"\n{paragraph}" for paragraph in CLUSTER_NOTES),
    ]
    if len(systems) < len(CLUSTERS):
        return lines
    ours, theirs = (system for _, system in systems)
    ratios = [
        (f"{title} ÷ kubeadm's", ours[part][key] / theirs[part][key], limit)
        for title, part, key, limit in CLUSTER_GOALS
    ]
    return [*lines, *judged(ratios)]


def ablated(results: Results) -> list[str]:
    """Our cluster without one thing at a time, in columns; what the columns mean below."""
    systems = measured(results, (("cluster", "as it is"), *((f"without-{name}", name) for name in ABLATIONS)))
    if len(systems) < 2:
        return ["Not measured: left out of this run."]
    there = {name: ABLATIONS[name] for name, _ in systems[1:]}
    left_out = ", ".join(name for name in ABLATIONS if name not in there)
    return [
        "Our cluster of one node, each time with one thing taken away (`bench/ablations.py`), booted once each:\n",
        *table(systems, CLUSTER_FIGURES),
        "",
        *(f"- **{name}**: {each.title}. We do otherwise, for {each.reason}." for name, each in there.items()),
        *([f"\nNot measured: {left_out}."] if left_out else []),
    ]


CLUSTER_NOTES = (
    """The same for both (`bench/onenode.py`): emulator and flags; the programs, byte for byte, and the images
made of them, which lie in containerd's folder as if they had been imported; the authorities (ECDSA P-256) and the key
of service accounts, made beforehand; address, subnets, flannel's manifest, kube-proxy with nftables, two replicas of
CoreDNS; the longer limits of the profile `emulated`. The host asks both API servers the same, twice a second, with a
certificate of the same authority.""",
    """Different (`bench/kubeadm.py`): Debian was booted once before, without Kubernetes, while our disk is empty and is
formatted. All else is kubeadm's own way: keys and certificates that it makes when it runs (RSA), its static pods and
their probes, its checks, the kubelet as a unit of systemd and with systemd's cgroups. It pulls no images, waits longer
before it gives up, and lets pods have ports below 1024, because our CoreDNS has no file capability. Our node encrypts
secrets, keeps an audit log, enforces Pod Security and confines system calls; kubeadm's does none of this unless asked.
Our kubelet runs from the same file as the control plane, kubeadm's from a copy of its own. Processor seconds are the
emulator's on the host, so its own work and the guest's kernel are in them.""",
    """Idle is what follows when CoreDNS was available for a minute: processor time of the emulator in the next
minute, then memory as the guest's kernel counts it. Debian tells it every ten seconds on its console, our node when
asked.""",
)


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
    return (
        f"{os.cpu_count()} × {model or platform.processor()}, {memory:.0f} GiB, Linux {platform.release()}, "
        f"{emulator.version()} with {accelerator.upper()}, Python {platform.python_version()}"
    )


def now_and_load() -> str:
    """When a part begins, and how busy the machine is with something else then."""
    return f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, load {os.getloadavg()[0]:.1f}"
