"""Starts machines and takes the time until each mark, seen from outside: seconds since the emulator was started.

A mark is a line on the serial console or an answer over the API. Each system is booted once unmeasured, so that neither
is charged for what happens only in its first boot (formatting a disk, making an identity), and shut down cleanly; then
it is booted a few times, and the median counts. A boot that ended in the emulator's own panic is repeated.
"""

from __future__ import annotations

import asyncio
import re
import shutil
import statistics
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

from dozen.provider import qmp
from dozen.provider.console import find_panic, read_console
from dozen.provider.machines import BootImage, Machine, MachineSpec, ProviderError, report_nothing
from dozen.provider.qemu import Qemu

LOOK_EVERY = 0.01
BOOT_SECONDS = 240
SHUTDOWN_SECONDS = 90

Marks = dict[str, re.Pattern[str]]


@dataclass(slots=True)
class Boot:
    """What one boot came to: seconds to each mark, and figures such as memory in MiB."""

    seconds: dict[str, float] = field(default_factory=dict)
    figures: dict[str, float] = field(default_factory=dict)


Measure = Callable[[Machine, "Clock"], Awaitable[None]]


class Clock:
    """Counts from the emulator's start and notes when something was first seen."""

    def __init__(self) -> None:
        self.start = time.monotonic()
        self.boot = Boot()

    def mark(self, name: str) -> None:
        self.boot.seconds.setdefault(name, round(time.monotonic() - self.start, 2))


class PanickedError(Exception):
    """The emulator made the guest's kernel panic; the boot says nothing."""


async def watch_console(machine: Machine, clock: Clock, marks: Marks, until: str | None) -> None:
    """Notes each mark as it appears on the console; returns once ``until`` did (never when None)."""
    while until is None or until not in clock.boot.seconds:
        text = await asyncio.to_thread(read_console, machine.console)
        for name, pattern in marks.items():
            if name not in clock.boot.seconds and pattern.search(text):
                clock.mark(name)
        if (panic := find_panic(text)) and panic.emulator:
            raise PanickedError(str(panic))
        await asyncio.sleep(LOOK_EVERY)


async def boot_once(provider: Qemu, spec: MachineSpec, folder: Path, measure: Measure) -> Boot:
    """Starts a machine, lets ``measure`` look at it, ends it."""
    for _ in range(3):
        clock = Clock()
        machine = await provider.create(spec, folder, report_nothing)
        try:
            async with asyncio.timeout(BOOT_SECONDS):
                await measure(machine, clock)
            return clock.boot
        except PanickedError:
            continue
        except TimeoutError as error:
            raise ProviderError(f"{spec.name} gave no answer in {BOOT_SECONDS} s; see {machine.console}") from error
        finally:
            await provider.stop(folder)
    raise ProviderError(f"{spec.name}: the emulator made the guest panic three times in a row")


async def shut_down(provider: Qemu, folder: Path) -> None:
    """Presses the power button and waits until the guest has ended itself."""
    await asyncio.to_thread(qmp.execute, folder / "qmp.sock", "system_powerdown")
    async with asyncio.timeout(SHUTDOWN_SECONDS):
        # Nothing announces the end of a process that is not our child.
        while (machine := provider.show(folder)) and machine.pid:  # noqa: ASYNC110
            await asyncio.sleep(0.2)


def medians(boots: list[Boot]) -> Boot:
    """Each mark's and each figure's median over the boots."""
    result = Boot()
    for name in boots[0].seconds:
        result.seconds[name] = statistics.median(boot.seconds[name] for boot in boots)
    for name in boots[0].figures:
        result.figures[name] = statistics.median(boot.figures[name] for boot in boots)
    return result


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
    clock.boot.figures["memory_mib"] = round((memory["MemTotal"] - memory["MemAvailable"]) / 1024)


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


def copy_sparse(source: Path, target: Path) -> None:
    """A copy that leaves holes holes (copyfile keeps none, reflinks are not everywhere)."""
    target.unlink(missing_ok=True)
    with source.open("rb") as read, target.open("wb") as write:
        while block := read.read(1 << 20):
            if block.strip(b"\0"):
                write.write(block)
            else:
                write.seek(len(block), 1)
        write.truncate(source.stat().st_size)
    shutil.copymode(source, target)
