"""What is settled when the kernel starts, from trees that look like a kernel's."""

from __future__ import annotations

from pathlib import Path

import pytest

from dozen.linux.bootfacts import Security, read_boot_id, read_command_line, read_security
from dozen.linux.swaps import Swap, parse_swaps


def write(root: Path, path: str, content: bytes) -> None:
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).write_bytes(content)


def test_a_kernel_that_tells_nothing_has_nothing(tmp_path: Path) -> None:
    assert read_security(tmp_path) == Security(False, "disabled", False, False)


def test_what_protects_a_boot(tmp_path: Path) -> None:
    write(tmp_path, "sys/kernel/boot_params/data", bytes(0x1EC) + b"\3" + bytes(8))
    write(tmp_path, "sys/fs/selinux/enforce", b"1")
    write(tmp_path, "proc/sys/crypto/fips_enabled", b"1\n")
    write(tmp_path, "sys/module/module/parameters/sig_enforce", b"Y\n")
    assert read_security(tmp_path) == Security(True, "enforcing", True, True)


@pytest.mark.parametrize(("mode", "on"), [(0, False), (1, False), (2, False), (3, True)])
def test_secure_boot_is_what_the_firmware_says(tmp_path: Path, mode: int, on: bool) -> None:
    write(tmp_path, "sys/kernel/boot_params/data", bytes(0x1EC) + bytes([mode]))
    assert read_security(tmp_path).secure_boot is on


def test_boot_id_and_command_line(tmp_path: Path) -> None:
    write(tmp_path, "proc/sys/kernel/random/boot_id", b"b0\n")
    write(tmp_path, "proc/cmdline", b"console=ttyS0 quiet\n")
    assert (read_boot_id(tmp_path), read_command_line(tmp_path)) == ("b0", "console=ttyS0 quiet")


def test_swap_space() -> None:
    text = "Filename Type Size Used Priority\n/dev/vda2 partition 1024 1 -2\n/a\\040b file 8 0 5\n"
    assert parse_swaps(text) == [
        Swap("/dev/vda2", "partition", 1 << 20, 1024, -2),
        Swap("/a b", "file", 8192, 0, 5),
    ]
    assert parse_swaps("Filename Type Size Used Priority\n") == []
    with pytest.raises(ValueError, match="2 words"):
        parse_swaps("Filename\n/dev/vda2 partition\n")
