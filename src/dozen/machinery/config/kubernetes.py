"""What a configuration says about Kubernetes: one function for each subject, one typed answer, defaults filled in.

Two forms say the same: the v1alpha1 document's ``cluster`` and ``machine.kubelet`` parts, and the documents that have
taken their places (`documents.k8s`). Where a document is there, it decides; where both can add up (arguments, labels,
manifests) the document wins over the older field. Images that nobody named are those of
`dozen.machinery.kubernetes.versions`. Whoever renders arguments, pods or manifests reads nothing but these answers.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from dozen.machinery.config.effective import find_document, find_documents
from dozen.machinery.config.loading import Config
from dozen.machinery.config.model import Arguments, Json
from dozen.machinery.config.scalars import Secret, network_bounds
from dozen.machinery.kubernetes import versions

API_PORT = 6443
DEFAULT_POD_SUBNETS = ("10.244.0.0/16",)
DEFAULT_SERVICE_SUBNETS = ("10.96.0.0/12",)
DEFAULT_DNS_DOMAIN = "cluster.local"

Args = dict[str, tuple[str, ...]]
"""Flags of a program without their dashes: name → the values it is given with, one flag each."""


class Volume(msgspec.Struct, frozen=True):
    """A directory of the host in a static pod."""

    host_path: str
    mount_path: str
    readonly: bool = False
    name: str = ""


class Component(msgspec.Struct, frozen=True):
    """A program of the control plane, as a static pod or, for the proxy, a daemon on every node.

    ``resources`` is a pod's ``resources`` (``requests``, ``limits``), empty when nothing is said. ``config`` is the
    program's own configuration file as data (scheduler, proxy), empty for the default one.
    """

    image: str
    enabled: bool = True
    extra_args: Args = {}
    env: dict[str, str] = {}
    extra_volumes: tuple[Volume, ...] = ()
    resources: dict[str, Any] = {}
    config: dict[str, Any] = {}


class ApiServer(msgspec.Struct, frozen=True):
    """kube-apiserver: ``program`` as for the others, names for its certificate, the port on the node."""

    program: Component
    cert_sans: tuple[str, ...] = ()
    port: int = API_PORT
    startup_probes: bool = True


class ClusterNetwork(msgspec.Struct, frozen=True):
    """Subnets in the order IPv4/IPv6 that the configuration gives; mask sizes are 0 for Kubernetes' defaults."""

    pod_subnets: tuple[str, ...] = DEFAULT_POD_SUBNETS
    service_subnets: tuple[str, ...] = DEFAULT_SERVICE_SUBNETS
    dns_domain: str = DEFAULT_DNS_DOMAIN
    node_mask_ipv4: int = 0
    node_mask_ipv6: int = 0

    @property
    def inside(self) -> tuple[str, ...]:
        """All that is of pods and services. Such addresses live on nodes too, and are no way to one."""
        return (*self.pod_subnets, *self.service_subnets)


class Cni(msgspec.Struct, frozen=True):
    """``name``: flannel, custom (``urls`` are manifests) or none. The rest is flannel's."""

    name: str = "flannel"
    urls: tuple[str, ...] = ()
    image: str = ""
    extra_args: tuple[str, ...] = ()
    network_policies: bool = False
    backend_type: str = "vxlan"
    backend_port: int = 0
    backend_mtu: int = 0
    backend_extra: dict[str, Any] = {}
    resources: dict[str, Any] = {}


class AdmissionPlugin(msgspec.Struct, frozen=True):
    name: str
    configuration: dict[str, Any]


class Authorizer(msgspec.Struct, frozen=True):
    """An entry of the API server's AuthorizationConfiguration; ``webhook`` is its data for the type Webhook."""

    type: str
    name: str
    webhook: dict[str, Any] = {}


def cluster_id(config: Config) -> str:
    document = find_document(config, "DiscoveryIdentityConfig")
    return (document.cluster_id if document else "") or (config.cluster.id if config.cluster else "")


def cluster_secret(config: Config) -> Secret:
    document = find_document(config, "DiscoveryIdentityConfig")
    said = document.cluster_secret if document else config.cluster.secret if config.cluster else None
    return said or Secret("")


def is_control_plane(config: Config) -> bool:
    return config.machine_type == "controlplane"


def local_api_port(config: Config) -> int:
    """The port that this node's API server listens on."""
    document = find_document(config, "KubeAPIServerConfig")
    if document and document.api_port:
        return int(document.api_port)
    return config.cluster.control_plane.local_api_server_port if config.cluster else API_PORT


