"""Disks with a configuration: found by their labels, read whatever the case of their names."""

from __future__ import annotations

from pathlib import Path

import pytest

from dozen.linux import seeds
from dozen.linux.block_devices import Device
from dozen.testing.iso import write_iso

SIZE = 64 * 1024


def disk(folder: Path, name: str, content: bytes, monkeypatch: pytest.MonkeyPatch) -> Device:
    (folder / name).write_bytes(content)
    monkeypatch.setattr(Device, "path", property(lambda device: str(folder / device.name)))
    return Device(name, 8, 0, len(content), 1)


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


def test_seeds_are_found_and_those_for_this_system_come_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    contents = {
        "sra": iso("cidata"),
        "sdb": fat("METAL-ISO"),
        "sdc": fat("CIDATA"),
        "sdd": iso("OTHER"),
        "sde": b"short",
    }
    devices = [disk(tmp_path, name, content, monkeypatch) for name, content in contents.items()]
    devices.append(Device("loop0", 7, 0, SIZE, 1))
    devices.append(Device("gone", 8, 9, SIZE, 1))
    found = [(seed.kind, Path(seed.device).name, seed.fstype) for seed in seeds.find_seeds(devices)]
    assert found == [("metal-iso", "sdb", "vfat"), ("cidata", "sra", "iso9660"), ("cidata", "sdc", "vfat")]


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


def test_only_a_state_that_can_be_ours_alone_is_mounted_early(monkeypatch: pytest.MonkeyPatch) -> None:
    mounted: list[tuple[object, ...]] = []
    monkeypatch.setattr(seeds.linux, "mount", lambda *arguments: mounted.append(arguments))
    state = Device("vdb2", 254, 18, SIZE, 1, parent="vdb", number=2, partition_name="STATE")
    other = Device("vdc2", 254, 34, SIZE, 1, parent="vdc", number=2, partition_name="STATE")
    monkeypatch.setattr(seeds, "read_devices", lambda: [state, other])
    assert seeds.mount_state_early() == ""
    monkeypatch.setattr(seeds, "read_devices", lambda: [state])
    assert seeds.mount_state_early() == "/dev/vdb2"
    assert mounted == [("/dev/vdb2", "/system/state", "xfs", seeds.STATE_FLAGS, "")]


def test_an_iso_of_tests_is_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_iso(tmp_path / "sr0", "cidata", {"user-data": b"x" * 3000, "meta-data": b""})
    found = seeds.find_seeds([disk(tmp_path, "sr0", (tmp_path / "sr0").read_bytes(), monkeypatch)])
    assert [seed.kind for seed in found] == ["cidata"]
