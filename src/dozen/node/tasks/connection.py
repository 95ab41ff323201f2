"""Says why a node cannot be reached.

Over a network that is not there nobody can ask, so the reason goes to the console and the kernel's log as well as to a
Diagnostic. An address usually comes within two seconds; a node that has none after `PATIENCE` says what it misses,
says so anew when that changes, and takes it back once there is an address.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

from dozen.machinery.resources.link import LINK_STATUS, LinkStatusSpec
from dozen.machinery.resources.network import NETWORK_STATUS
from dozen.node.controllers.network.matching import is_physical

if TYPE_CHECKING:
    from dozen.node.machine import Machine

PATIENCE = 10.0
LOOK_EVERY = 1.0
SUBJECT = "network"


async def watch_connection(machine: Machine) -> None:
    """Start to watch; the boot goes on meanwhile. A container's network is not ours."""
    if machine.mode != "container":
        machine.keep(asyncio.create_task(_watch(machine), name="connection"))


async def _watch(machine: Machine) -> None:
    told, began = "", time.monotonic()
    while not is_addressed(machine):
        if time.monotonic() - began >= PATIENCE:
            links = {link.id: link.spec for link in machine.store.list(LINK_STATUS)}
            if (reason := explain(links)) != told:
                told = reason
                machine.report_problem(SUBJECT, f"this node cannot be reached: {reason}")
        await asyncio.sleep(LOOK_EVERY)
    machine.clear_problem(SUBJECT)


def is_addressed(machine: Machine) -> bool:
    """Whether there is an address that somebody could call."""
    status = machine.store.find(NETWORK_STATUS, "status")
    return status is not None and status.spec.address_ready


def explain(links: Mapping[str, LinkStatusSpec]) -> str:
    """What is missing for an address, given all links by name."""
    cards = {name: link for name, link in sorted(links.items()) if is_physical(link)}
    if not cards:
        return "it has no network card, or none that a driver knows"
    connected = [name for name, link in cards.items() if link.link_state]
    if not connected:
        return f"no cable, or nobody at its other end: {', '.join(cards)}"
    return f"no address: no answer by DHCP on {', '.join(connected)}, and none in machine.network.interfaces"
