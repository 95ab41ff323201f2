"""Models of the v1alpha1 document's ``machine`` part: identity, disks, files, time, registries, features.

Names and types are those that v1alpha1 files in the field use. Where a separate document has taken a field's place
(`documents`), both are understood.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from dozen.machinery.config.links import MachineNetwork
from dozen.machinery.config.model import Arguments, CertificateAndKey, CertificateOnly, Json, Model
from dozen.machinery.config.scalars import (
    AbsolutePath,
    Duration,
    FileMode,
    NetworkOrNot,
    PemText,
    San,
    Secret,
    Size,
    Token,
    Url,
)


class Disabled(Model, frozen=True):
    disabled: bool = False


class MachineControlPlane(Model, frozen=True):
    controller_manager: Disabled = Disabled()
    scheduler: Disabled = Disabled()


class ExtraMount(Model, frozen=True):
    """A mount of an OCI runtime specification."""

    destination: AbsolutePath
    type: str = ""
    source: str = ""
    options: tuple[str, ...] = ()
    uid_mappings: Json = msgspec.field(name="uidMappings", default=None)
    gid_mappings: Json = msgspec.field(name="gidMappings", default=None)


class NodeIp(Model, frozen=True):
    valid_subnets: tuple[NetworkOrNot, ...] = ()


class Kubelet(Model, frozen=True):
    image: str = ""
    cluster_dns: tuple[str, ...] = msgspec.field(name="clusterDNS", default=())
    extra_args: Arguments = msgspec.field(default_factory=dict)
    extra_mounts: tuple[ExtraMount, ...] = ()
    extra_config: Json = None
    credential_provider_config: Json = None
    default_runtime_seccomp_profile_enabled: bool | None = None
    register_with_fqdn: bool = msgspec.field(name="registerWithFQDN", default=False)
    node_ip: NodeIp = msgspec.field(name="nodeIP", default=NodeIp())
    skip_node_registration: bool = False
    disable_manifests_directory: bool | None = None


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


class MachineFile(Model, frozen=True):
    path: AbsolutePath
    content: str = ""
    permissions: FileMode = FileMode(0o644)
    op: Literal["create", "append", "overwrite"] = "create"


class MachineTime(Model, frozen=True):
    disabled: bool | None = None
    servers: tuple[str, ...] = ()
    boot_timeout: Duration | None = None


class RegistryMirror(Model, frozen=True):
    endpoints: tuple[Url, ...] = ()
    override_path: bool | None = None
    skip_fallback: bool | None = None


class RegistryTls(Model, frozen=True):
    client_identity: CertificateAndKey | None = None
    ca: PemText = ""
    insecure_skip_verify: bool | None = None


class RegistryAuth(Model, frozen=True):
    username: str = ""
    password: Secret = Secret("")
    auth: Secret = Secret("")
    identity_token: Secret = Secret("")


class RegistryAccess(Model, frozen=True):
    tls: RegistryTls | None = None
    auth: RegistryAuth | None = None


class Registries(Model, frozen=True):
    mirrors: dict[str, RegistryMirror] = msgspec.field(default_factory=dict)
    config: dict[str, RegistryAccess] = msgspec.field(default_factory=dict)


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


class KubernetesApiAccess(Model, frozen=True):
    enabled: bool | None = None
    allowed_roles: tuple[str, ...] = ()
    allowed_kubernetes_namespaces: tuple[str, ...] = ()


class KubePrism(Model, frozen=True):
    enabled: bool | None = None
    port: int = 7445


class HostDns(Model, frozen=True):
    enabled: bool | None = None
    forward_kube_dns_to_host: bool | None = msgspec.field(name="forwardKubeDNSToHost", default=None)
    resolve_member_names: bool | None = None


class ImageCache(Model, frozen=True):
    local_enabled: bool | None = None


class Features(Model, frozen=True):
    rbac: bool | None = None
    stable_hostname: bool | None = None
    kubernetes_talos_api_access: KubernetesApiAccess | None = msgspec.field(
        name="kubernetesTalosAPIAccess", default=None
    )
    apid_check_ext_key_usage: bool | None = None
    disk_quota_support: bool | None = None
    kube_prism: KubePrism | None = None
    host_dns: HostDns | None = msgspec.field(name="hostDNS", default=None)
    image_cache: ImageCache | None = None
    node_address_sort_algorithm: Literal["v1", "v2"] = "v1"


class Udev(Model, frozen=True):
    rules: tuple[str, ...] = ()


class LoggingDestination(Model, frozen=True):
    endpoint: Url
    format: Literal["json_lines"] = "json_lines"
    extra_tags: dict[str, str] = msgspec.field(default_factory=dict)


class Logging(Model, frozen=True):
    destinations: tuple[LoggingDestination, ...] = ()


class KernelModule(Model, frozen=True):
    name: str
    parameters: tuple[str, ...] = ()


class Kernel(Model, frozen=True):
    modules: tuple[KernelModule, ...] = ()


class SeccompProfile(Model, frozen=True):
    name: str
    value: Json = None


class Machine(Model, frozen=True):
    """``machine``: what this computer is to be."""

    type: Literal["controlplane", "worker", "init", "join"]
    token: Token = Secret("")
    ca: CertificateAndKey = CertificateAndKey()
    accepted_cas: tuple[CertificateOnly, ...] = msgspec.field(name="acceptedCAs", default=())
    cert_sans: tuple[San, ...] = msgspec.field(name="certSANs", default=())
    control_plane: MachineControlPlane = MachineControlPlane()
    kubelet: Kubelet = Kubelet()
    pods: tuple[Json, ...] = ()
    network: MachineNetwork = MachineNetwork()
    disks: tuple[MachineDisk, ...] = ()
    install: Install | None = None
    files: tuple[MachineFile, ...] = ()
    env: dict[str, str] = msgspec.field(default_factory=dict)
    time: MachineTime = MachineTime()
    sysctls: dict[str, str] = msgspec.field(default_factory=dict)
    sysfs: dict[str, str] = msgspec.field(default_factory=dict)
    registries: Registries = Registries()
    system_disk_encryption: SystemDiskEncryption | None = None
    features: Features = Features()
    udev: Udev = Udev()
    logging: Logging = Logging()
    kernel: Kernel = Kernel()
    seccomp_profiles: tuple[SeccompProfile, ...] = ()
    base_runtime_spec_overrides: Json = None
    node_labels: dict[str, str] = msgspec.field(default_factory=dict)
    node_annotations: dict[str, str] = msgspec.field(default_factory=dict)
    node_taints: dict[str, str] = msgspec.field(default_factory=dict)
