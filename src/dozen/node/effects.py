"""Carries out effects: finds, for each kind of step in a plan, the part of `dozen.linux` that knows how."""

from __future__ import annotations

import asyncio
import contextlib
import os
from typing import TYPE_CHECKING

from dozen.machinery.effects import files

if TYPE_CHECKING:
    from dozen.node.machine import Machine


async def run(machine: Machine, effect: object) -> None:
    """Do what the effect says. Raises whatever the machine answers, OSError most often."""
    match effect:
        case files.WriteFile():
            write_file(effect)
        case files.RemoveFile():
            with contextlib.suppress(FileNotFoundError):
                os.unlink(effect.path)
        case _:
            await _run_of_theme(machine, effect)


async def _run_of_theme(machine: Machine, effect: object) -> None:
    """The theme of an effect is the module that defines it; loading each runner when first needed keeps boot short."""
    theme = type(effect).__module__.rpartition(".")[2]
    if theme == "network":
        from dozen.linux import network

        await network.run(effect)  # type: ignore[arg-type]
    elif theme == "kernel":
        from dozen.linux import kernel

        await kernel.run(effect)  # type: ignore[arg-type]
    elif theme == "time":
        from dozen.linux import clock

        await asyncio.to_thread(clock.run, effect)  # type: ignore[arg-type]
    elif theme == "block":
        from dozen.linux import block

        await block.run(effect, machine.run_program)  # type: ignore[arg-type]
    elif theme == "mount":
        from dozen.linux import mounts

        await mounts.run(effect, machine.run_program)  # type: ignore[arg-type]
    else:
        raise TypeError(f"no part of dozen.linux carries out {effect!r}")


def write_file(effect: files.WriteFile) -> None:
    """Write a whole file in one step: readers see the old text or the new one."""
    os.makedirs(os.path.dirname(effect.path), exist_ok=True)
    draft = f"{effect.path}.new"
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        data = effect.content.encode()
        while data:
            data = data[os.write(descriptor, data) :]
        os.fchmod(descriptor, effect.mode)
        if effect.gid:
            os.fchown(descriptor, 0, effect.gid)
    finally:
        os.close(descriptor)
    os.replace(draft, effect.path)