def bootstrap_token(config: Config) -> Secret:
    """What kubelets of workers ask for their first certificate with; form ``id.secret``."""
    return config.cluster.token if config.cluster else Secret("")


def network(config: Config) -> ClusterNetwork:
    document = find_document(config, "KubeNetworkConfig")
    if document:
        return ClusterNetwork(
            document.pod_subnets or DEFAULT_POD_SUBNETS,
            document.service_subnets or DEFAULT_SERVICE_SUBNETS,
            document.dns_domain or DEFAULT_DNS_DOMAIN,
            document.node_cidr_mask_size_ipv4,
            document.node_cidr_mask_size_ipv6,
        )
    if not config.cluster:
        return ClusterNetwork()
    said = config.cluster.network
    return ClusterNetwork(
        said.pod_subnets or DEFAULT_POD_SUBNETS,
        said.service_subnets or DEFAULT_SERVICE_SUBNETS,
        said.dns_domain or DEFAULT_DNS_DOMAIN,
    )


def api_service_addresses(config: Config) -> tuple[str, ...]:
    """Where the Service ``kubernetes`` is: the first address of each service subnet."""
    return tuple(_nth_address(subnet, 1) for subnet in network(config).service_subnets)


def dns_service_addresses(config: Config) -> tuple[str, ...]:
    """Where the cluster's DNS is: what the kubelet is told, else the tenth address of each service subnet."""
    document = find_document(config, "KubeletConfig")
    said: tuple[str, ...] = document.cluster_dns if document else ()
    if not said and config.machine:
        said = config.machine.kubelet.cluster_dns
    return said or tuple(_nth_address(subnet, 10) for subnet in network(config).service_subnets)


def _nth_address(subnet: str, n: int) -> str:
    from _socket import AF_INET, AF_INET6, inet_ntop

    bounds = network_bounds(subnet)
    if bounds is None:
        return ""
    first, _, size = bounds
    return inet_ntop(AF_INET if size == 4 else AF_INET6, (first + n).to_bytes(size, "big"))


def cni(config: Config) -> Cni:
    document = find_document(config, "KubeFlannelCNIConfig")
    image = versions.FLANNEL_IMAGE
    if document:
        return Cni(
            image=image,
            extra_args=document.extra_args,
            network_policies=bool(document.kube_network_policies_enabled),
            backend_type=document.backend_type or "vxlan",
            backend_port=document.backend_port,
            backend_mtu=document.backend_mtu,
            backend_extra=data_of(document.backend_extra_config),
            resources=data_of(document.resources),
        )
    if not config.cluster:
        return Cni(image=image)
    said = config.cluster.network.cni
    # Those who describe the network in a document ask for flannel by its own document.
    if said.name == "flannel" and find_document(config, "KubeNetworkConfig"):
        return Cni("none", image=image)
    flannel = said.flannel
    return Cni(
        said.name,
        said.urls,
        image,
        flannel.extra_args if flannel else (),
        bool(flannel and flannel.kube_network_policies_enabled),
    )


def api_server(config: Config) -> ApiServer:
    said = config.cluster.api_server if config.cluster else None
    document = find_document(config, "KubeAPIServerConfig")
    sans = [*(said.cert_sans if said else ()), *(document.cert_extra_sans if document else ())]
    return ApiServer(
        _component(versions.KUBE_APISERVER_IMAGE, said, document),
        tuple(dict.fromkeys(sans)),
        local_api_port(config),
        not (document and document.startup_probes is False),
    )


def controller_manager(config: Config) -> Component:
    said = config.cluster.controller_manager if config.cluster else None
    off = bool(config.machine and config.machine.control_plane.controller_manager.disabled)
    document = find_document(config, "KubeControllerManagerConfig")
    return _component(versions.KUBE_CONTROLLER_MANAGER_IMAGE, said, document, off)


def scheduler(config: Config) -> Component:
    said = config.cluster.scheduler if config.cluster else None
    off = bool(config.machine and config.machine.control_plane.scheduler.disabled)
    return _component(versions.KUBE_SCHEDULER_IMAGE, said, find_document(config, "KubeSchedulerConfig"), off)


def proxy(config: Config) -> Component:
    """kube-proxy. Its mode is in ``proxy_mode``."""
    said = config.cluster.proxy if config.cluster else None
    document = find_document(config, "KubeProxyConfig")
    return _component(versions.KUBE_PROXY_IMAGE, said, document, bool(said and said.disabled))


