"""What is done to disks, and above all what is not."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest

from dozen.linux import block_kinds as words
from dozen.machinery import yaml
from dozen.machinery.config import generate
from dozen.machinery.effects.block import FormatXFS, RepairXFS, WritePartitionTable
from dozen.machinery.effects.mount import Mount
from dozen.machinery.plan import Effect, Put
from dozen.machinery.resources import block, config
from dozen.node.controllers.block.volumes import LAYOUT, VolumesController
from dozen.testing.controllers import PlainView

GIB = 1 << 30
MOUNT = Mount("/dev/vdb3", "/var", "xfs", ("nosuid", "nodev", "prjquota"), 7)


@cache
def text_of(disk: str) -> str:
    """A configuration that names this disk, or none."""
    return generate("test", "https://10.0.0.1:6443", install_disk=disk).worker


class Scene:
    """A machine's disks, told in few words."""

    def __init__(self, *, settled: bool = True, configured: bool = True) -> None:
        self.view = PlainView()
        if configured:
            self.configured("")
        if settled:
            self.view.add(words.SCAN, words.DEVICES, words.ScanSpec(settled=True))

    def disk(
        self,
        name: str,
        content: str = words.BLANK,
        holds: str = "",
        *,
        size: int = 10 * GIB,
        generation: int = 7,
        error: str = "",
        **fields: Any,
    ) -> Scene:
        spec = block.DiskSpec(dev_path=f"/dev/{name}", size=size, pretty_size=f"{size / 1e9:.0f} GB", **fields)
        self.view.add(block.DISK, name, spec)
        self.device(name, content, holds, generation=generation, error=error, size=size)
        return self

    def device(
        self, name: str, content: str, holds: str = "", *, generation: int = 7, error: str = "", **fields: Any
    ) -> None:
        held = block.DiscoveredVolumeSpec(dev_path=f"/dev/{name}", name=holds, **fields)
        self.view.add(block.DISCOVERED_VOLUME, name, held)
        self.view.add(words.CONTENT, name, words.ContentSpec(content=content, generation=generation, error=error))

    def ours(
        self, disk: str, content: str = words.RECOGNIZED, holds: str = "xfs", *, error: str = "", state: str = "mounted"
    ) -> Scene:
        """A disk with our three partitions; ``content`` is EPHEMERAL's, ``state`` STATE's, which is mounted already
        unless something else is said."""
        if state == "mounted":
            spec = block.MountStatusSpec(source=f"/dev/{disk}2", target="/system/state")
            self.view.add(block.MOUNT_STATUS, "STATE", spec)
            state = words.RECOGNIZED
        self.disk(disk, words.RECOGNIZED, "gpt")
        for number, (label, _) in enumerate(LAYOUT, 1):
            found = (content, holds, error) if label == "EPHEMERAL" else (words.BLANK, "", "")
            if label == "STATE":
                found = (state, "xfs" if state == words.RECOGNIZED else "", "")
            self.device(
                f"{disk}{number}",
                found[0],
                found[1],
                error=found[2],
                parent=disk,
                parent_dev_path=f"/dev/{disk}",
                partition_label=label,
                partition_index=number,
                size=LAYOUT[number - 1][1] or 9 * GIB,
            )
        return self

    def system(self, disk: str) -> Scene:
        self.view.add(block.SYSTEM_DISK, "system-disk", block.SystemDiskSpec(disk_id=disk, dev_path=f"/dev/{disk}"))
        return self

    def configured(self, path: str) -> Scene:
        text = text_of(path)
        self.view.add(config.MACHINE_CONFIG, config.ACTIVE, config.MachineConfigSpec(text=text))
        return self

    def kernel_knows(self, *partitions: str) -> Scene:
        """Partitions that nobody has looked into."""
        for name in partitions:
            self.view.add(block.BLOCK_DEVICE, name, block.BlockDeviceSpec(type="partition", parent=name[:3]))
        return self

    def outcome(
        self, device: str, action: str, result: str, number: int, message: str = "", generation: int = 7
    ) -> Scene:
        spec = words.OutcomeSpec(
            device=device, action=action, result=result, number=number, message=message, generation=generation
        )
        self.view.add(words.OUTCOME, words.outcome_id(device, action), spec)
        return self

    def mounted(self, source: str) -> Scene:
        self.view.add(block.MOUNT_STATUS, "EPHEMERAL", block.MountStatusSpec(source=source, target="/var"))
        return self

    def plan(self) -> tuple[list[Effect], dict[str, block.VolumeStatusSpec]]:
        steps = list(VolumesController().plan(self.view))
        effects = [step for step in steps if isinstance(step, Effect)]
        puts = {step.id: step.spec for step in steps if isinstance(step, Put)}
        assert puts.keys() == {"META", "STATE", "EPHEMERAL"}, "every volume always has a status"
        assert len(effects) <= 1, "one thing at a time, each after a new look"
        if effects:
            assert steps[-1] is effects[0], "the reason is there before the effect"
        return effects, puts  # type: ignore[return-value]


