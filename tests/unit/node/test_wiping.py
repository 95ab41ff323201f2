"""What may be wiped: decided from what is known of the machine's disks alone."""

from __future__ import annotations

from typing import Any

import pytest

from dozen.machinery.effects.wipe import DropPartition, WipeDevice
from dozen.machinery.resources import block
from dozen.node.wiping import Facts, ResetWish, Wish, plan_reset, plan_wipes
from dozen.rpc.status import Code, RpcError


def disk(name: str, **fields: Any) -> block.DiskSpec:
    return block.DiskSpec(dev_path=f"/dev/{name}", **fields)


def part(parent: str, number: int) -> block.BlockDeviceSpec:
    return block.BlockDeviceSpec(type="partition", parent=parent, partition_number=number, generation=number)


def volume(path: str) -> block.VolumeStatusSpec:
    return block.VolumeStatusSpec(phase="ready", location=path)


# vda: the system; vdb: our volumes; vdc: a user's, with partitions; vdd: of a volume group; sr0: a drive.
FACTS = Facts(
    devices={
        **{
            name: block.BlockDeviceSpec(type="disk", generation=9)
            for name in ("vda", "vdb", "vdc", "vdd", "vde", "sr0")
        },
        **{f"vdb{number}": part("vdb", number) for number in (1, 2, 3)},
        **{f"vdc{number}": part("vdc", number) for number in (1, 2)},
        "dm-0": block.BlockDeviceSpec(type="disk", secondaries=("vdd",)),
    },
    disks={
        "vda": disk("vda", readonly=True),
        "vdb": disk("vdb"),
        "vdc": disk("vdc", symlinks=("/dev/disk/by-id/users",)),
        "vdd": disk("vdd"),
        "vde": disk("vde"),
        "sr0": disk("sr0", cdrom=True),
    },
    volumes={"META": volume("/dev/vdb1"), "STATE": volume("/dev/vdb2"), "EPHEMERAL": volume("/dev/vdb3")},
    system_disk="vda",
    mounts=(("/dev/vdb3", "/var"), ("/dev/vdc1", "/var/mnt/data")),
    swaps=("/dev/vde",),
)


def refusal(*wishes: Wish) -> tuple[Code, str]:
    with pytest.raises(RpcError) as caught:
        plan_wipes(FACTS, wishes)
    return caught.value.code, caught.value.message


def test_a_partition_is_wiped_and_dropped() -> None:
    assert plan_wipes(FACTS, [Wish("vdc2"), Wish("/dev/vdc2", zeroes=True, drop=True)]) == [
        WipeDevice("/dev/vdc2", 2),
        WipeDevice("/dev/vdc2", 2, zeroes=True),
        DropPartition("/dev/vdc", 2, 2),
    ]


@pytest.mark.parametrize(
    ("wish", "code", "words"),
    [
        (Wish("vdz"), Code.NOT_FOUND, 'no block device "vdz"'),
        (Wish("vda"), Code.FAILED_PRECONDITION, "vda cannot be written"),
        (Wish("sr0"), Code.FAILED_PRECONDITION, "sr0 cannot be written"),
        (Wish("vdc"), Code.FAILED_PRECONDITION, "vdc is in use: /dev/vdc1 is mounted on /var/mnt/data"),
        (Wish("vdb2"), Code.FAILED_PRECONDITION, "vdb2 is in use: /dev/vdb2 is the volume STATE"),
        (Wish("vdb3", skip_volumes=True), Code.FAILED_PRECONDITION, "/dev/vdb3 is mounted on /var"),
        (Wish("vdd"), Code.FAILED_PRECONDITION, "vdd is in use: dm-0 is made of vdd"),
        (Wish("vde", skip_volumes=True, skip_secondaries=True), Code.FAILED_PRECONDITION, "/dev/vde is used as swap"),
        (Wish("vdc", drop=True), Code.INVALID_ARGUMENT, "vdc is no partition"),
    ],
)
def test_refusals_name_what_uses_a_device(wish: Wish, code: Code, words: str) -> None:
    found, text = refusal(wish)
    assert (found, words in text) == (code, True), text


def test_checks_can_be_skipped_by_who_knows_better() -> None:
    assert plan_wipes(FACTS, [Wish("vdb2", skip_volumes=True)]) == [WipeDevice("/dev/vdb2", 2)]
    assert plan_wipes(FACTS, [Wish("vdd", skip_secondaries=True)]) == [WipeDevice("/dev/vdd", 9, exclusive=False)]


def test_nothing_is_planned_when_one_of_several_is_refused() -> None:
    assert refusal(Wish("vdc2"), Wish("vdb2"))[0] is Code.FAILED_PRECONDITION
    assert refusal()[0] is Code.INVALID_ARGUMENT


# -- Resetting.


def wipe(path: str, generation: int) -> WipeDevice:
    return WipeDevice(path, generation, exclusive=False)


@pytest.mark.parametrize(
    ("wish", "effects"),
    [
        (ResetWish(), [wipe("/dev/vdb", 9)]),
        (ResetWish("SYSTEM_DISK"), [wipe("/dev/vdb", 9)]),
        (ResetWish(user_disks=("/dev/vdc",)), [wipe("/dev/vdb", 9), wipe("/dev/vdc", 9)]),
        (ResetWish("USER_DISKS", user_disks=("/dev/disk/by-id/users",)), [wipe("/dev/vdc", 9)]),
        (
            ResetWish(partitions=(("STATE", True), ("META", False), ("EPHEMERAL", True))),
            [wipe("/dev/vdb2", 2), wipe("/dev/vdb3", 3)],
        ),
    ],
)
def test_what_a_reset_wipes(wish: ResetWish, effects: list[WipeDevice]) -> None:
    assert plan_reset(FACTS, wish) == effects


def test_a_disk_that_the_system_shares_keeps_its_image() -> None:
    shared = FACTS._replace(system_disk="vdb")
    assert plan_reset(shared, ResetWish()) == [wipe(f"/dev/vdb{number}", number) for number in (1, 2, 3)]


@pytest.mark.parametrize(
    ("wish", "words"),
    [
        (ResetWish("SYSTEM_DISK", user_disks=("/dev/vdc",)), "SYSTEM_DISK wipes no user disks"),
        (ResetWish("USER_DISKS", partitions=(("STATE", True),), user_disks=("x",)), "wipes no system partitions"),
        (ResetWish("USER_DISKS"), "the disks that user_disks_to_wipe names"),
        (ResetWish(partitions=(("BOOT", True),)), 'no system partition "BOOT"; there are: EPHEMERAL, META, STATE'),
        (ResetWish(user_disks=("/dev/vdz",)), 'no disk "/dev/vdz"'),
        (ResetWish(user_disks=("/dev/vdb",)), "/dev/vdb is the system's own disk"),
        (ResetWish(user_disks=("/dev/sr0",)), "/dev/sr0 cannot be written"),
    ],
)
def test_resets_that_make_no_sense(wish: ResetWish, words: str) -> None:
    with pytest.raises(RpcError, match=words) as caught:
        plan_reset(FACTS, wish)
    assert caught.value.code is Code.INVALID_ARGUMENT


def test_a_machine_without_volumes_has_nothing_to_reset() -> None:
    with pytest.raises(RpcError, match="no system partitions") as caught:
        plan_reset(FACTS._replace(volumes={}), ResetWish())
    assert caught.value.code is Code.FAILED_PRECONDITION
