"""Boots fresh machines until they are clusters of one node, ours and kubeadm's, and asks both the same.

From the emulator's start to an API server that says it is ready, to the Node being Ready, to a CoreDNS that is
available; then, after a while in which nothing was asked, what the node uses: memory as the guest counts it, and
processor time as the computer that emulates it does. Each boot is a machine's first: our disk is empty, Debian's has
been booted once without Kubernetes, so that nothing but the cluster is new, and what a boot writes is forgotten.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from bench import onenode
from bench.boots import (
    DEBIAN_MARKS,
    DOZEN_MARKS,
    MEMORY,
    Boot,
    Clock,
    Marks,
    boot_once,
    copy_sparse,
    debian_spec,
    first_of,
    note_memory,
    note_used,
    processor_seconds,
    shut_down,
    watch_console,
)
from bench.kubeadm import INIT_UNIT, NODE, KubeadmSystem
from dozen.client.kubernetes import Kubernetes
from dozen.machinery.config.secrets import new_secrets
from dozen.machinery.talosconfig import Context
from dozen.provider import qmp
from dozen.provider.access import ask_version, open_channel
from dozen.provider.console import last_lines, read_console
from dozen.provider.machines import BootImage, Machine, MachineSpec, ProviderError, report_nothing
from dozen.provider.network import KUBERNETES_PORT
from dozen.provider.qemu import Qemu, find_port
from dozen.provider.readiness import Bringing, ask_dns, ask_nodes, ask_ready
from dozen.provider.waiting import NotYetError, Question

CLUSTER_SECONDS = 1800
"""Minutes are usual under emulation; with other work beside it takes several times as long."""
LOOK_EVERY, ASK_EVERY = 0.1, 0.5
SETTLE_SECONDS, IDLE_SECONDS = 60, 60
"""What follows CoreDNS is left to end; then processor time is counted for a minute."""

KUBEADM_MARKS: Marks = {
    "kernel": DEBIAN_MARKS["kernel"],
    "system": DEBIAN_MARKS["system"],
    "containerd": DEBIAN_MARKS["containerd"],
    "begun": re.compile(r"BENCH init\b"),
    "initialized": re.compile(r"BENCH initialized"),
    "applied": re.compile(r"BENCH applied"),
}
FAILED, AGAIN = re.compile(r"BENCH failed"), re.compile(r"BENCH again")


# -- What both are asked.


def reach_kubernetes(machine: Machine) -> int:
    """A loopback port that leads to the guest's API server from now on."""
    port = find_port()
    rule = f"hostfwd_add net0 tcp:127.0.0.1:{port}-:{KUBERNETES_PORT}"
    command: dict[str, Any] = {"command-line": rule}
    if answer := qmp.execute(machine.folder / "qmp.sock", "human-monitor-command", **command):
        raise ProviderError(f"the emulator refused {rule}: {str(answer).strip()}")
    return port


async def until(clock: Clock, ask: Callable[[], object], check: Callable[[], None] = lambda: None) -> None:
    """Asks until the answer is yes; ``check`` raises when there is nothing left to wait for."""
    while True:
        check()
        try:
            await asyncio.to_thread(ask)
        except NotYetError as error:
            clock.waiting = str(error)
            await asyncio.sleep(ASK_EVERY)
        else:
            return


async def note_cluster(api: Kubernetes, node: str, clock: Clock, check: Callable[[], None] = lambda: None) -> None:
    await until(clock, lambda: ask_ready(api), check)
    clock.mark("api server")
    await until(clock, lambda: ask_nodes(api, [node]), check)
    clock.mark("node")
    await until(clock, lambda: ask_dns(api), check)
    clock.mark("coredns")


async def note_idle(clock: Clock) -> None:
    """Processor seconds per second of the emulator, when the cluster has nothing to do."""
    await asyncio.sleep(SETTLE_SECONDS)
    before, start = processor_seconds(clock.pid), time.monotonic()
    await asyncio.sleep(IDLE_SECONDS)
    used = processor_seconds(clock.pid) - before
    clock.boot.figures["idle_processors"] = round(used / (time.monotonic() - start), 3)


# -- kubeadm's.


