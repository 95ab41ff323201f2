"""Reading what the composer left, and the report of a step."""

import json
from pathlib import Path

import pytest

from dozen.provider.machines import BootImage, ProviderError, Step, StepState, reported


def write_image(folder: Path, **changes: object) -> None:
    files = {"vmlinux": {}, "vmlinuz": {}, "initramfs.cpio.zst": {}, "rootfs.img": {}}
    for name in files:
        (folder / name).write_text(name)
    (folder / "image.json").write_text(json.dumps({"cmdline": "console=ttyS0", "files": files, **changes}))


def test_the_kernel_that_starts_fastest_is_taken(tmp_path: Path) -> None:
    write_image(tmp_path)
    image = BootImage.load(tmp_path)
    assert image.kernel.name == "vmlinux"
    assert image.cmdline == "console=ttyS0"


def test_the_identity_changes_with_the_description(tmp_path: Path) -> None:
    write_image(tmp_path)
    first = BootImage.load(tmp_path).identity
    assert BootImage.load(tmp_path).identity == first
    write_image(tmp_path, cmdline="quiet")
    assert BootImage.load(tmp_path).identity != first


@pytest.mark.parametrize("change", [{"files": {}}, {"files": 3}])
def test_an_incomplete_description_says_what_to_do(tmp_path: Path, change: dict) -> None:
    write_image(tmp_path, **change)
    with pytest.raises(ProviderError, match="compose one first"):
        BootImage.load(tmp_path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    write_image(tmp_path)
    (tmp_path / "rootfs.img").unlink()
    with pytest.raises(ProviderError, match=r"rootfs\.img is missing"):
        BootImage.load(tmp_path)


def test_a_step_reports_its_end_either_way() -> None:
    seen: list[Step] = []
    with reported("good", seen.append) as step:
        step.note("half")
        step.result("whole")
    with pytest.raises(ValueError, match="broken"), reported("bad", seen.append):
        raise ValueError("broken\nin many lines")
    assert [(step.name, step.state, step.text) for step in seen] == [
        ("good", StepState.STARTED, ""),
        ("good", StepState.NOTE, "half"),
        ("good", StepState.DONE, "whole"),
        ("bad", StepState.STARTED, ""),
        ("bad", StepState.FAILED, "broken"),
    ]
