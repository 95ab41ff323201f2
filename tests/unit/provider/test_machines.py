"""Reading what the composer left, and the report of a step."""

from pathlib import Path

import pytest

from dozen.compose.image import Image, describe_file, write_image
from dozen.provider.machines import BootImage, ProviderError, Step, StepState, reported

FILES = ("vmlinuz", "vmlinux", "initramfs.cpio", "rootfs.img", "manifest.json", "sbom.cdx.json")


def compose(folder: Path, cmdline: str = "console=ttyS0", **content: str) -> None:
    """Leaves what the composer leaves; ``content`` replaces a file's, by the name of its field."""
    for name in FILES:
        (folder / name).write_text(content.get(name.partition(".")[0], name))
    (folder / "rootfs").mkdir(exist_ok=True)
    parts = {name.partition(".")[0]: describe_file(folder / name) for name in FILES}
    counts = {"binaries": 12, "names": 29, "files": 900}
    names = {"profile": "dev", "version": "1", "key": "k", "kernel_version": "6", "rootfs_type": "erofs"}
    write_image(Image(format=1, cmdline=cmdline, **names, **counts, **parts), folder)


def test_the_kernel_that_starts_fastest_is_taken(tmp_path: Path) -> None:
    compose(tmp_path)
    image = BootImage.load(tmp_path)
    assert image.kernel.name == "vmlinux"
    assert image.cmdline == "console=ttyS0"


def test_the_identity_changes_with_what_is_booted(tmp_path: Path) -> None:
    compose(tmp_path)
    first = BootImage.load(tmp_path).identity
    compose(tmp_path)
    assert BootImage.load(tmp_path).identity == first
    compose(tmp_path, cmdline="quiet")
    second = BootImage.load(tmp_path).identity
    compose(tmp_path, rootfs="other")
    assert len({first, second, BootImage.load(tmp_path).identity}) == 3


def test_no_image_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ProviderError, match="make image"):
        BootImage.load(tmp_path)


def test_a_half_written_image_is_refused(tmp_path: Path) -> None:
    compose(tmp_path)
    (tmp_path / "rootfs.img").write_text("half")
    with pytest.raises(ProviderError, match="make image"):
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
