"""Documents about the running system: kernel parameters and modules, files, logs, installation."""

from __future__ import annotations

import msgspec

from dozen.machinery.config.model import Document, Model
from dozen.machinery.config.scalars import AbsolutePath, Duration, FileMode, Url


class EnvironmentConfig(Document, frozen=True):
    variables: dict[str, str] = msgspec.field(default_factory=dict)


class EtcFileConfig(Document, frozen=True):
    name: str
    mode: FileMode = FileMode(0o644)
    contents: str = ""


class EventSinkConfig(Document, frozen=True):
    endpoint: str = ""


class KernelModuleConfig(Document, frozen=True):
    name: str
    parameters: tuple[str, ...] = ()


class KmsgLogConfig(Document, frozen=True):
    name: str = ""
    url: Url = ""


class OOMConfig(Document, frozen=True):
    trigger_expression: str = ""
    cgroup_ranking_expression: str = ""
    strict_cgroup_class_ordering: bool | None = None
    sample_interval: Duration | None = None


class SecurityProfileConfig(Document, frozen=True):
    workload_isolation: bool | None = None


class SysctlConfig(Document, frozen=True):
    params: dict[str, str] = msgspec.field(default_factory=dict)


class SysfsConfig(Document, frozen=True):
    params: dict[str, str] = msgspec.field(default_factory=dict)


class UdevRulesConfig(Document, frozen=True):
    rules: tuple[str, ...] = ()


class InstallerSpec(Model, frozen=True):
    image: str = ""


class DiskSelectorSpec(Model, frozen=True):
    match: str = ""


class ProvisioningSpec(Model, frozen=True):
    disk_selector: DiskSelectorSpec | None = None
    wipe: bool | None = None


class UnattendedInstall(Document, frozen=True):
    reboot: bool | None = None
    installer: InstallerSpec | None = None
    provisioning: ProvisioningSpec | None = None


class WatchdogTimerConfig(Document, frozen=True):
    device: AbsolutePath = ""
    timeout: Duration | None = None
