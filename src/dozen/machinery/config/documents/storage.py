"""Documents about LVM and RAID."""

from __future__ import annotations

from typing import Literal

from dozen.machinery.config.model import Document, Model
from dozen.machinery.config.scalars import Size


class LvmLogicalVolumeProvisioningSpec(Model, frozen=True):
    volume_group: str = ""
    min_size: Size = ""
    max_size: Size = ""


class LVMLogicalVolumeConfig(Document, frozen=True):
    name: str = ""
    type: str = ""
    mirrors: int = 0
    stripes: int = 0
    provisioning: LvmLogicalVolumeProvisioningSpec | None = None


class LvmVolumeSelectorSpec(Model, frozen=True):
    match: str = ""


class ProvisioningSpec(Model, frozen=True):
    volume_selector: LvmVolumeSelectorSpec | None = None


class LVMVolumeGroupConfig(Document, frozen=True):
    name: str = ""
    provisioning: ProvisioningSpec | None = None


class RaidVolumeSelector(Model, frozen=True):
    match: str = ""


class RaidProvisioningSpec(Model, frozen=True):
    volume_selector: RaidVolumeSelector | None = None


class RAIDArrayConfig(Document, frozen=True):
    name: str = ""
    level: Literal["raid1"] | None = None
    metadata: Literal["1.0", "1.2"] | None = None
    provisioning: RaidProvisioningSpec | None = None
