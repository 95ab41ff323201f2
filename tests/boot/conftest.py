"""Machines under the emulator: one for most tests, started once, and more for those that need a special one."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from dozen.compose import toolroot
from dozen.provider.machines import BootImage
from dozen.testing.booter import Booter
from dozen.testing.live import LiveNode
from dozen.testing.portal import Portal
from dozen.testing.toolbox import Toolbox, make_archive

SHARED = "boot_for_session"
# What udev rules given in configuration have to bring about; test_twelve looks for it.
UDEV_RULE = 'SUBSYSTEM=="block", KERNEL=="vdb", SYMLINK+="dozen-test-disk"'


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests of the shared machine come last: once started it stays, and its kubelet, which has no API server, uses half
    a processor all the time, which the clusters of the other tests need."""
    items.sort(key=lambda item: SHARED in getattr(item, "fixturenames", ()))


def _start_machines(image: BootImage, portal: Portal, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Booter]:
    booter = Booter(image, portal, tmp_path_factory.mktemp("boot"), dict(os.environ))
    yield booter
    booter.stack.close()


# An emulated machine takes processor time even when it idles: each ends with the test, module or session that needs it.
boot = pytest.fixture(_start_machines, name="boot")
boot_for_module = pytest.fixture(scope="module", name="boot_for_module")(_start_machines)
boot_for_session = pytest.fixture(scope="session", name=SHARED)(_start_machines)


@pytest.fixture(scope="session")
def node(boot_for_session: Booter, tmp_path_factory: pytest.TempPathFactory) -> LiveNode:
    """The machine that most tests share; each leaves it as well as it was. It has a second disk, to play with."""
    scratch = tmp_path_factory.mktemp("disks") / "scratch.raw"
    with scratch.open("wb") as file:
        file.truncate(256 << 20)
    return boot_for_session("shared", machine={"udev": {"rules": [UDEV_RULE]}}, disks={"scratch": scratch})


@pytest.fixture(scope="session")
def archive() -> bytes:
    """The toolbox's image."""
    return make_archive(toolroot.ensure().path / "usr/bin/busybox")


@pytest.fixture(scope="session")
def toolbox(node: LiveNode, archive: bytes) -> Toolbox:
    """Commands in containers on the shared machine."""
    node.until_healthy("containerd")
    toolbox = Toolbox(node)
    toolbox.install(archive)
    return toolbox
