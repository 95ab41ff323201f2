"""Disks over the API of a machine that has some: listed, taken apart, wiped; and at last the whole machine reset."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from dozen.machinery import yaml
from dozen.rpc.status import Code, RpcError
from dozen.testing.booter import Booter
from dozen.testing.live import LiveNode
from dozen.testing.toolbox import Toolbox

SCRATCH_MIB = 320
DISKS, WIPE = "/storage.StorageService/Disks", "/storage.StorageService/BlockDeviceWipe"
LVM = "/machine.LVMService/"
SYSTEM, DRIVER = "system", 0


@pytest.fixture(scope="module")
def own(boot_for_module: Booter, tmp_path_factory: pytest.TempPathFactory) -> LiveNode:
    """A machine that may forget everything, with a second disk."""
    scratch = tmp_path_factory.mktemp("disks") / "scratch.raw"
    with scratch.open("wb") as file:
        file.truncate(SCRATCH_MIB << 20)
    node = boot_for_module("reset", disks={"scratch": scratch})
    node.until_healthy("containerd", seconds=300)
    return node


@pytest.fixture(scope="module")
def tools(own: LiveNode, archive: bytes) -> Toolbox:
    toolbox = Toolbox(own)
    toolbox.install(archive)
    return toolbox


def spare(node: LiveNode) -> str:
    """The name of the second disk."""
    disks = node.resources("Disks.block.talos.dev", "runtime")
    return next(name for name, spec in disks.items() if spec["size"] == SCRATCH_MIB << 20)


def volumes(node: LiveNode) -> dict[str, Any]:
    return node.resources("VolumeStatuses.block.talos.dev", "runtime")


def held(node: LiveNode, device: str) -> str:
    """What is on a device, as probing found it."""
    return str(node.resources("DiscoveredVolumes.block.talos.dev", "runtime")[device].get("name", ""))


def refusal(ask: Callable[[], object]) -> tuple[Code, str]:
    with pytest.raises(RpcError) as caught:
        ask()
    return caught.value.code, caught.value.message


def test_older_clients_list_disks(own: LiveNode) -> None:
    listed = {disk.device_name: disk for disk in own.call(DISKS).messages[0].disks}
    resources = own.resources("Disks.block.talos.dev", "runtime")
    assert {name: disk.size for name, disk in listed.items()} == {
        spec["dev_path"]: spec["size"] for spec in resources.values()
    }
    assert [name for name, disk in listed.items() if disk.system_disk] == ["/dev/vda"]


def test_volumes_of_lvm_are_removed_from_the_top_down(own: LiveNode, tools: Toolbox) -> None:
    disk = spare(own)
    lvm = "chroot /host /sbin/lvm"
    tools.check(
        f"{lvm} pvcreate -q /dev/{disk} && {lvm} vgcreate -q data /dev/{disk} && {lvm} lvcreate -q -n one -L 64M data"
    )
    assert own.until(lambda: held(own, disk) == "lvm2-pv", "the new label to be seen")
    group, volume = {"volume_group": "data"}, {"volume_group": "data", "logical_volume": "one"}
    code, words = refusal(lambda: own.call(WIPE, devices=[{"device": disk}]))
    assert (code, f"is made of {disk}" in words) == (Code.FAILED_PRECONDITION, True), words
    assert refusal(lambda: own.call(f"{LVM}VolumeGroupRemove", **group))[0] is Code.FAILED_PRECONDITION
    assert refusal(lambda: own.call(f"{LVM}PhysicalVolumeRemove", device=disk))[0] is Code.FAILED_PRECONDITION
    own.call(f"{LVM}LogicalVolumeRemove", **volume)
    assert refusal(lambda: own.call(f"{LVM}LogicalVolumeRemove", **volume))[0] is Code.NOT_FOUND
    own.call(f"{LVM}VolumeGroupRemove", **group)
    assert refusal(lambda: own.call(f"{LVM}VolumeGroupRemove", **group))[0] is Code.NOT_FOUND
    own.call(f"{LVM}PhysicalVolumeRemove", device=disk)
    own.until(lambda: held(own, disk) == "", "the label to be gone")


def test_a_disk_is_wiped_unless_it_is_in_use(own: LiveNode, tools: Toolbox) -> None:
    disk = spare(own)
    state = volumes(own)["STATE"]["location"].removeprefix("/dev/")
    code, words = refusal(lambda: own.call(WIPE, devices=[{"device": state}]))
    assert (code, f"/dev/{state} is the volume STATE" in words) == (Code.FAILED_PRECONDITION, True), words
    assert f"/dev/{state} is mounted on /system/state" in words
    # The magic number of ext4's superblock, where mke2fs puts it.
    tools.check(f"printf '\\123\\357' | dd of=/dev/{disk} bs=1 seek=1080 conv=notrunc")
    own.until(lambda: held(own, disk) == "ext2", "the file system to be seen")
    own.call(WIPE, devices=[{"device": disk, "method": "ZEROES"}])
    own.until(lambda: held(own, disk) == "", "the file system to be gone")


def kubelet(node: LiveNode) -> int:
    """The process of the kubelet's container; 0 while there is none."""
    found = node.call("Containers", namespace=SYSTEM, driver=DRIVER).messages[0].containers
    return next((each.pid for each in found if (each.id, each.status) == ("kubelet", "RUNNING")), 0)


