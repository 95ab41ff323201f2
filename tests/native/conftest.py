"""Nodes in namespaces of this computer's kernel (mode container), for tests of the API and of services."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from dozen.compose import components
from dozen.machinery import talosconfig
from dozen.machinery.config.generating import Bundle, generate
from dozen.machinery.pki import Keypair
from dozen.provider.access import ask_version
from dozen.provider.container import Container
from dozen.provider.machines import BootImage, MachineSpec, OpenStep, report_nothing
from dozen.provider.waiting import await_answer
from dozen.rpc.client import Channel
from dozen.testing.live import LiveNode
from dozen.testing.portal import Portal
from native.privileges import require_root

START_SECONDS = 60
PROGRAMS = {
    "etcd": ("etcd", "etcdctl", "etcdutl"),
    "kube": ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubectl"),
}


@pytest.fixture(scope="session")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the programs of a cluster under the names that they go by, built if need be."""
    folder = tmp_path_factory.mktemp("programs")
    for program, names in PROGRAMS.items():
        built = components.obtain(program)
        for name in names:
            (folder / name).symlink_to(built)
    return folder


@pytest.fixture(scope="session")
def bundle() -> Bundle:
    """Configuration, client configuration and the authorities' keys of that node."""
    return generate("native", "https://127.0.0.1:6443")


@pytest.fixture(scope="session")
def os_ca(bundle: Bundle) -> Keypair:
    return bundle.secrets.os


@pytest.fixture(scope="session")
def native(
    image: BootImage, bundle: Bundle, portal: Portal, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[LiveNode]:
    """A control plane's node, started once for all tests."""
    require_root()
    assert image.tree
    context = talosconfig.parse(bundle.talosconfig).select()
    provider, folder = Container(image.tree), tmp_path_factory.mktemp("native")
    spec = MachineSpec("native", image, bundle.controlplane)
    machine = portal.run(provider.create(spec, folder, report_nothing))
    try:
        step = OpenStep("API", report_nothing)
        ask = lambda: ask_version(machine.address, context)  # noqa: E731
        portal.run(await_answer(provider, machine, ask, step, START_SECONDS), START_SECONDS + 5)
        node = LiveNode(provider, machine, context, portal)
        yield node
        node.close()
    finally:
        portal.run(provider.destroy(folder))


@pytest.fixture(scope="session")
def machine_socket(native: LiveNode) -> Iterator[Channel]:
    """PID 1's own socket, reached through the file system: no TLS, no apid in between."""
    channel = Channel(f"unix:/proc/{native.machine.pid}/root/system/run/machined/machine.sock")
    yield channel
    native.portal.run(channel.close())