async def boot_kubeadm(
    provider: Qemu, kernel: Path, initramfs: Path, system: KubeadmSystem, work: Path, count: int
) -> list[Boot]:
    """Boots it once without Kubernetes to settle, then ``count`` times from that state."""
    settled, folder = work / "kubeadm.raw", work / "kubeadm"
    await asyncio.to_thread(copy_sparse, system.disk, settled)

    async def settle(machine: Machine, clock: Clock) -> None:
        await watch_console(machine, clock, KUBEADM_MARKS, "containerd", LOOK_EVERY)
        await shut_down(provider, machine.folder)

    async def measure(machine: Machine, clock: Clock) -> None:
        await measure_kubeadm(machine, clock, system)

    spec = kubeadm_spec(kernel, initramfs, settled)
    without = replace(spec, arguments=(f"systemd.mask={INIT_UNIT}",), throwaway=False)
    await boot_once(provider, without, folder, settle, CLUSTER_SECONDS)
    boots = [await boot_once(provider, spec, folder, measure, CLUSTER_SECONDS) for _ in range(count)]
    settled.unlink()
    await provider.destroy(folder)
    return boots


def kubeadm_spec(kernel: Path, initramfs: Path, disk: Path) -> MachineSpec:
    spec = debian_spec(kernel, initramfs, disk, throwaway=True)
    return replace(spec, name="kubeadm", memory_mib=onenode.MEMORY_MIB)


async def measure_kubeadm(machine: Machine, clock: Clock, system: KubeadmSystem) -> None:
    """The marks of Debian and kubeadm, then those of both."""

    def check() -> None:
        console = read_console(machine.console)
        if FAILED.search(console):
            raise ProviderError("kubeadm failed", detail=last_lines(console, 30))

    api = onenode.ask_as_admin(system.secrets, await asyncio.to_thread(reach_kubernetes, machine))
    console = asyncio.create_task(watch_console(machine, clock, KUBEADM_MARKS, None, LOOK_EVERY))
    try:
        await first_of(asyncio.create_task(note_cluster(api, NODE, clock, check)), console)
        await first_of(asyncio.create_task(note_idle(clock)), console)
    finally:
        console.cancel()
    told = read_console(machine.console)
    clock.boot.figures["repeated"] = len(AGAIN.findall(told))
    memory = {match["name"].lower(): int(match["kib"]) for match in MEMORY.finditer(told)}
    note_used(clock.boot, memory)


# -- Ours.


async def boot_cluster(provider: Qemu, image: BootImage, work: Path, count: int) -> list[Boot]:
    """Boots ``count`` new machines, each configured as for a cluster of one, each with an empty disk."""
    secrets, folder = new_secrets(), work / "cluster"
    context = onenode.client_context(secrets)
    spec = MachineSpec(
        name=onenode.NAME,
        image=image,
        config=onenode.machine_config(secrets),
        memory_mib=onenode.MEMORY_MIB,
        disk_mib=onenode.DISK_MIB,
        throwaway=True,
    )

    async def measure(machine: Machine, clock: Clock) -> None:
        api = onenode.ask_as_admin(secrets, await asyncio.to_thread(reach_kubernetes, machine))
        await measure_cluster(machine, clock, context, api)

    await provider.destroy(folder)
    boots = [await boot_once(provider, spec, folder, measure, CLUSTER_SECONDS) for _ in range(count)]
    await provider.destroy(folder)
    return boots


async def measure_cluster(machine: Machine, clock: Clock, context: Context, api: Kubernetes) -> None:
    """The marks of our node until its own API answers and is told to begin, then those of both."""
    await watch_console(machine, clock, DOZEN_MARKS, "python", LOOK_EVERY)
    console = asyncio.create_task(watch_console(machine, clock, DOZEN_MARKS, None, LOOK_EVERY))

    async def bring_up() -> None:
        await Question(lambda: ask_version(machine.address, context)).answer()
        clock.mark("api")
        await Bringing(context, [machine], report_nothing).bootstrap()
        clock.mark("begun")
        await note_cluster(api, onenode.NAME, clock)
        await note_idle(clock)

    try:
        await first_of(asyncio.create_task(bring_up()), console)
    finally:
        console.cancel()
    async with open_channel(machine.address, context) as channel:
        await note_memory(channel, clock.boot)
