"""Reading the table of mounts, and what mounting can come to."""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dozen.linux import block_kinds as words
from dozen.linux import mounts
from dozen.linux import sys as linux
from dozen.linux.block_outcomes import Outcomes
from dozen.linux.escapes import unescape
from dozen.linux.mounts import Mounted, parse_mountinfo, run, split_options
from dozen.machinery.effects.block import RepairXFS
from dozen.machinery.effects.mount import Mount, Unmount
from dozen.machinery.plan import Effect, Temporary
from dozen.machinery.resources import block, runtime
from dozen.node.controllers.block.mounts import describe_mounts, describe_volumes

MOUNTINFO = r"""22 1 254:0 / / ro,nosuid,nodev,relatime shared:1 - erofs /dev/vda ro,user_xattr,acl
25 22 0:22 / /run rw,nosuid,nodev - tmpfs tmpfs rw,size=100k
40 22 254:19 / /var rw,nosuid,nodev,relatime - xfs /dev/vdb3 rw,attr2,prjquota
41 40 0:50 / /run/containerd/io.containerd.runtime.v2.task/k8s.io/x/rootfs rw - overlay overlay rw
42 22 0:51 / /media/a\040b\011c\134d rw - 9p host\040share rw
short line
"""
VAR = Mount("/dev/vdb3", "/var", "xfs", ("nosuid", "nodev", "prjquota"), 7)


def test_the_table_is_read() -> None:
    found = parse_mountinfo(MOUNTINFO)
    assert [each.target for each in found[:3]] == ["/", "/run", "/var"]
    assert found[2] == Mounted(
        "/var", "/dev/vdb3", "xfs", ("rw", "nosuid", "nodev", "relatime"), ("rw", "attr2", "prjquota")
    )
    assert (found[0].read_only, found[2].read_only) == (True, False)
    assert (found[4].target, found[4].source) == ("/media/a b\tc\\d", "host share")
    assert len(found) == 5


@given(st.text())
def test_any_text_is_read_without_an_error(text: str) -> None:
    parse_mountinfo(text)
    unescape(text)


def test_options_become_flags_and_text() -> None:
    flags = linux.MS_NOSUID | linux.MS_NODEV
    assert split_options(("nosuid", "prjquota", "nodev", "logbsize=32k")) == (flags, "prjquota,logbsize=32k")
    assert split_options(()) == (0, "")


def test_what_the_api_shows_of_it() -> None:
    table = parse_mountinfo(MOUNTINFO)
    shown = describe_mounts(table)
    assert shown["/var"] == runtime.MountStatusSpec(
        source="/dev/vdb3",
        target="/var",
        filesystem_type="xfs",
        options=("rw", "nosuid", "nodev", "relatime", "attr2", "prjquota"),
    )
    assert not any(target.startswith("/run/containerd") for target in shown)
    volumes = describe_volumes(table)
    assert volumes.keys() == {"EPHEMERAL"}
    found = volumes["EPHEMERAL"]
    assert isinstance(found, block.MountStatusSpec)
    assert (found.source, found.filesystem, found.project_quota_support) == ("/dev/vdb3", "xfs", True)
    assert (found.read_only, found.spec.secure) == (False, True)


class Kernel:
    """Answers mount(2) and umount2(2) with an error number, 0 for success."""

    def __init__(self, number: int = 0, table: str = "") -> None:
        self.number = number
        self.table = table
        self.calls: list[tuple[object, ...]] = []

    def call(self, *arguments: object) -> None:
        self.calls.append(arguments)
        if self.number:
            raise OSError(self.number, errno.errorcode[self.number])

    def carry_out(self, effect: Effect, monkeypatch: pytest.MonkeyPatch) -> Outcomes:
        monkeypatch.setattr(linux, "mount", self.call)
        monkeypatch.setattr(linux, "umount", self.call)
        monkeypatch.setattr(mounts, "read_mounts", lambda: parse_mountinfo(self.table))
        self.outcomes = Outcomes()
        asyncio.run(run(effect, refuse_programs, self.outcomes))
        return self.outcomes


async def refuse_programs(argv: Sequence[str], timeout: float) -> tuple[int, bytes]:
    raise AssertionError(f"mounting needs no programs, but ran {argv}")


def test_mounting(monkeypatch: pytest.MonkeyPatch) -> None:
    kernel = Kernel()
    outcomes = kernel.carry_out(VAR, monkeypatch)
    assert kernel.calls == [("/dev/vdb3", "/var", "xfs", linux.MS_NOSUID | linux.MS_NODEV, "prjquota")]
    assert (outcomes.specs["vdb3/mount"].result, outcomes.specs["vdb3/mount"].generation) == (words.OK, 7)


def test_what_is_mounted_already_is_not_mounted_again(monkeypatch: pytest.MonkeyPatch) -> None:
    kernel = Kernel(table=MOUNTINFO)
    assert kernel.carry_out(VAR, monkeypatch).specs["vdb3/mount"].result == words.OK
    assert kernel.calls == []


@pytest.mark.parametrize("number", [errno.EUCLEAN, errno.EBADMSG, errno.EINVAL])
def test_damage_is_an_outcome(number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    outcome = Kernel(number).carry_out(VAR, monkeypatch).specs["vdb3/mount"]
    assert outcome.result == words.CORRUPT
    assert outcome.message == f"/dev/vdb3 cannot be mounted on /var: {errno.errorcode[number]}"


@pytest.mark.parametrize("number", [errno.EIO, errno.ENODEV, errno.ENOENT, errno.EBUSY, errno.EROFS])
def test_other_errors_are_tried_again(number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    kernel = Kernel(number)
    with pytest.raises(Temporary, match="cannot be mounted on /var"):
        kernel.carry_out(VAR, monkeypatch)
    assert kernel.outcomes.specs["vdb3/mount"].result == words.FAILED


def test_unmounting_what_is_not_mounted_is_fine(monkeypatch: pytest.MonkeyPatch) -> None:
    Kernel(errno.EINVAL).carry_out(Unmount("/var"), monkeypatch)
    with pytest.raises(Temporary, match="cannot be unmounted"):
        Kernel(errno.EBUSY).carry_out(Unmount("/var"), monkeypatch)


def test_other_effects_are_not_understood(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(TypeError, match="not an effect on mounts"):
        Kernel().carry_out(RepairXFS("/dev/vdb3", 7), monkeypatch)


def test_effects_read_well() -> None:
    assert str(VAR) == "mount /dev/vdb3 on /var (xfs: nosuid,nodev,prjquota)"
    assert str(Unmount("/var")) == "unmount /var"
