"""Starts machines and takes the time until each mark, seen from outside: seconds since the emulator was started.

A mark is a line on the serial console or an answer over the API. Each system is booted once unmeasured, so that neither
is charged for what happens only in its first boot (formatting a disk, making an identity), and shut down cleanly; then
it is booted a few times, and the median counts. A boot that ended in the emulator's own panic is repeated.
"""

from __future__ import annotations

import asyncio
import os
import re
import statistics
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

from bench.debian import IDLE_SECONDS, run
from dozen.machinery import talosconfig
from dozen.machinery.config.generating import generate
from dozen.machinery.messages import method_types
from dozen.machinery.talosconfig import Context
from dozen.provider import qmp
from dozen.provider.access import ask_version, open_channel
from dozen.provider.cluster import GUEST_ADDRESS
from dozen.provider.console import find_panic, read_console
from dozen.provider.machines import BootImage, Machine, MachineSpec, ProviderError, report_nothing
from dozen.provider.qemu import Qemu
from dozen.provider.waiting import Question
from dozen.rpc.client import Channel

AnswerT = TypeVar("AnswerT")

LOOK_EVERY = 0.01
BOOT_SECONDS = 240
SHUTDOWN_SECONDS = 90

Marks = dict[str, re.Pattern[str]]


@dataclass(slots=True)
class Boot:
    """What one boot came to: seconds to each mark, processor seconds that the emulator had used by then, and figures
    such as memory in MiB."""

    seconds: dict[str, float] = field(default_factory=dict)
    processor: dict[str, float] = field(default_factory=dict)
    figures: dict[str, float] = field(default_factory=dict)


Measure = Callable[[Machine, "Clock"], Awaitable[None]]


class Clock:
    """Counts from the emulator's start, notes when something was first seen and says so; ``waiting`` is in words what
    is not there yet. ``pid`` is the emulator's, once it runs."""

    def __init__(self, system: str) -> None:
        self.system, self.waiting, self.pid = system, "", 0
        self.start = time.monotonic()
        self.boot = Boot()

    def mark(self, name: str) -> None:
        if name not in self.boot.seconds:
            self.boot.seconds[name] = round(time.monotonic() - self.start, 2)
            if self.pid:
                self.boot.processor[name] = round(processor_seconds(self.pid), 1)
            say(f"{self.system}: {name} after {self.boot.seconds[name]} s")


def processor_seconds(pid: int) -> float:
    """What a process has used so far, in user and in system mode (proc_pid_stat(5), fields 14 and 15)."""
    return parse_processor_ticks(Path(f"/proc/{pid}/stat").read_text()) / os.sysconf("SC_CLK_TCK")


def parse_processor_ticks(stat: str) -> int:
    """The name of a process, in parentheses, may have anything in it; the state, field 3, follows the last one."""
    fields = stat.rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


def say(text: str) -> None:
    """To whoever waits for the figures."""
    sys.stderr.write(f"bench: {text}\n")


class PanickedError(Exception):
    """The emulator made the guest's kernel panic; the boot says nothing."""


async def watch_console(
    machine: Machine, clock: Clock, marks: Marks, until: str | None, every: float = LOOK_EVERY
) -> None:
    """Notes each mark as it appears on the console; returns once ``until`` did (never when None)."""
    while until is None or until not in clock.boot.seconds:
        text = await asyncio.to_thread(read_console, machine.console)
        for name, pattern in marks.items():
            if name not in clock.boot.seconds and pattern.search(text):
                clock.mark(name)
        if (panic := find_panic(text)) and panic.emulator:
            raise PanickedError(str(panic))
        await asyncio.sleep(every)


async def boot_once(
    provider: Qemu, spec: MachineSpec, folder: Path, measure: Measure, seconds: float = BOOT_SECONDS
) -> Boot:
    """Starts a machine, lets ``measure`` look at it, ends it."""
    for _ in range(3):
        clock = Clock(spec.name)
        machine = await provider.create(spec, folder, report_nothing)
        clock.pid = machine.pid or 0
        try:
            async with asyncio.timeout(seconds):
                await measure(machine, clock)
            return clock.boot
        except PanickedError:
            continue
        except TimeoutError as error:
            waiting = f"it waited for: {clock.waiting}; " if clock.waiting else ""
            raise ProviderError(
                f"{spec.name} was not done in {seconds:.0f} s; {waiting}see {machine.console}"
            ) from error
        finally:
            await provider.stop(folder)
    raise ProviderError(f"{spec.name}: the emulator made the guest panic three times in a row")


