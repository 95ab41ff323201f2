"""Documents about volumes: what is kept on which disk, with which file system, how it is encrypted and mounted."""

from __future__ import annotations

from typing import Literal

import msgspec

from dozen.machinery.config.model import Document, Model
from dozen.machinery.config.scalars import Duration, Secret, Size


class VolumeSelector(Model, frozen=True):
    match: str = ""


class VolumeDiscoverySpec(Model, frozen=True):
    volume_selector: VolumeSelector | None = None


class ExistingMountSpec(Model, frozen=True):
    read_only: bool | None = None
    disable_access_time: bool | None = None
    secure: bool | None = None


class TrimConfig(Model, frozen=True):
    enabled: bool | None = None
    interval: Duration | None = None


class ScrubConfig(Model, frozen=True):
    enabled: bool | None = None
    interval: Duration | None = None


class ExistingVolumeConfig(Document, frozen=True):
    name: str = ""
    discovery: VolumeDiscoverySpec | None = None
    mount: ExistingMountSpec | None = None
    trim: TrimConfig | None = None
    scrub: ScrubConfig | None = None


class VirtiofsMountSpec(Model, frozen=True):
    tag: str = ""


class ExternalMountSpec(Model, frozen=True):
    read_only: bool | None = None
    disable_access_time: bool | None = None
    secure: bool | None = None
    virtiofs: VirtiofsMountSpec | None = None


class ExternalVolumeConfig(Document, frozen=True):
    name: str = ""
    filesystem_type: Literal["virtiofs"] | None = None
    mount: ExternalMountSpec | None = None


class FilesystemTrimConfig(Document, frozen=True):
    interval: Duration | None = None


class FilesystemScrubConfig(Document, frozen=True):
    interval: Duration | None = None


class DiskSelector(Model, frozen=True):
    match: str = ""


class ProvisioningSpec(Model, frozen=True):
    disk_selector: DiskSelector | None = None
    grow: bool | None = None
    min_size: Size = ""
    max_size: Size = ""


class EncryptionKeyStatic(Model, frozen=True):
    passphrase: Secret = Secret("")


class EncryptionKeyNodeId(Model, frozen=True):
    """Only there or not."""


class EncryptionKeyKms(Model, frozen=True):
    endpoint: str = ""


class EncryptionKeyTpmOptions(Model, frozen=True):
    pcrs: tuple[int, ...] = ()


class EncryptionKeyTpm(Model, frozen=True):
    options: EncryptionKeyTpmOptions | None = None
    check_secureboot_status_on_enroll: bool | None = None


class EncryptionKey(Model, frozen=True):
    slot: int = 0
    static: EncryptionKeyStatic | None = None
    node_id: EncryptionKeyNodeId | None = msgspec.field(name="nodeID", default=None)
    kms: EncryptionKeyKms | None = None
    tpm: EncryptionKeyTpm | None = None
    lock_to_state: bool | None = None


class EncryptionSpec(Model, frozen=True):
    provider: Literal["luks2"] | None = None
    keys: tuple[EncryptionKey, ...] = ()
    cipher: Literal["aes-xts-plain64", "xchacha12,aes-adiantum-plain64", "xchacha20,aes-adiantum-plain64"] | None = None
    key_size: int = 0
    block_size: int = 0
    options: tuple[str, ...] = ()
    allow_discards: bool | None = None


class RawVolumeConfig(Document, frozen=True):
    name: str = ""
    provisioning: ProvisioningSpec | None = None
    encryption: EncryptionSpec | None = None


class SwapVolumeConfig(Document, frozen=True):
    name: str = ""
    provisioning: ProvisioningSpec | None = None
    encryption: EncryptionSpec | None = None


class XfsSpec(Model, frozen=True):
    min_allocation_group_size: Size = ""


class FilesystemSpec(Model, frozen=True):
    type: Literal["ext4", "xfs", "btrfs"] | None = None
    project_quota_support: bool | None = None
    xfs: XfsSpec | None = None


class UserMountSpec(Model, frozen=True):
    disable_access_time: bool | None = None
    secure: bool | None = None


class UserVolumeConfig(Document, frozen=True):
    name: str = ""
    volume_type: Literal["directory", "disk", "partition"] | None = None
    provisioning: ProvisioningSpec | None = None
    filesystem: FilesystemSpec | None = None
    encryption: EncryptionSpec | None = None
    mount: UserMountSpec | None = None
    trim: TrimConfig | None = None
    scrub: ScrubConfig | None = None


class SystemVolumeFilesystemSpec(Model, frozen=True):
    xfs: XfsSpec | None = None


class MountSpec(Model, frozen=True):
    secure: bool | None = None
    disable_access_time: bool | None = None


class VolumeConfig(Document, frozen=True):
    name: str = ""
    provisioning: ProvisioningSpec | None = None
    filesystem: SystemVolumeFilesystemSpec | None = None
    encryption: EncryptionSpec | None = None
    mount: MountSpec | None = None
    trim: TrimConfig | None = None
    scrub: ScrubConfig | None = None


class ZswapConfig(Document, frozen=True):
    max_pool_percent: int = 0
    shrinker_enabled: bool | None = None
