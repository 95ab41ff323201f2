"""Removing LVM's volumes, with answers in the place of lvm's; the words are those of lvm 2.03."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from dozen.linux.lvm import NoSuchVolume, run
from dozen.machinery.effects.lvm import RemoveVolume
from dozen.machinery.plan import EffectError, Permanent, Temporary


def carry_out(effect: RemoveVolume, answer: tuple[int, bytes] | OSError = (0, b"")) -> list[str]:
    commands: list[list[str]] = []

    async def run_program(argv: Sequence[str], timeout: float) -> tuple[int, bytes]:
        commands.append(list(argv))
        if isinstance(answer, OSError):
            raise answer
        return answer

    asyncio.run(run(effect, run_program))
    return commands[0]


def test_only_a_logical_volume_goes_unasked() -> None:
    assert carry_out(RemoveVolume("lv", "data/one")) == ["/sbin/lvm", "lvremove", "--yes", "--", "data/one"]
    assert carry_out(RemoveVolume("vg", "data")) == ["/sbin/lvm", "vgremove", "--", "data"]
    assert carry_out(RemoveVolume("pv", "/dev/vdb")) == ["/sbin/lvm", "pvremove", "--", "/dev/vdb"]


@pytest.mark.parametrize(
    ("effect", "printed", "kind", "words"),
    [
        (
            RemoveVolume("vg", "data"),
            '  Volume group "data" not found\n  Cannot process volume group data\n',
            NoSuchVolume,
            'data is not removed: Volume group "data" not found; Cannot process volume group data',
        ),
        (RemoveVolume("lv", "data/x"), '  Failed to find logical volume "data/x"\n', NoSuchVolume, "Failed to find"),
        (RemoveVolume("pv", "/dev/vdb"), "  No PV label found on /dev/vdb.\n", NoSuchVolume, "No PV label"),
        (RemoveVolume("lv", "data/x"), "  Logical volume data/x in use.\n", Permanent, "in use"),
        (RemoveVolume("vg", "data"), "", Permanent, "lvm did not say why"),
    ],
)
def test_refusals(effect: RemoveVolume, printed: str, kind: type[EffectError], words: str) -> None:
    with pytest.raises(kind, match=words) as caught:
        carry_out(effect, (5, printed.encode()))
    assert type(caught.value) is kind


def test_an_lvm_that_does_not_run() -> None:
    with pytest.raises(Temporary, match="lvremove data/x: it took too long"):
        carry_out(RemoveVolume("lv", "data/x"), TimeoutError())