async def shut_down(provider: Qemu, folder: Path) -> None:
    """Presses the power button and waits until the guest has ended itself."""
    await asyncio.to_thread(qmp.execute, folder / "qmp.sock", "system_powerdown")
    await until_ended(provider, folder)


async def until_ended(provider: Qemu, folder: Path, seconds: float = SHUTDOWN_SECONDS) -> None:
    """Waits until the guest has switched its machine off."""
    async with asyncio.timeout(seconds):
        # Nothing announces the end of a process that is not our child.
        while (machine := provider.show(folder)) and machine.pid:  # noqa: ASYNC110
            await asyncio.sleep(0.2)


def medians(boots: list[Boot]) -> Boot:
    """Each mark's and each figure's median over the boots."""

    def middle(part: str) -> dict[str, float]:
        every: list[dict[str, float]] = [getattr(boot, part) for boot in boots]
        return {name: statistics.median(each[name] for each in every) for name in every[0]}

    return Boot(middle("seconds"), middle("processor"), middle("figures"))


DEBIAN_MARKS: Marks = {
    "kernel": re.compile(r"Linux version"),
    "system": re.compile(r"BENCH systemd"),
    "containerd": re.compile(r"BENCH ready"),
    "answers": re.compile(r"BENCH answers"),
    "idle": re.compile(r"BENCH done"),
}
MEMORY = re.compile(r"BENCH memory (?P<name>\w+): (?P<kib>\d+)")


async def measure_debian(machine: Machine, clock: Clock) -> None:
    await watch_console(machine, clock, DEBIAN_MARKS, "idle")
    memory = {match["name"]: int(match["kib"]) for match in MEMORY.finditer(read_console(machine.console))}
    note_used(clock.boot, {name.lower(): size for name, size in memory.items()})


def debian_spec(kernel: Path, initramfs: Path, disk: Path, throwaway: bool) -> MachineSpec:
    """The Debian system with the same emulator flags; its root is the first disk instead of a read-only image."""
    image = BootImage(
        kernel=kernel,
        initramfs=initramfs,
        rootfs=None,
        cmdline="console=ttyS0 root=/dev/vda rw quiet",
        identity="debian",
    )
    return MachineSpec(
        name="debian", image=image, config=None, disk_mib=0, disks={"debian-root": disk}, throwaway=throwaway
    )


async def boot_debian(provider: Qemu, kernel: Path, initramfs: Path, disk: Path, work: Path, count: int) -> list[Boot]:
    """Boots it once to settle, then ``count`` times from that state."""
    settled = work / "debian.raw"
    await asyncio.to_thread(copy_sparse, disk, settled)

    async def settle(machine: Machine, clock: Clock) -> None:
        await watch_console(machine, clock, DEBIAN_MARKS, "answers")
        await shut_down(provider, machine.folder)

    folder = work / "debian"
    await boot_once(provider, debian_spec(kernel, initramfs, settled, False), folder, settle)
    spec = debian_spec(kernel, initramfs, settled, True)
    return [await boot_once(provider, spec, folder, measure_debian) for _ in range(count)]


DOZEN_MARKS: Marks = {
    "kernel": re.compile(r"Linux version"),
    "system": re.compile(r"\[dozen\] stage 1: "),
    # From here on somebody listens soon. Questions asked before would hang in the emulator and come in all at once.
    "python": re.compile(r"phase=api start"),
}


