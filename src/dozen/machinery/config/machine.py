"""Models of the v1alpha1 document's ``machine`` part: identity, disks, files, time, registries, features.

Names and types are those that v1alpha1 files in the field use. Where a separate document has taken a field's place
(`documents`), both are understood.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import msgspec

from dozen.machinery.config.model import Arguments, CertificateAndKey, CertificateOnly, Json, Model
from dozen.machinery.config.scalars import (
    AbsolutePath,
    Duration,
    FileMode,
    Hostname,
    IpAddress,
    NetworkOrNot,
    PemText,
    San,
    Secret,
    Token,
    Url,
)

if TYPE_CHECKING:
    from dozen.machinery.config.disks import Install, MachineDisk, SystemDiskEncryption
    from dozen.machinery.config.links import Interface

LATER = {
    "Install": "dozen.machinery.config.disks",
    "MachineDisk": "dozen.machinery.config.disks",
    "SystemDiskEncryption": "dozen.machinery.config.disks",
    "Interface": "dozen.machinery.config.links",
}


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


class ExtraHost(Model, frozen=True):
    ip: IpAddress
    aliases: tuple[str, ...] = ()


class KubeSpanFilters(Model, frozen=True):
    endpoints: tuple[NetworkOrNot, ...] = ()


class KubeSpan(Model, frozen=True):
    enabled: bool | None = None
    advertise_kubernetes_networks: bool | None = None
    allow_down_peer_bypass: bool | None = None
    harvest_extra_endpoints: bool | None = None
    mtu: int = 0
    filters: KubeSpanFilters | None = None


class MachineNetwork(Model, frozen=True):
    """``machine.network``."""

    hostname: Hostname = ""
    interfaces: tuple[Interface, ...] = ()
    nameservers: tuple[IpAddress, ...] = ()
    search_domains: tuple[Hostname, ...] = ()
    extra_host_entries: tuple[ExtraHost, ...] = ()
    kubespan: KubeSpan | None = None
    disable_search_domain: bool | None = None


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
