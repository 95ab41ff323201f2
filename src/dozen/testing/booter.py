"""Starts machines for boot tests, finds them again by name, and ends all of them."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Any

from dozen.machinery import talosconfig
from dozen.machinery.config.generating import generate
from dozen.provider.access import ask_version
from dozen.provider.cluster import GUEST_ADDRESS, cache_folder
from dozen.provider.machines import BootImage, MachineSpec, OpenStep, report_nothing
from dozen.provider.qemu import Qemu
from dozen.provider.waiting import await_answer
from dozen.testing.live import LiveNode
from dozen.testing.portal import Portal

BOOT_SECONDS = 240.0
DISK_MIB = 4096


class Booter:
    """Starts machines and ends all of them."""

    def __init__(self, image: BootImage, portal: Portal, folder: Path, environ: dict[str, str]) -> None:
        self.image, self.portal, self.folder = image, portal, folder
        self.provider = Qemu(cache_folder(environ), environ.get("DOZEN_ACCELERATOR"))
        self.stack = ExitStack()
        self.specs: dict[str, MachineSpec] = {}

    def __call__(self, name: str, *, machine: dict[str, Any] | None = None, wait: bool = True, **spec: Any) -> LiveNode:
        """A machine with a generated configuration whose machine part has ``machine`` merged over it, once its API
        answers. ``config`` replaces the configuration, ``wait`` of False gives the machine as it is."""
        bundle = generate(name, f"https://{GUEST_ADDRESS}:6443", sans=(GUEST_ADDRESS,), machine=machine)
        context = talosconfig.parse(bundle.talosconfig).select()
        settings = {"config": bundle.controlplane, "disk_mib": DISK_MIB, **spec}
        return self.start(MachineSpec(name, self.image, **settings), context, wait)

    def start(self, spec: MachineSpec, context: talosconfig.Context, wait: bool = True) -> LiveNode:
        folder = self.folder / spec.name
        self.specs[spec.name] = spec
        made = self.portal.run(self.provider.create(spec, folder, report_nothing))
        self.stack.callback(lambda: self.portal.run(self.provider.stop(folder)))
        node = LiveNode(self.provider, made, context, self.portal)
        self.stack.callback(node.close)
        if wait:
            self.await_api(node)
        return node

    def pull_plug(self, node: LiveNode) -> None:
        self.portal.run(self.provider.stop(node.machine.folder))

    def plug_in(self, node: LiveNode) -> None:
        """Starts a machine again whose plug was pulled, with the same disk, and waits for its API."""
        self.portal.run(self.provider.create(self.specs[node.machine.name], node.machine.folder, report_nothing))
        self.await_api(node)

    def await_api(self, node: LiveNode) -> None:
        step = OpenStep("API", report_nothing)
        ask = lambda: ask_version(node.machine.address, node.context)  # noqa: E731
        waiting = await_answer(self.provider, node.machine, ask, step, BOOT_SECONDS)
        self.portal.run(waiting, BOOT_SECONDS + 5)
