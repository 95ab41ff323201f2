"""A machine that is told what to be by a cloud-init seed, is changed over its API, and remembers it over a reboot."""

from __future__ import annotations

from pathlib import Path

import pytest

from dozen.machinery import talosconfig, yaml
from dozen.machinery.config.generating import generate
from dozen.provider.cluster import GUEST_ADDRESS
from dozen.provider.machines import MachineSpec
from dozen.testing.booter import DISK_MIB, Booter
from dozen.testing.iso import write_iso
from dozen.testing.live import LiveNode

BUNDLE = generate("seeded", f"https://{GUEST_ADDRESS}:6443", sans=(GUEST_ADDRESS,))


NETWORK = b"""
version: 2
ethernets: {eth0: {dhcp4: true, addresses: [10.77.0.5/24]}}
"""


def named(hostname: str) -> str:
    data = yaml.load(BUNDLE.controlplane)
    data["machine"]["network"] = {"hostname": hostname}
    return yaml.dump(data)


@pytest.fixture(scope="module")
def seeded(boot_for_module: Booter, tmp_path_factory: pytest.TempPathFactory) -> LiveNode:
    """A machine whose firmware says nothing, with a seed on a disk."""
    seed: Path = tmp_path_factory.mktemp("seed") / "seed.iso"
    write_iso(
        seed,
        "CIDATA",
        {
            "user-data": named("from-seed").encode(),
            "meta-data": b"instance-id: one\nlocal-hostname: fallback\n",
            "network-config": NETWORK,
        },
    )
    spec = MachineSpec("seeded", boot_for_module.image, "", disk_mib=DISK_MIB, disks={"seed": seed})
    return boot_for_module.start(spec, talosconfig.parse(BUNDLE.talosconfig).select())


def hostname(node: LiveNode) -> str:
    return str(node.call("Hostname").messages[0].hostname)


def test_a_seed_configures_the_machine(seeded: LiveNode) -> None:
    seeded.until(lambda: hostname(seeded) == "from-seed", "the seed's host name")
    assert "(cidata)" in seeded.logs("machined")
    addresses = seeded.resources("AddressStatuses.net.talos.dev", "network")
    assert "eth0/10.77.0.5/24" in addresses


def test_a_change_outlives_a_reboot(seeded: LiveNode) -> None:
    def state() -> bool:
        volumes = seeded.resources("VolumeStatuses.block.talos.dev", "runtime")
        return bool(volumes["STATE"]["phase"] == "ready")

    seeded.until(state, "the volume STATE", 90)
    answer = seeded.call("ApplyConfiguration", data=named("kept").encode(), mode=1).messages[0]
    assert list(answer.warnings) == []
    seeded.until(lambda: hostname(seeded) == "kept", "the new host name")
    staged = seeded.call("ApplyConfiguration", data=named("staged").encode(), mode=3).messages[0]
    assert staged.mode == 3
    assert hostname(seeded) == "kept"
    seeded.reboot()
    seeded.until(lambda: hostname(seeded) == "staged", "the staged host name")
    assert "eth0/10.77.0.5/24" in seeded.resources("AddressStatuses.net.talos.dev", "network")
    assert "origin=STATE" in seeded.logs("machined")
    assert seeded.read("/system/state/config.yaml").decode() == named("staged")
