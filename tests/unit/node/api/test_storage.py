"""Disks, wiping, LVM and Reset over the API, on a machine that only remembers what it was told to do."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from dozen.linux.lvm import NoSuchVolume
from dozen.machinery.effects.lvm import RemoveVolume
from dozen.machinery.effects.wipe import DropPartition, WipeDevice
from dozen.machinery.plan import Permanent
from dozen.machinery.resources import block, etcd
from dozen.node.api import storage
from dozen.node.ending import Ending
from dozen.rpc.status import Code, RpcError
from dozen.testing.machine import FakeMachine

Ask = Callable[..., list[Any]]
OWNER = "test"


@pytest.fixture(autouse=True)
def disks(machine: FakeMachine) -> None:
    store = machine.store
    disk = block.DiskSpec(dev_path="/dev/vdb", size=1 << 30, model="M", serial="S", rotational=True)
    store.put(block.DISK, "vdb", disk, owner=OWNER)
    store.put(block.BLOCK_DEVICE, "vdb", block.BlockDeviceSpec(type="disk", generation=3), owner=OWNER)
    part = block.BlockDeviceSpec(type="partition", parent="vdb", partition_number=1, generation=3)
    store.put(block.BLOCK_DEVICE, "vdb1", part, owner=OWNER)
    store.put(block.SYSTEM_DISK, "system-disk", block.SystemDiskSpec(disk_id="vda"), owner=OWNER)


def test_disks(ask: Ask) -> None:
    (found,) = ask("storage.StorageService/Disks")[0].messages[0].disks
    assert (found.device_name, found.size, found.model, found.serial) == ("/dev/vdb", 1 << 30, "M", "S")
    assert (found.type, found.system_disk) == (found.HDD, False)


@pytest.mark.parametrize(
    ("fields", "type"),
    [({}, "SSD"), ({"rotational": True}, "HDD"), ({"transport": "nvme"}, "NVME"), ({"transport": "mmc"}, "SD"),
     ({"cdrom": True, "rotational": True}, "CD")],
)  # fmt: skip
def test_types_of_disks(fields: dict[str, Any], type: str) -> None:
    assert storage.tell_type(block.DiskSpec(**fields)) == type


def test_wiping(ask: Ask, machine: FakeMachine) -> None:
    wishes = [{"device": "vdb1", "method": "ZEROES", "drop_partition": True}, {"device": "vdb"}]
    assert len(ask("storage.StorageService/BlockDeviceWipe", devices=wishes)[0].messages) == 1
    assert machine.effects == [
        WipeDevice("/dev/vdb1", 3, zeroes=True),
        DropPartition("/dev/vdb", 1, 3),
        WipeDevice("/dev/vdb", 3),
    ]


def test_a_wipe_that_fails_says_why(ask: Ask, machine: FakeMachine) -> None:
    machine.effect_error = Permanent("cannot wipe /dev/vdb: something uses it")
    with pytest.raises(RpcError, match="something uses it") as caught:
        ask("storage.StorageService/BlockDeviceWipe", devices=[{"device": "vdb"}])
    assert caught.value.code is Code.FAILED_PRECONDITION


def test_one_change_of_disks_at_a_time(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storage, "_changing", SimpleNamespace(locked=lambda: True))
    with pytest.raises(RpcError, match="another call is changing disks") as caught:
        ask("machine.LVMService/VolumeGroupRemove", volume_group="data")
    assert caught.value.code is Code.FAILED_PRECONDITION


@pytest.mark.parametrize(
    ("method", "fields", "effect"),
    [
        ("LogicalVolumeRemove", {"volume_group": "data", "logical_volume": "one"}, RemoveVolume("lv", "data/one")),
        ("VolumeGroupRemove", {"volume_group": "data"}, RemoveVolume("vg", "data")),
        ("PhysicalVolumeRemove", {"device": "vdb"}, RemoveVolume("pv", "/dev/vdb")),
        ("PhysicalVolumeRemove", {"device": "/dev/vdb"}, RemoveVolume("pv", "/dev/vdb")),
    ],
)
def test_lvm(ask: Ask, machine: FakeMachine, method: str, fields: dict[str, str], effect: RemoveVolume) -> None:
    ask(f"machine.LVMService/{method}", **fields)
    assert machine.effects == [effect]


@pytest.mark.parametrize(
    ("method", "fields", "words", "code"),
    [
        ("LogicalVolumeRemove", {"logical_volume": "one"}, "say which volume group", Code.INVALID_ARGUMENT),
        ("LogicalVolumeRemove", {"volume_group": "data"}, "say which logical volume", Code.INVALID_ARGUMENT),
        ("VolumeGroupRemove", {"volume_group": "--force"}, "is no name", Code.INVALID_ARGUMENT),
        ("VolumeGroupRemove", {"volume_group": "a/b"}, "is no name", Code.INVALID_ARGUMENT),
        ("PhysicalVolumeRemove", {}, "say which device", Code.INVALID_ARGUMENT),
        ("PhysicalVolumeRemove", {"device": "vdz"}, "no block device", Code.NOT_FOUND),
    ],
)
def test_lvm_refuses(ask: Ask, method: str, fields: dict[str, str], words: str, code: Code) -> None:
    with pytest.raises(RpcError, match=words) as caught:
        ask(f"machine.LVMService/{method}", **fields)
    assert caught.value.code is code


def test_a_group_that_is_not_there(ask: Ask, machine: FakeMachine) -> None:
    machine.effect_error = NoSuchVolume('data is not removed: Volume group "data" not found')
    with pytest.raises(RpcError, match="not found") as caught:
        ask("machine.LVMService/VolumeGroupRemove", volume_group="data")
    assert caught.value.code is Code.NOT_FOUND


# -- Reset.


def test_reset(ask: Ask, machine: FakeMachine) -> None:
    state = block.VolumeStatusSpec(phase="ready", location="/dev/vdb1")
    machine.store.put(block.VOLUME_STATUS, "STATE", state, owner=OWNER)
    fields = {"reboot": True, "system_partitions_to_wipe": [{"label": "STATE", "wipe": True}]}
    (answer,) = ask("machine.MachineService/Reset", **fields)[0].messages
    wipes = (WipeDevice("/dev/vdb1", 3, exclusive=False),)
    assert machine.endings == [Ending("reset", answer.actor_id, force=True, wipes=wipes, restart=True)]
    with pytest.raises(RpcError, match="going down already") as caught:
        ask("machine.MachineService/Reset", **fields)
    assert caught.value.code is Code.FAILED_PRECONDITION


def test_a_reset_of_nothing_ends_nothing(ask: Ask, machine: FakeMachine) -> None:
    with pytest.raises(RpcError, match="no system partitions"):
        ask("machine.MachineService/Reset", graceful=True)
    assert machine.endings == []


def test_a_cluster_s_last_member_does_not_leave_gracefully(ask: Ask, machine: FakeMachine) -> None:
    async def list_members() -> list[Any]:
        return [SimpleNamespace(isLearner=False), SimpleNamespace(isLearner=True)]

    machine.etcd = SimpleNamespace(local=SimpleNamespace(list_members=list_members))  # type: ignore[assignment]
    machine.store.put(etcd.ETCD_MEMBER, etcd.LOCAL, etcd.EtcdMemberSpec(member_id="1"), owner=OWNER)
    fields = {"mode": "USER_DISKS", "user_disks_to_wipe": ["/dev/vdb"]}
    with pytest.raises(RpcError, match="without graceful") as caught:
        ask("machine.MachineService/Reset", graceful=True, **fields)
    assert caught.value.code is Code.FAILED_PRECONDITION
    ask("machine.MachineService/Reset", **fields)
    assert machine.endings[0].wipes == (WipeDevice("/dev/vdb", 3, exclusive=False),)