def test_a_container_is_restarted(own: LiveNode) -> None:
    """The kubelet's, which its supervisor starts again."""
    before = own.until(lambda: kubelet(own), "the kubelet's container", 120)
    own.call("Restart", namespace=SYSTEM, id="kubelet", driver=DRIVER, seconds=60)
    own.until(lambda: kubelet(own) not in (0, before), "another container of the kubelet", 120)


def test_a_service_is_restarted_and_counted(own: LiveNode) -> None:
    before = own.until(lambda: kubelet(own), "the kubelet's container", 120)
    stats = {each.id: each for each in own.call("Stats", namespace=SYSTEM, driver=DRIVER).messages[0].stats}
    assert stats["kubelet"].memory_usage > 1 << 20
    assert stats["kubelet"].cpu_usage > 0
    assert own.call("ServiceRestart", id="kubelet", seconds=120).messages[0].resp == 'Service "kubelet" restarted'
    own.until(lambda: kubelet(own) not in (0, before), "another container of the kubelet", 120)
    assert "support stop operation" in refusal(lambda: own.call("ServiceStop", id="kubelet"))[1]


def test_what_was_asked_for_is_forgotten_and_the_rest_kept(
    boot_for_module: Booter, own: LiveNode, tools: Toolbox
) -> None:
    """STATE and EPHEMERAL go, with the configuration that was applied last; META stays."""
    data = yaml.load(boot_for_module.specs["reset"].config)
    data["machine"].setdefault("network", {})["hostname"] = "applied"
    own.call("ApplyConfiguration", data=yaml.dump(data).encode(), mode="NO_REBOOT")
    own.until(lambda: hostname(own) == "applied", "the new host name")
    own.call("MetaWrite", key=12, value=b"kept")
    tools.check("mkdir -p /host/var/lib/test && echo lost > /host/var/lib/test/file")
    before, uuids = own.boot_id(), identities(own)
    wipes = [{"label": label, "wipe": True} for label in ("STATE", "EPHEMERAL")]
    code, _ = refusal(lambda: own.call("Reset", mode="USER_DISKS", system_partitions_to_wipe=wipes))
    assert code is Code.INVALID_ARGUMENT
    start = own.machine.console.stat().st_size
    assert own.call("Reset", reboot=True, system_partitions_to_wipe=wipes).messages[0].actor_id
    own.await_boot(before, start, 400)
    own.until_healthy("containerd", seconds=300)
    own.until(lambda: volumes(own)["STATE"]["phase"] == "ready", "a new STATE", 120)
    assert hostname(own) != "applied"
    assert "test" not in own.names("/var/lib")
    assert own.resources("MetaKeys.runtime.talos.dev", "runtime")["0x0c"]["value"] == "kept"
    assert not identities(own) & uuids


def hostname(node: LiveNode) -> str:
    return str(node.call("Hostname").messages[0].hostname)


def identities(node: LiveNode) -> set[str]:
    """The UUIDs of the file systems that a reset makes anew."""
    return {volumes(node)[label]["uuid"] for label in ("STATE", "EPHEMERAL")}
