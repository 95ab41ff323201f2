"""Models of the v1alpha1 document's ``cluster`` part, and the document itself.

What is passed to Kubernetes' own programs (scheduler configuration, audit policy, admission plug-ins, manifests) is
kept as data and not judged here.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from dozen.machinery.config.machine import Machine
from dozen.machinery.config.model import Arguments, CertificateAndKey, CertificateOnly, Json, Model, SecretKey
from dozen.machinery.config.scalars import Duration, Hostname, Network, NetworkOrNot, San, Secret, Token, Url


class ControlPlane(Model, frozen=True):
    """``endpoint``: how everybody reaches the Kubernetes API, a URL."""

    endpoint: Url = ""
    local_api_server_port: int = msgspec.field(name="localAPIServerPort", default=6443)


class FlannelCni(Model, frozen=True):
    extra_args: tuple[str, ...] = ()
    kube_network_policies_enabled: bool | None = None


class Cni(Model, frozen=True):
    name: Literal["flannel", "custom", "none"] = "flannel"
    urls: tuple[str, ...] = ()
    flannel: FlannelCni | None = None


class ClusterNetwork(Model, frozen=True):
    cni: Cni = Cni()
    dns_domain: Hostname = "cluster.local"
    pod_subnets: tuple[Network, ...] = ("10.244.0.0/16",)
    service_subnets: tuple[Network, ...] = ("10.96.0.0/12",)


class VolumeMount(Model, frozen=True):
    host_path: str = ""
    mount_path: str = ""
    readonly: bool = False
    name: str = ""


class Resources(Model, frozen=True):
    requests: Json = None
    limits: Json = None


class AdmissionPlugin(Model, frozen=True):
    name: str
    configuration: Json = None


class Authorizer(Model, frozen=True):
    type: str
    name: str = ""
    webhook: Json = None


class ApiServer(Model, frozen=True):
    image: str = ""
    extra_args: Arguments = msgspec.field(default_factory=dict)
    extra_volumes: tuple[VolumeMount, ...] = ()
    env: dict[str, str] = msgspec.field(default_factory=dict)
    cert_sans: tuple[San, ...] = msgspec.field(name="certSANs", default=())
    disable_pod_security_policy: bool | None = None
    admission_control: tuple[AdmissionPlugin, ...] = ()
    audit_policy: Json = None
    resources: Resources | None = None
    authorization_config: tuple[Authorizer, ...] = ()


class ControllerManager(Model, frozen=True):
    image: str = ""
    extra_args: Arguments = msgspec.field(default_factory=dict)
    extra_volumes: tuple[VolumeMount, ...] = ()
    env: dict[str, str] = msgspec.field(default_factory=dict)
    resources: Resources | None = None


class Proxy(Model, frozen=True):
    disabled: bool | None = None
    image: str = ""
    mode: str = ""
    extra_args: Arguments = msgspec.field(default_factory=dict)


class Scheduler(Model, frozen=True):
    image: str = ""
    extra_args: Arguments = msgspec.field(default_factory=dict)
    extra_volumes: tuple[VolumeMount, ...] = ()
    env: dict[str, str] = msgspec.field(default_factory=dict)
    resources: Resources | None = None
    config: Json = None


class DiscoveryKubernetes(Model, frozen=True):
    disabled: bool | None = None


class DiscoveryService(Model, frozen=True):
    disabled: bool | None = None
    endpoint: str = ""


class DiscoveryRegistries(Model, frozen=True):
    kubernetes: DiscoveryKubernetes = DiscoveryKubernetes()
    service: DiscoveryService = DiscoveryService()


class Discovery(Model, frozen=True):
    enabled: bool | None = None
    registries: DiscoveryRegistries = DiscoveryRegistries()


class Etcd(Model, frozen=True):
    image: str = ""
    ca: CertificateAndKey = CertificateAndKey()
    extra_args: Arguments = msgspec.field(default_factory=dict)
    subnet: NetworkOrNot = ""
    advertised_subnets: tuple[NetworkOrNot, ...] = ()
    listen_subnets: tuple[NetworkOrNot, ...] = ()


class CoreDns(Model, frozen=True):
    disabled: bool | None = None
    image: str = ""


class ExternalCloudProvider(Model, frozen=True):
    enabled: bool | None = None
    manifests: tuple[str, ...] = ()


class InlineManifest(Model, frozen=True):
    name: str
    contents: str = ""


class AdminKubeconfig(Model, frozen=True):
    cert_lifetime: Duration = Duration(8760 * 3600)


class Cluster(Model, frozen=True):
    """``cluster``: what all machines of a cluster have in common, and its authorities."""

    id: str = ""
    secret: Secret = Secret("")
    control_plane: ControlPlane = ControlPlane()
    cluster_name: str = ""
    network: ClusterNetwork = ClusterNetwork()
    token: Token = Secret("")
    aescbc_encryption_secret: Secret = Secret("")
    secretbox_encryption_secret: Secret = Secret("")
    ca: CertificateAndKey = CertificateAndKey()
    accepted_cas: tuple[CertificateOnly, ...] = msgspec.field(name="acceptedCAs", default=())
    aggregator_ca: CertificateAndKey = msgspec.field(name="aggregatorCA", default=CertificateAndKey())
    service_account: SecretKey = SecretKey()
    api_server: ApiServer = ApiServer()
    controller_manager: ControllerManager = ControllerManager()
    proxy: Proxy = Proxy()
    scheduler: Scheduler = Scheduler()
    discovery: Discovery = Discovery()
    etcd: Etcd = Etcd()
    core_dns: CoreDns = msgspec.field(name="coreDNS", default=CoreDns())
    external_cloud_provider: ExternalCloudProvider = ExternalCloudProvider()
    extra_manifests: tuple[Url, ...] = ()
    extra_manifest_headers: dict[str, str] = msgspec.field(default_factory=dict)
    inline_manifests: tuple[InlineManifest, ...] = ()
    admin_kubeconfig: AdminKubeconfig = AdminKubeconfig()
    allow_scheduling_on_control_planes: bool | None = None
    allow_scheduling_on_masters: bool | None = None


class V1Alpha1(Model, frozen=True):
    """The main document: it has ``version: v1alpha1`` and no kind."""

    version: Literal["v1alpha1"]
    machine: Machine
    cluster: Cluster = Cluster()
    debug: bool = False
    persist: bool | None = None