async def measure_dozen(machine: Machine, clock: Clock, context: Context) -> None:
    """The marks of our node: the kernel, stage 1, the first answer of the API, containerd answering, and memory."""
    console = asyncio.create_task(watch_console(machine, clock, DOZEN_MARKS, None))
    try:
        while "python" not in clock.boot.seconds:
            await first_of(asyncio.create_task(asyncio.sleep(LOOK_EVERY)), console)
        asking = asyncio.create_task(Question(lambda: ask_version(machine.address, context), every=0.05).answer())
        await first_of(asking, console)
        clock.mark("api")
        async with open_channel(machine.address, context) as channel:
            await first_of(asyncio.create_task(until_healthy(channel, "containerd")), console)
            clock.mark("answers")
            await asyncio.sleep(IDLE_SECONDS)
            await note_memory(channel, clock.boot)
    finally:
        console.cancel()
    clock.boot.seconds["stage 1 to api"] = round(clock.boot.seconds["api"] - clock.boot.seconds["system"], 2)


async def first_of(wanted: asyncio.Task[AnswerT], console: asyncio.Task[None]) -> AnswerT:
    """What was wanted, unless the console shows a panic before."""
    await asyncio.wait({wanted, console}, return_when=asyncio.FIRST_COMPLETED)
    if console.done():
        wanted.cancel()
        console.result()
    return await wanted


async def call(channel: Channel, method: str) -> Any:
    path = f"/machine.MachineService/{method}"
    return await channel.unary(path, b"", method_types(path).response, timeout=10)


async def until_healthy(channel: Channel, name: str) -> None:
    """The node's own check of containerd is a call to it, so healthy means that it answered."""
    while True:
        reply = await call(channel, "ServiceList")
        if any(service.id == name and service.health.healthy for service in reply.messages[0].services):
            return
        await asyncio.sleep(0.05)


def note_used(boot: Boot, memory: dict[str, int]) -> None:
    """Both meanings of "used", from /proc/meminfo in KiB: what is neither free nor cache, and what no program could
    get (which has the kernel's reserves in it)."""
    cache = memory["buffers"] + memory["cached"] + memory.get("sreclaimable", 0)
    boot.figures["memory_mib"] = round((memory["memtotal"] - memory["memfree"] - cache) / 1024)
    boot.figures["unavailable_mib"] = round((memory["memtotal"] - memory["memavailable"]) / 1024)


async def note_memory(channel: Channel, boot: Boot) -> None:
    memory = (await call(channel, "Memory")).messages[0].meminfo
    note_used(boot, {field.name: value for field, value in memory.ListFields()})
    processes = (await call(channel, "Processes")).messages[0].processes
    # The kernel knows PID 1 and apid by one name, for they are one program.
    for process in processes:
        name = "init" if process.pid == 1 else process.args.partition(" ")[0].rpartition("/")[2]
        if name in ("init", "apid", "containerd"):
            boot.figures[f"{name}_mib"] = round(process.resident_memory / 2**20)
    boot.figures["processes"] = sum(1 for process in processes if process.virtual_memory)


async def boot_dozen(provider: Qemu, image: BootImage, work: Path, count: int) -> tuple[Boot, list[Boot]]:
    """The first boot, which makes the disk; then ``count`` boots from the state in which that one was shut down."""
    bundle = generate("bench", f"https://{GUEST_ADDRESS}:6443", sans=(GUEST_ADDRESS,))
    context = talosconfig.parse(bundle.talosconfig).select()
    spec = MachineSpec("bench", image, bundle.controlplane)
    folder = work / f"dozen-{image.identity}"

    async def settle(machine: Machine, clock: Clock) -> None:
        await measure_dozen(machine, clock, context)
        async with open_channel(machine.address, context) as channel:
            await call(channel, "Shutdown")
            await until_ended(provider, folder)

    async def measure(machine: Machine, clock: Clock) -> None:
        await measure_dozen(machine, clock, context)

    first = await boot_once(provider, spec, folder, settle)
    again = replace(spec, throwaway=True)
    boots = [await boot_once(provider, again, folder, measure) for _ in range(count)]
    await provider.destroy(folder)
    return first, boots


def copy_sparse(source: Path, target: Path) -> None:
    """A copy that leaves holes holes."""
    run("cp", "--reflink=auto", "--sparse=auto", str(source), str(target))