def proxy_mode(config: Config) -> str:
    """``nftables`` unless the configuration wants another one."""
    document = find_document(config, "KubeProxyConfig")
    said = config.cluster.proxy.mode if config.cluster else ""
    return (document.mode if document else "") or said or "nftables"


def core_dns(config: Config) -> Component:
    said = config.cluster.core_dns if config.cluster else None
    document = find_document(config, "KubeCoreDNSConfig")
    return _component(versions.COREDNS_IMAGE, said, document, bool(said and said.disabled))


def _component(default_image: str, said: Any, document: Any, off: bool = False) -> Component:
    """Both forms of a component's settings as one; what either form has no field for keeps its default."""

    def value(name: str) -> Any:
        return getattr(document, name, None) or getattr(said, name, None)

    enabled = getattr(document, "enabled", None)
    return Component(
        image=value("image") or default_image,
        enabled=enabled if enabled is not None else not off,
        extra_args={**arguments(getattr(said, "extra_args", {})), **arguments(getattr(document, "extra_args", {}))},
        env={**(getattr(said, "env", None) or {}), **(getattr(document, "env", None) or {})},
        extra_volumes=tuple(
            Volume(each.host_path, each.mount_path, each.readonly, each.name)
            for each in getattr(said, "extra_volumes", ())
        ),
        resources=resources_of(value("resources")),
        config=data_of(value("config")),
    )


def arguments(said: Arguments | None) -> Args:
    return {name: value if isinstance(value, tuple) else (value,) for name, value in (said or {}).items()}


def resources_of(said: Any) -> dict[str, Any]:
    if isinstance(said, dict):
        return said
    parts = {"requests": getattr(said, "requests", None), "limits": getattr(said, "limits", None)}
    return {name: part for name, part in parts.items() if part}


def data_of(said: Json) -> dict[str, Any]:
    return dict(said) if isinstance(said, Mapping) else {}


def admission(config: Config) -> tuple[AdmissionPlugin, ...]:
    """Plug-ins of the API server with their configurations, by name; Pod Security at baseline unless said otherwise."""
    from dozen.machinery.config.kubernetes_defaults import POD_SECURITY

    said = config.cluster.api_server.admission_control if config.cluster else ()
    found = {"PodSecurity": POD_SECURITY} | {each.name: data_of(each.configuration) for each in said}
    for document in find_documents(config, "KubeAdmissionControlConfig"):
        found[document.name] = data_of(document.configuration)
    return tuple(AdmissionPlugin(name, configuration) for name, configuration in found.items())


def audit_policy(config: Config) -> dict[str, Any]:
    """An audit.k8s.io/v1 Policy; the default records who did what, without contents."""
    from dozen.machinery.config.kubernetes_defaults import AUDIT_POLICY

    document = find_document(config, "KubeAuditPolicyConfig")
    said = data_of(document.configuration) if document else {}
    return said or data_of(config.cluster.api_server.audit_policy if config.cluster else None) or AUDIT_POLICY


def authorizers(config: Config) -> tuple[Authorizer, ...]:
    """Node and RBAC first, then those of the configuration, in its order."""
    found = [Authorizer("Node", "node"), Authorizer("RBAC", "rbac")]
    for each in config.cluster.api_server.authorization_config if config.cluster else ():
        found.append(Authorizer(each.type, each.name, data_of(each.webhook)))
    for document in find_documents(config, "KubeAuthorizerConfig"):
        found.append(Authorizer(document.type or "Webhook", document.name, data_of(document.webhook)))
    return tuple({(each.type, each.name if each.type == "Webhook" else ""): each for each in found}.values())


def authentication(config: Config) -> dict[str, Any]:
    """The API server's AuthenticationConfiguration as data, empty when there is none."""
    document = find_document(config, "KubeAuthenticationConfig")
    return data_of(document.configuration) if document else {}


def external_cloud_provider(config: Config) -> bool:
    return bool(config.cluster and config.cluster.external_cloud_provider.enabled)


def kube_prism_port(config: Config) -> int:
    """The port on 127.0.0.1 where every node balances over all API servers; 0: not wanted."""
    document = find_document(config, "KubePrismConfig")
    if document:
        return int(document.port)
    said = config.machine.features.kube_prism if config.machine else None
    return said.port if said and said.enabled else 0


def kube_prism_server(config: Config) -> str:
    """The URL of that way, empty when it is not wanted."""
    port = kube_prism_port(config)
    return f"https://127.0.0.1:{port}" if port else ""


def kube_prism_server_name(config: Config) -> str:
    """The name that API servers behind that way show, if not the address's own."""
    document = find_document(config, "KubePrismConfig")
    return document.tls_server_name if document else ""
