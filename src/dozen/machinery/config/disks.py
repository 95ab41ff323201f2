"""Models of the v1alpha1 document's disks: user disks, where to install, how system partitions are encrypted."""

from __future__ import annotations

from typing import Literal

import msgspec

from dozen.machinery.config.model import Model
from dozen.machinery.config.scalars import AbsolutePath, Secret, Size


class DiskPartition(Model, frozen=True):
    size: Size = ""
    mountpoint: AbsolutePath = ""


class MachineDisk(Model, frozen=True):
    device: AbsolutePath
    partitions: tuple[DiskPartition, ...] = ()


class InstallDiskSelector(Model, frozen=True):
    size: str = ""
    name: str = ""
    model: str = ""
    serial: str = ""
    modalias: str = ""
    uuid: str = ""
    wwid: str = ""
    type: Literal["", "ssd", "hdd", "nvme", "sd"] = ""
    bus_path: str = ""


class InstallExtension(Model, frozen=True):
    image: str


class Install(Model, frozen=True):
    disk: AbsolutePath = ""
    disk_selector: InstallDiskSelector | None = None
    extra_kernel_args: tuple[str, ...] = ()
    image: str = ""
    extensions: tuple[InstallExtension, ...] = ()
    wipe: bool | None = None
    legacy_bios_support: bool | None = msgspec.field(name="legacyBIOSSupport", default=None)
    grub_use_uki_cmdline: bool | None = msgspec.field(name="grubUseUKICmdline", default=None)


class EncryptionStatic(Model, frozen=True):
    passphrase: Secret = Secret("")


class Empty(Model, frozen=True):
    """A mapping that is only there or not."""


class EncryptionKms(Model, frozen=True):
    endpoint: str = ""


class EncryptionTpmOptions(Model, frozen=True):
    pcrs: tuple[int, ...] = ()


class EncryptionTpm(Model, frozen=True):
    options: EncryptionTpmOptions = EncryptionTpmOptions()
    check_secureboot_status_on_enroll: bool | None = None


class EncryptionKey(Model, frozen=True):
    slot: int = 0
    static: EncryptionStatic | None = None
    node_id: Empty | None = msgspec.field(name="nodeID", default=None)
    kms: EncryptionKms | None = None
    tpm: EncryptionTpm | None = None
    lock_to_state: bool | None = msgspec.field(name="lockToState", default=None)


class Encryption(Model, frozen=True):
    provider: Literal["luks2"] = "luks2"
    keys: tuple[EncryptionKey, ...] = ()
    cipher: str = ""
    key_size: int = 0
    block_size: int = 0
    options: tuple[str, ...] = ()
    allow_discards: bool | None = None


class SystemDiskEncryption(Model, frozen=True):
    state: Encryption | None = None
    ephemeral: Encryption | None = None