def partition(disk: str, over: str = words.BLANK, generation: int = 7) -> WritePartitionTable:
    return WritePartitionTable(f"/dev/{disk}", generation, LAYOUT, over)


# -- Choosing a disk.


def test_the_first_blank_disk_is_partitioned() -> None:
    scene = Scene().disk("vda", words.RECOGNIZED, "erofs").system("vda").disk("vdc").disk("vdb")
    effects, volumes = scene.plan()
    assert effects == [partition("vdb")]
    assert volumes["EPHEMERAL"].phase == "missing"


def test_first_means_in_the_order_in_which_disks_are_named() -> None:
    assert Scene().disk("sdaa").disk("sdb").plan()[0] == [partition("sdb")]


def test_no_disk_is_taken_before_all_are_known() -> None:
    effects, volumes = Scene(settled=False).disk("vdb").plan()
    assert effects == []
    assert (volumes["EPHEMERAL"].phase, volumes["EPHEMERAL"].error_message) == (
        "waiting",
        "waiting for all disks to be found",
    )


REFUSED = {
    "system": (lambda: Scene().disk("vda").system("vda"), "vda is the system's own"),
    "file system": (lambda: Scene().disk("sda", words.RECOGNIZED, "ext4"), "sda holds ext4"),
    "physical volume": (lambda: Scene().disk("sda", words.RECOGNIZED, "lvm2-pv"), "sda holds lvm2-pv"),
    "others' table": (lambda: Scene().disk("sda", words.RECOGNIZED, "gpt"), "sda holds gpt"),
    "stray data": (lambda: Scene().disk("sda", words.UNKNOWN), "sda holds data"),
    "remains of xfs": (lambda: Scene().disk("sda", words.XFS_REMAINS), "sda holds data"),
    "unfinished xfs": (lambda: Scene().disk("sda", words.INTERRUPTED), "sda holds data"),
    "unreadable": (
        lambda: Scene().disk("sda", words.UNREADABLE, error="Input/output error"),
        "sda cannot be read (Input/output error)",
    ),
    "read-only": (lambda: Scene().disk("sda", readonly=True), "sda is read-only"),
    "drive for discs": (lambda: Scene().disk("sr0", cdrom=True), "this machine has no disks"),
    "too small": (lambda: Scene().disk("sda", size=GIB // 4), "sda is too small (0 GB; 512 MiB are needed)"),
    "member": (lambda: Scene().disk("sda").disk("md0", secondary_disks=("sda",)), "sda is in use by another device"),
    "made of others": (lambda: Scene().disk("sda", secondary_disks=("sdb",)), "sda is in use by another device"),
    "virtual": (lambda: Scene().disk("loop0"), "this machine has no disks"),
    "none": (lambda: Scene(), "this machine has no disks"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_disk_that_is_not_certainly_free_is_left_alone_and_the_reason_said(case: str) -> None:
    make, reason = REFUSED[case]
    effects, volumes = make().plan()
    assert effects == []
    assert volumes["EPHEMERAL"].phase == "missing"
    assert reason in volumes["EPHEMERAL"].error_message


def test_a_disk_that_does_not_answer_is_passed_over() -> None:
    scene = Scene().disk("vdb")
    scene.view.add(block.DISK, "vda", block.DiskSpec(dev_path="/dev/vda", size=10 * GIB))
    assert scene.plan()[0] == [partition("vdb")]


def test_every_refusal_is_named() -> None:
    _, volumes = Scene().disk("sda", words.RECOGNIZED, "ntfs").disk("sdb", words.UNKNOWN).plan()
    assert volumes["META"].error_message == "no blank disk for the volume EPHEMERAL: sda holds ntfs; sdb holds data"


# -- A disk that the configuration names.


@pytest.mark.parametrize("content", [words.BLANK, words.UNKNOWN])
def test_the_named_disk_is_taken_even_with_stray_data(content: str) -> None:
    scene = Scene().disk("vdb").disk("vdc", content).configured("/dev/vdc")
    assert scene.plan()[0] == [partition("vdc", content)]


def test_the_named_disk_is_not_kept_waiting_for_others() -> None:
    assert Scene(settled=False).disk("vdb").configured("/dev/vdb").plan()[0] == [partition("vdb")]
    effects, volumes = Scene(settled=False).disk("vdb").configured("/dev/vdc").plan()
    assert (effects, volumes["EPHEMERAL"].phase) == ([], "waiting")


def test_a_disk_can_be_named_by_a_link() -> None:
    scene = Scene().disk("vdb").disk("vdc", symlinks=("/dev/disk/by-id/virtio-data",))
    assert scene.configured("/dev/disk/by-id/virtio-data").plan()[0] == [partition("vdc")]


@pytest.mark.parametrize("holds", ["ext4", "gpt", "xfs"])
def test_not_even_the_named_disk_is_overwritten(holds: str) -> None:
    effects, volumes = Scene().disk("vdb").disk("vdc", words.RECOGNIZED, holds).configured("/dev/vdc").plan()
    assert effects == []
    assert volumes["EPHEMERAL"].error_message == f"machine.install.disk cannot be used: vdc holds {holds}"


def test_a_virtual_disk_is_none_even_when_named() -> None:
    _, volumes = Scene().disk("loop0").configured("/dev/loop0").plan()
    assert volumes["EPHEMERAL"].error_message == "machine.install.disk cannot be used: loop0 is no disk"


def test_the_named_disk_is_missing() -> None:
    effects, volumes = Scene().disk("vdb").configured("/dev/sdz").plan()
    assert effects == []
    assert volumes["EPHEMERAL"].error_message == "machine.install.disk names a disk that this machine does not have"


def selecting(scene: Scene, selector: dict[str, str]) -> Scene:
    """The configuration chooses a disk by what it is."""
    data = yaml.load(text_of("").partition("\n---\n")[0])
    data["machine"]["install"] = {"diskSelector": selector}
    text = config.MachineConfigSpec(text=yaml.dump(data))
    scene.view.add(config.MACHINE_CONFIG, config.ACTIVE, text)
    return scene


def test_the_first_disk_that_a_selector_fits_is_partitioned() -> None:
    scene = Scene().disk("vdb", model="A").disk("vdd", model="WDC 2").disk("vdc", model="WDC 1")
    effects, _ = selecting(scene, {"model": "WDC*"}).plan()
    assert effects == [WritePartitionTable("/dev/vdc", 7, LAYOUT, words.BLANK)]


def test_of_those_that_a_selector_fits_the_one_with_the_volumes_stays() -> None:
    scene = Scene().disk("vda").ours("vdb").mounted("/dev/vdb3")
    effects, volumes = selecting(scene, {"size": "> 1GB"}).plan()
    assert effects == []
    assert volumes["EPHEMERAL"].phase == "ready"


def test_a_selector_waits_until_all_disks_are_known() -> None:
    scene = Scene(settled=False).disk("vdb")
    effects, volumes = selecting(scene, {"type": "ssd"}).plan()
    assert effects == []
    assert volumes["EPHEMERAL"].phase == "waiting"


@pytest.mark.parametrize(
    ("selector", "words_"),
    [
        ({"serial": "none"}, "machine.install.diskSelector names a disk that this machine does not have"),
        ({"type": "ssd"}, "machine.install.diskSelector cannot be used: vdb holds ext4"),
    ],
)
def test_a_selector_that_finds_no_disk_to_use_is_told(selector: dict[str, str], words_: str) -> None:
    effects, volumes = selecting(Scene().disk("vdb", words.RECOGNIZED, "ext4").disk("vdc"), selector).plan()
    assert effects == []
    assert volumes["EPHEMERAL"].error_message == words_


# -- Disks that carry our labels.


def test_a_disk_with_our_labels_is_used_before_all_disks_are_known() -> None:
    effects, volumes = Scene(settled=False).disk("vda").ours("vdb").plan()
    assert effects == [MOUNT]
    assert volumes["META"].phase == "ready"
    assert volumes["META"].location == "/dev/vdb1"
    assert volumes["STATE"].phase == "ready"


def test_two_disks_with_our_labels_are_not_guessed_between() -> None:
    effects, volumes = Scene().ours("vdb").ours("vdc").plan()
    assert effects == []
    assert volumes["EPHEMERAL"].error_message.startswith("vdb and vdc each hold an EPHEMERAL volume")


@pytest.mark.parametrize("how", ["configured", "system"])
def test_one_of_two_can_be_told(how: str) -> None:
    scene = Scene().ours("vda").ours("vdb")
    scene = scene.configured("/dev/vdb") if how == "configured" else scene.system("vdb")
    assert scene.plan()[0] == [MOUNT]


def test_a_partition_that_was_not_read_yet_is_waited_for() -> None:
    scene = Scene().ours("vdb")
    del scene.view._resources[words.CONTENT.name, "vdb3"]
    effects, volumes = scene.plan()
    assert (effects, volumes["EPHEMERAL"].phase) == ([], "waiting")


@pytest.mark.parametrize("named", [False, True])
@pytest.mark.parametrize("content", [words.RECOGNIZED, words.BLANK])
def test_a_disk_just_partitioned_is_waited_for_until_its_partitions_are_read(content: str, named: bool) -> None:
    """A slow machine reads the disk before its partitions, or has not read the disk anew yet."""
    holds = "gpt" if content == words.RECOGNIZED else ""
    scene = Scene().disk("vdb", content, holds).kernel_knows("vdb1", "vdb2", "vdb3").disk("vdc")
    if named:
        scene.configured("/dev/vdb")
    effects, volumes = scene.plan()
    assert effects == []
    assert {(each.phase, each.error_message) for each in volumes.values()} == {
        ("waiting", "waiting for the partitions of vdb to be read")
    }


# -- From partition to /var.


@pytest.mark.parametrize("content", [words.BLANK, words.INTERRUPTED])
def test_a_partition_without_a_file_system_gets_one(content: str) -> None:
    effects, volumes = Scene().ours("vdb", content, "").plan()
    assert effects == [FormatXFS("/dev/vdb3", 7, "EPHEMERAL", content)]
    assert volumes["EPHEMERAL"].phase == "located"


@pytest.mark.parametrize("holds", ["ext4", "luks", "lvm2-pv"])
def test_a_partition_of_ours_with_others_data_is_left_alone(holds: str) -> None:
    effects, volumes = Scene().ours("vdb", words.RECOGNIZED, holds).plan()
    assert effects == []
    assert volumes["EPHEMERAL"].error_message == f"vdb3 holds {holds}, which is not ours to change"


def test_an_unreadable_partition_is_a_reason_and_nothing_more() -> None:
    effects, volumes = Scene().ours("vdb", words.UNREADABLE, "", error="Input/output error").plan()
    assert effects == []
    assert volumes["EPHEMERAL"].phase == "failed"
    assert volumes["EPHEMERAL"].error_message == "vdb3 cannot be read (Input/output error)"


def test_a_failed_format_is_tried_again_with_the_reason_shown() -> None:
    scene = Scene().ours("vdb", words.BLANK, "").outcome("vdb3", words.FORMAT, words.FAILED, 1, "mkfs.xfs ended with 1")
    effects, volumes = scene.plan()
    assert effects == [FormatXFS("/dev/vdb3", 7, "EPHEMERAL", words.BLANK)]
    assert (volumes["EPHEMERAL"].phase, volumes["EPHEMERAL"].error_message) == ("failed", "mkfs.xfs ended with 1")


def test_mounted_is_ready() -> None:
    effects, volumes = Scene().ours("vdb").outcome("vdb3", words.MOUNT, words.OK, 1).mounted("/dev/vdb3").plan()
    assert effects == []
    found = volumes["EPHEMERAL"]
    assert (found.phase, found.error_message, found.location) == ("ready", "", "/dev/vdb3")
    assert found.mount_spec is not None
    assert found.mount_spec.target_path == "/var"


def test_a_volume_that_is_mounted_is_ready_whatever_reading_it_shows() -> None:
    effects, volumes = Scene().ours("vdb", words.UNKNOWN, "").mounted("/dev/vdb3").plan()
    assert (effects, volumes["EPHEMERAL"].phase) == ([], "ready")


def test_something_else_on_var_is_a_reason() -> None:
    effects, volumes = Scene().ours("vdb").mounted("tmpfs").plan()
    assert effects == []
    assert volumes["EPHEMERAL"].error_message == "tmpfs is mounted on /var instead of vdb3"


# Outcomes so far (action, result) in order → what comes next, and the phase meanwhile.
RECOVERY: dict[str, tuple[list[tuple[str, str]], Effect | None, str]] = {
    "nothing tried": ([], MOUNT, "provisioned"),
    "unmounted by somebody": ([("mount", "ok")], MOUNT, "provisioned"),
    "disk failed": ([("mount", "failed")], MOUNT, "failed"),
    "damaged": ([("mount", "corrupt")], RepairXFS("/dev/vdb3", 7), "provisioned"),
    "log not replayed": (
        [("mount", "corrupt"), ("repair", "dirty-log")],
        RepairXFS("/dev/vdb3", 7, zero_log=True),
        "provisioned",
    ),
    "repaired": ([("mount", "corrupt"), ("repair", "ok")], MOUNT, "provisioned"),
    "repair failed": ([("mount", "corrupt"), ("repair", "failed")], None, "failed"),
    "repaired in vain": ([("mount", "corrupt"), ("repair", "ok"), ("mount", "corrupt")], None, "failed"),
    "repaired and healthy": ([("mount", "corrupt"), ("repair", "ok"), ("mount", "ok")], MOUNT, "provisioned"),
}


@pytest.mark.parametrize("content", [words.RECOGNIZED, words.UNKNOWN, words.XFS_REMAINS])
@pytest.mark.parametrize("case", RECOVERY)
def test_recovery_goes_step_by_step_and_ends(case: str, content: str) -> None:
    outcomes, expected, phase = RECOVERY[case]
    scene = Scene().ours("vdb", content, "xfs" if content == words.RECOGNIZED else "")
    for number, (action, result) in enumerate(outcomes, 1):
        scene.outcome("vdb3", action, result, number, f"{action} {result}")
    effects, volumes = scene.plan()
    assert effects == ([] if expected is None else [expected])
    assert volumes["EPHEMERAL"].phase == phase
    if phase == "failed":
        assert outcomes[0][0] in volumes["EPHEMERAL"].error_message


def test_outcomes_of_a_disk_that_was_taken_out_do_not_count() -> None:
    scene = Scene().ours("vdb").outcome("vdb3", words.MOUNT, words.CORRUPT, 1, generation=6)
    assert scene.plan()[0] == [MOUNT]


def test_a_failed_partitioning_is_tried_again_with_the_reason_shown() -> None:
    scene = Scene().disk("vdb").outcome("vdb", words.PARTITION, words.FAILED, 1, "/dev/vdb cannot be partitioned: busy")
    effects, volumes = scene.plan()
    assert effects == [partition("vdb")]
    assert {(each.phase, each.error_message) for each in volumes.values()} == {
        ("failed", "/dev/vdb cannot be partitioned: busy")
    }


def test_no_disk_is_taken_in_maintenance_but_our_own_is_used() -> None:
    effects, volumes = Scene(configured=False).disk("vdb").plan()
    assert not effects
    assert volumes["EPHEMERAL"].phase == "missing"
    assert volumes["STATE"].error_message == "no disk is taken before the machine has a configuration"
    assert Scene(configured=False).ours("vdb").plan()[0] == [MOUNT]


# -- STATE.


def test_state_is_formatted_although_it_is_small_once_ephemeral_is_there() -> None:
    scene = Scene().ours("vdb", state=words.BLANK)
    effects, volumes = scene.plan()
    assert effects == [MOUNT]
    assert volumes["STATE"].phase == "located"
    effects, _ = scene.mounted("/dev/vdb3").plan()
    assert effects == [FormatXFS("/dev/vdb2", 7, "STATE", words.BLANK, small=True)]


def test_state_is_mounted_where_nothing_can_be_started_from() -> None:
    effects, _ = Scene().ours("vdb", state=words.RECOGNIZED).mounted("/dev/vdb3").plan()
    assert effects == [Mount("/dev/vdb2", "/system/state", "xfs", ("nosuid", "nodev", "noexec"), 7)]


def test_a_mounted_state_is_ready() -> None:
    effects, volumes = Scene().ours("vdb").mounted("/dev/vdb3").plan()
    assert not effects
    assert volumes["STATE"].phase == "ready"
    assert volumes["STATE"].mount_spec == block.VolumeMount(target_path="/system/state", secure=True)


@pytest.mark.parametrize(
    ("failures", "device"),
    [((), "/dev/vdb3"), (("vdb3",), "/dev/vdb2"), (("vdb3", "vdb2"), "/dev/vdb3"), (("vdb2", "vdb3"), "/dev/vdb2")],
)
def test_a_volume_that_failed_gives_way_to_the_other_one(failures: tuple[str, ...], device: str) -> None:
    scene = Scene().ours("vdb", state=words.RECOGNIZED)
    for number, each in enumerate(failures, 1):
        scene.outcome(each, words.MOUNT, words.FAILED, number)
    ((effect,), _) = scene.plan()
    assert isinstance(effect, Mount)
    assert effect.source == device
