"""What is settled when the kernel starts: which boot this is, what the kernel was told, and what protects it."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from dozen.linux.sysfs import read_attribute

ROOT = Path("/")
# struct boot_params of x86 (Documentation/arch/x86/zero-page.rst): the EFI stub notes here what the firmware says.
SECURE_BOOT_AT = 0x1EC
SECURE_BOOT_ON = 3  # enum efi_secureboot_mode


class Security(NamedTuple):
    """``selinux`` is disabled, permissive or enforcing."""

    secure_boot: bool = False
    selinux: str = "disabled"
    fips: bool = False
    signed_modules_only: bool = False


def read_boot_id(root: Path = ROOT) -> str:
    """The kernel's random id of this boot. Raises OSError."""
    return _read(root / "proc/sys/kernel/random/boot_id")


def read_command_line(root: Path = ROOT) -> str:
    """What the kernel was started with. Raises OSError."""
    return _read(root / "proc/cmdline")


def read_security(root: Path = ROOT) -> Security:
    """What protects this boot. What the kernel does not tell of, it does not have."""
    return Security(
        secure_boot=_parameter(root / "sys/kernel/boot_params/data", SECURE_BOOT_AT) == SECURE_BOOT_ON,
        selinux={"0": "permissive", "1": "enforcing"}.get(read_attribute(f"{root}/sys/fs/selinux/enforce"), "disabled"),
        fips=read_attribute(f"{root}/proc/sys/crypto/fips_enabled") == "1",
        signed_modules_only=read_attribute(f"{root}/sys/module/module/parameters/sig_enforce") == "Y",
    )


def _read(path: Path) -> str:
    return path.read_text(errors="replace").strip()


def _parameter(path: Path, at: int) -> int:
    try:
        with path.open("rb") as stream:
            stream.seek(at)
            return (stream.read(1) or b"\0")[0]
    except OSError:
        return 0
