"""Disks with a configuration: found by their labels, read whatever the case of their names."""

from __future__ import annotations

from pathlib import Path

import pytest

from dozen.linux import seeds
from dozen.testing.iso import write_iso

SIZE = 64 * 1024


class Disks:
    """Block devices as folders: ``sysfs`` lists them, ``dev`` has their contents."""

    def __init__(self, folder: Path) -> None:
        self.sysfs, self.dev = folder / "sysfs", folder / "dev"
        self.sysfs.mkdir()
        self.dev.mkdir()

    def add(self, name: str, content: bytes | None, label: str = "") -> None:
        (self.sysfs / name).mkdir()
        (self.sysfs / name / "uevent").write_text(
            f"MAJOR=8\nDEVNAME={name}\n" + (f"PARTNAME={label}\n" if label else "")
        )
        if content is not None:
            (self.dev / name).write_bytes(content)

    def find(self) -> list[tuple[str, str, str]]:
        found = seeds.find_seeds(str(self.sysfs), str(self.dev))
        return [(seed.kind, Path(seed.device).name, seed.fstype) for seed in found]


@pytest.fixture
def disks(tmp_path: Path) -> Disks:
    return Disks(tmp_path)


def iso(label: str) -> bytes:
    data = bytearray(SIZE)
    data[32768:32775] = b"\x01CD001\x01"
    data[32808:32840] = label.encode().ljust(32)
    return bytes(data)


def fat(label: str) -> bytes:
    data = bytearray(SIZE)
    data[11:13], data[13], data[510:512] = b"\x00\x02", 1, b"\x55\xaa"
    data[43:54], data[54:59] = label.encode().ljust(11), b"FAT16"
    return bytes(data)


def test_seeds_are_found_and_those_for_this_system_come_first(disks: Disks) -> None:
    contents = {
        "sra": iso("cidata"),
        "sdb": fat("METAL-ISO"),
        "sdc": fat("CIDATA"),
        "sdd": iso("OTHER"),
        "sde": b"short",
    }
    for name, content in {**contents, "loop0": iso("cidata"), "gone": None, "blank": bytes(SIZE)}.items():
        disks.add(name, content)
    assert disks.find() == [("metal-iso", "sdb", "vfat"), ("cidata", "sdc", "vfat"), ("cidata", "sra", "iso9660")]


@pytest.mark.parametrize(
    "names",
    [("user-data", "meta-data"), ("USER-DATA", "META-DATA"), ("user_dat", "meta_dat"), ("USER_DAT.", "META_DAT.")],
)
def test_files_are_found_by_any_spelling_of_their_names(tmp_path: Path, names: tuple[str, str]) -> None:
    for name, text in zip(names, ("user", "meta"), strict=True):
        (tmp_path / name).write_text(text)
    assert seeds.read_files(str(tmp_path), seeds.FILES["cidata"]) == {"user-data": "user", "meta-data": "meta"}


def test_a_file_that_is_too_large_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seeds, "FILE_LIMIT", 3)
    (tmp_path / "config.yaml").write_text("long")
    with pytest.raises(ValueError, match="larger than 3 bytes"):
        seeds.read_files(str(tmp_path), seeds.FILES["metal-iso"])


def test_only_a_state_that_can_be_ours_alone_is_mounted_early(disks: Disks, monkeypatch: pytest.MonkeyPatch) -> None:
    mounted: list[tuple[object, ...]] = []
    monkeypatch.setattr(seeds.linux, "mount", lambda *arguments: mounted.append(arguments))
    monkeypatch.setattr(seeds, "_holds_xfs", lambda device: True)
    monkeypatch.setattr(seeds, "wait_for_filesystem", lambda name: None)
    disks.add("vdb1", None, "META")
    assert seeds.mount_state_early(str(disks.sysfs)) == ""
    disks.add("vdb2", None, "STATE")
    assert seeds.mount_state_early(str(disks.sysfs)) == "/dev/vdb2"
    disks.add("vdc2", None, "STATE")
    assert seeds.mount_state_early(str(disks.sysfs)) == ""
    assert mounted == [("/dev/vdb2", "/system/state", "xfs", seeds.STATE_FLAGS, "")]


def test_a_machine_without_disks(tmp_path: Path) -> None:
    assert seeds.find_seeds(str(tmp_path / "absent")) == []
    assert seeds.mount_state_early(str(tmp_path / "absent")) == ""


def test_an_iso_of_tests_is_one(tmp_path: Path, disks: Disks) -> None:
    write_iso(tmp_path / "iso", "cidata", {"user-data": b"x" * 3000, "meta-data": b""})
    disks.add("sr0", (tmp_path / "iso").read_bytes())
    assert disks.find() == [("cidata", "sr0", "iso9660")]


def test_a_state_that_is_not_made_yet_is_not_tried(disks: Disks, monkeypatch: pytest.MonkeyPatch) -> None:
    disks.add("vdb2", None, "STATE")
    monkeypatch.setattr(seeds, "_holds_xfs", lambda device: False)
    assert seeds.mount_state_early(str(disks.sysfs)) == ""


def test_the_file_system_of_a_state_is_known_by_its_first_bytes(tmp_path: Path) -> None:
    (tmp_path / "made").write_bytes(b"XFSB" + bytes(508))
    (tmp_path / "blank").write_bytes(bytes(512))
    assert [seeds._holds_xfs(str(tmp_path / name)) for name in ("made", "blank", "absent")] == [True, False, False]


def test_a_file_system_is_waited_for_but_not_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    known = tmp_path / "filesystems"
    known.write_text("nodev\tproc\n")
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        if len(slept) == 3:
            known.write_text("nodev\tproc\n\txfs\n")

    monkeypatch.setattr(seeds.time, "sleep", sleep)
    seeds.wait_for_filesystem("xfs", str(known), patience=10.0)
    assert len(slept) == 3
    seeds.wait_for_filesystem("ext4", str(known), patience=0.0)
    assert len(slept) == 3
