"""Documents about Kubernetes: one per component, what the long ``cluster`` part used to hold."""

from __future__ import annotations

from typing import Literal

import msgspec

from dozen.machinery.config.model import Arguments, CertificateAndKey, Document, Json, Model
from dozen.machinery.config.scalars import Network, NetworkOrNot, San, Secret, Url


class KubeAdmissionControlConfig(Document, frozen=True):
    name: str = ""
    configuration: Json = None


class KubeAggregatorCAConfig(Document, frozen=True):
    issuing_ca: CertificateAndKey = msgspec.field(name="issuingCA", default=CertificateAndKey())
    accepted_cas: tuple[str, ...] = msgspec.field(name="acceptedCAs", default=())


class KubeAPIServerConfig(Document, frozen=True):
    image: str
    extra_args: Arguments = msgspec.field(default_factory=dict)
    env: dict[str, str] = msgspec.field(default_factory=dict)
    resources: Json = None
    api_port: int = 0
    cert_extra_sans: tuple[San, ...] = msgspec.field(name="certExtraSANs", default=())
    startup_probes: bool | None = None


class KubeAPIServerCAConfig(Document, frozen=True):
    issuing_ca: CertificateAndKey = msgspec.field(name="issuingCA", default=CertificateAndKey())
    accepted_cas: tuple[str, ...] = msgspec.field(name="acceptedCAs", default=())


class KubeAuditPolicyConfig(Document, frozen=True):
    configuration: Json = None


class KubeAuthenticationConfig(Document, frozen=True):
    configuration: Json = None


class KubeAuthorizerConfig(Document, frozen=True):
    name: str = ""
    type: Literal["Node", "RBAC", "Webhook"] | None = None
    webhook: Json = None


class KubeClusterConfig(Document, frozen=True):
    cluster_name: str
    endpoint: Url


class KubeControllerManagerConfig(Document, frozen=True):
    image: str
    enabled: bool | None = None
    extra_args: Arguments = msgspec.field(default_factory=dict)
    env: dict[str, str] = msgspec.field(default_factory=dict)
    resources: Json = None


class KubeCoreDNSConfig(Document, frozen=True):
    enabled: bool | None = None
    image: str = ""


class KubeCredentialProviderConfig(Document, frozen=True):
    configuration: Json = None


class KubeEtcdEncryptionConfig(Document, frozen=True):
    config: Json = None


class KubeExternalManifestConfig(Document, frozen=True):
    name: str
    url: Url
    headers: dict[str, str] = msgspec.field(default_factory=dict)


class KubeFlannelCNIConfig(Document, frozen=True):
    backend_type: str = ""
    backend_port: int = 0
    backend_mtu: int = msgspec.field(name="backendMTU", default=0)
    backend_extra_config: Json = None
    resources: Json = None
    extra_args: tuple[str, ...] = ()
    kube_network_policies_enabled: bool | None = None


class KubeInlineManifestConfig(Document, frozen=True):
    name: str
    manifest: str


class KubeletConfig(Document, frozen=True):
    image: str
    config: Json = None
    extra_args: Arguments = msgspec.field(default_factory=dict)
    cluster_dns: tuple[str, ...] = msgspec.field(name="clusterDNS", default=())
    default_runtime_seccomp_profile_enabled: bool | None = None


class KubePrismConfig(Document, frozen=True):
    port: int
    tls_server_name: str = ""


class KubeNetworkConfig(Document, frozen=True):
    pod_subnets: tuple[Network, ...]
    service_subnets: tuple[Network, ...]
    dns_domain: str = ""
    node_cidr_mask_size_ipv4: int = msgspec.field(name="nodeCIDRMaskSizeIPv4", default=0)
    node_cidr_mask_size_ipv6: int = msgspec.field(name="nodeCIDRMaskSizeIPv6", default=0)


class NodeIpConfig(Model, frozen=True):
    valid_subnets: tuple[NetworkOrNot, ...] = ()


class KubeNodeConfig(Document, frozen=True):
    skip_node_registration: bool | None = None
    register_with_fqdn: bool | None = msgspec.field(name="registerWithFQDN", default=None)
    node_ip: NodeIpConfig | None = msgspec.field(name="nodeIP", default=None)
    labels: dict[str, str] = msgspec.field(default_factory=dict)
    annotations: dict[str, str] = msgspec.field(default_factory=dict)
    taints: dict[str, str] = msgspec.field(default_factory=dict)


class KubeProxyConfig(Document, frozen=True):
    image: str
    enabled: bool | None = None
    mode: str = ""
    config: Json = None
    extra_args: Arguments = msgspec.field(default_factory=dict)
    resources: Json = None


class KubeSchedulerConfig(Document, frozen=True):
    image: str
    enabled: bool | None = None
    config: Json = None
    extra_args: Arguments = msgspec.field(default_factory=dict)
    env: dict[str, str] = msgspec.field(default_factory=dict)
    resources: Json = None


class IssuerServiceAccountConfig(Model, frozen=True):
    private_key: Secret = Secret("")
    issuer_url: str = msgspec.field(name="issuerURL", default="")


class AcceptedServiceAccountConfig(Model, frozen=True):
    public_keys: tuple[str, ...] = ()
    issuers: tuple[str, ...] = ()
    audiences: tuple[str, ...] = ()


class KubeServiceAccountConfig(Document, frozen=True):
    issuer: IssuerServiceAccountConfig
    accepted: AcceptedServiceAccountConfig | None = None


class KubeStaticPodConfig(Document, frozen=True):
    name: str
    pod: Json


class KubeTalosAPIAccessConfig(Document, frozen=True):
    allowed_roles: tuple[str, ...] = ()
    allowed_kubernetes_namespaces: tuple[str, ...] = ()
