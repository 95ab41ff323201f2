"""Carries out effects: finds, for each kind of step in a plan, the part of `dozen.linux` that knows how."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dozen.node.machine import Machine


async def run(machine: Machine, effect: object) -> None:
    """Do what the effect says. Raises whatever the machine answers, OSError most often."""
    # The theme of an effect is the module that defines it; loading each runner when first needed keeps the boot short.
    theme = type(effect).__module__.rpartition(".")[2]
    if theme == "files":
        from dozen.linux import generated

        generated.run(effect)  # type: ignore[arg-type]
    elif theme in ("network", "links", "routing", "firewall"):
        from dozen.linux import network

        await network.run(effect)  # type: ignore[arg-type]
    elif theme == "kernel":
        from dozen.linux import kernel

        await kernel.run(effect)  # type: ignore[arg-type]
    elif theme == "time":
        from dozen.linux import clock

        await asyncio.to_thread(clock.run, effect)  # type: ignore[arg-type]
    elif theme in ("block", "wipe", "lvm", "mount"):
        await _change_disks(machine, theme, effect)
    elif theme == "services":
        await machine.services.refresh(effect.id)  # type: ignore[attr-defined]
    elif theme == "hostfiles":
        await _place_files(machine, effect)
    else:
        raise TypeError(f"no part of dozen.linux carries out {effect!r}")


async def _change_disks(machine: Machine, theme: str, effect: object) -> None:
    if theme == "block":
        from dozen.linux import block

        await block.run(effect, machine.run_program)  # type: ignore[arg-type]
    elif theme == "mount":
        from dozen.linux import mounts

        await mounts.run(effect, machine.run_program)  # type: ignore[arg-type]
    elif theme == "lvm":
        from dozen.linux import lvm

        await lvm.run(effect, machine.run_program)  # type: ignore[arg-type]
    else:
        from dozen.linux import wipe

        await wipe.run(effect)  # type: ignore[arg-type]


async def _place_files(machine: Machine, effect: object) -> None:
    """What cannot be written is the configuration's fault most often: it is told, and tried again now and then."""
    from dozen.linux import hostfiles
    from dozen.machinery.plan import Temporary

    failures = await asyncio.to_thread(hostfiles.run, effect)  # type: ignore[arg-type]
    if failures:
        machine.report_problem("files", f"files of the configuration: {'; '.join(failures)}")
        raise Temporary("; ".join(failures), 60.0)
    machine.clear_problem("files")
