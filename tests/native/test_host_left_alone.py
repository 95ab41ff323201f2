"""A node in namespaces leaves the computer that it runs on as it was: its interfaces, addresses and control groups."""

from __future__ import annotations

import os
from pathlib import Path

from dozen.machinery import talosconfig
from dozen.machinery.config.generating import generate
from dozen.provider.access import ask_version
from dozen.provider.container import Container
from dozen.provider.machines import BootImage, MachineSpec, OpenStep, report_nothing
from dozen.provider.waiting import await_answer
from dozen.testing.live import LiveNode
from dozen.testing.portal import Portal
from native.privileges import needs_root

pytestmark = needs_root

CGROUPS = Path("/sys/fs/cgroup")
# Somebody else on this computer may start or end something meanwhile.
TRIES = 3


def host() -> dict[str, object]:
    """What there is of the host that a node might change."""
    addresses = [Path(f"/proc/self/net/{name}").read_text() for name in ("fib_trie", "route")]
    if (six := Path("/proc/self/net/if_inet6")).exists():
        addresses.append(six.read_text())
    return {
        "interfaces": {link.name: (link / "ifindex").read_text() for link in Path("/sys/class/net").iterdir()},
        "addresses": addresses,
        "groups": {folder for folder, _, _ in os.walk(CGROUPS)},
        "name": os.uname().nodename,
    }


def test_interfaces_and_groups_of_the_host_stay_as_they_are(image: BootImage, portal: Portal, tmp_path: Path) -> None:
    assert image.tree
    bundle = generate("guest", "https://127.0.0.1:6443")
    context = talosconfig.parse(bundle.talosconfig).select()
    for number in range(TRIES):
        provider, folder = Container(image.tree), tmp_path / f"machine{number}"
        folder.mkdir()
        before = host()
        machine = portal.run(provider.create(MachineSpec("guest", image, bundle.controlplane), folder, report_nothing))
        try:
            ask = lambda machine=machine: ask_version(machine.address, context)  # noqa: E731
            portal.run(await_answer(provider, machine, ask, OpenStep("API", report_nothing), 60), 65)
            during = host()
        finally:
            portal.run(provider.destroy(folder))
        if before == during == host():
            return
    assert during == before
    assert host() == before


def test_a_node_has_interfaces_of_its_own_and_the_group_of_who_started_it(native: LiveNode) -> None:
    own, theirs = Path("/proc/self"), Path(f"/proc/{native.machine.pid}")
    assert os.readlink(theirs / "ns/net") != os.readlink(own / "ns/net")
    others = {link.name for link in Path("/sys/class/net").iterdir()} - {"lo"}
    assert not others & set(native.names("/sys/class/net"))
    assert (theirs / "cgroup").read_text() == (own / "cgroup").read_text()
    mounted = {line.split()[2] for line in native.read("/proc/1/mounts").decode().splitlines()}
    assert not {"cgroup", "cgroup2"} & mounted
