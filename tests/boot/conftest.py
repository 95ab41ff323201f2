"""Machines under the emulator: one for most tests, started once, and more for those that need a special one."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from dozen.compose import toolroot
from dozen.machinery import talosconfig
from dozen.machinery.config.generate import generate
from dozen.provider.access import ask_version
from dozen.provider.cluster import GUEST_ADDRESS, cache_folder
from dozen.provider.machines import BootImage, MachineSpec, OpenStep, report_nothing
from dozen.provider.qemu import Qemu
from dozen.provider.waiting import await_answer
from dozen.testing.live import LiveNode
from dozen.testing.portal import Portal
from dozen.testing.toolbox import Toolbox, make_archive

BOOT_SECONDS = 240.0
DISK_MIB = 4096

# What udev rules given in configuration have to bring about; test_twelve looks for it.
UDEV_RULE = 'SUBSYSTEM=="block", KERNEL=="vdb", SYMLINK+="dozen-test-disk"'


class Booter:
    """Starts machines and ends all of them."""

    def __init__(self, image: BootImage, portal: Portal, folder: Path, environ: dict[str, str]) -> None:
        self.image, self.portal, self.folder = image, portal, folder
        self.provider = Qemu(cache_folder(environ), environ.get("DOZEN_ACCELERATOR"))
        self.stack = ExitStack()

    def __call__(self, name: str, *, machine: dict[str, Any] | None = None, wait: bool = True, **spec: Any) -> LiveNode:
        """A machine with a generated configuration whose machine part has ``machine`` merged over it, once its API
        answers. ``config`` replaces the configuration, ``wait`` of False gives the machine as it is."""
        bundle = generate(name, f"https://{GUEST_ADDRESS}:6443", sans=(GUEST_ADDRESS,), machine=machine)
        context = talosconfig.parse(bundle.talosconfig).select()
        settings = {"config": bundle.controlplane, "disk_mib": DISK_MIB, **spec}
        return self.start(MachineSpec(name, self.image, **settings), context, wait)

    def start(self, spec: MachineSpec, context: talosconfig.Context, wait: bool = True) -> LiveNode:
        folder = self.folder / spec.name
        made = self.portal.run(self.provider.create(spec, folder, report_nothing))
        self.stack.callback(lambda: self.portal.run(self.provider.stop(folder)))
        node = LiveNode(self.provider, made, context, self.portal)
        self.stack.callback(node.close)
        if wait:
            self.await_api(node)
        return node

    def await_api(self, node: LiveNode) -> None:
        step = OpenStep("API", report_nothing)
        ask = lambda: ask_version(node.machine.address, node.context)  # noqa: E731
        waiting = await_answer(self.provider, node.machine, ask, step, BOOT_SECONDS)
        self.portal.run(waiting, BOOT_SECONDS + 5)


@pytest.fixture(scope="session")
def boot(image: BootImage, portal: Portal, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Booter]:
    """Starts further machines."""
    booter = Booter(image, portal, tmp_path_factory.mktemp("boot"), dict(os.environ))
    yield booter
    booter.stack.close()


@pytest.fixture(scope="session")
def node(boot: Booter) -> LiveNode:
    """The machine that most tests share; each leaves it as well as it was."""
    return boot("shared", machine={"udev": {"rules": [UDEV_RULE]}})


@pytest.fixture(scope="session")
def toolbox(node: LiveNode) -> Toolbox:
    """Commands in containers on the shared machine."""
    node.until_healthy("containerd")
    toolbox = Toolbox(node)
    toolbox.install(make_archive(toolroot.ensure().path / "usr/bin/busybox"))
    return toolbox
