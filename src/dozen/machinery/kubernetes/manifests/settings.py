"""From a machine configuration to what the manifests are made from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from dozen.machinery.resources.manifests import (
    BootstrapManifestsConfigSpec,
    ExtraManifest,
    ExtraManifestsConfigSpec,
    PodResources,
)

if TYPE_CHECKING:
    from dozen.machinery.config import Config
    from dozen.machinery.kubernetes.manifests import Trust

# The order among manifests of the configuration: what brings the network or the cloud before what users want to run.
NETWORK, CLOUD, OTHERS = "05", "30", "99"


def bootstrap_settings(config: Config) -> BootstrapManifestsConfigSpec:
    """What a configuration says about the system's own manifests."""
    from dozen.machinery.config import effective, kubernetes, kubernetes_node

    network, cni = kubernetes.network(config), kubernetes.cni(config)
    proxy, dns = kubernetes.proxy(config), kubernetes.core_dns(config)
    # Its programs are on every node, and have the way there that every node has.
    server = kubernetes.kube_prism_server(config) or effective.cluster_endpoint(config)
    host, port = _host_and_port(server)
    addresses = kubernetes.dns_service_addresses(config)
    return BootstrapManifestsConfigSpec(
        server=server,
        cluster_domain=network.dns_domain,
        pod_cidrs=network.pod_subnets,
        proxy_enabled=proxy.enabled,
        proxy_image=proxy.image,
        proxy_args=(f"--proxy-mode={kubernetes.proxy_mode(config)}", *_flags(proxy.extra_args)),
        proxy_config=proxy.config,
        proxy_resources=_resources(proxy.resources),
        core_dns_enabled=dns.enabled,
        core_dns_image=dns.image,
        dns_service_ip=next((each for each in addresses if ":" not in each), ""),
        dns_service_ipv6=next((each for each in addresses if ":" in each), ""),
        flannel_enabled=cni.name == "flannel",
        flannel_image=cni.image,
        flannel_extra_args=cni.extra_args,
        flannel_kube_service_host=host,
        flannel_kube_service_port=port,
        flannel_backend_type=cni.backend_type,
        flannel_backend_port=cni.backend_port,
        flannel_backend_mtu=cni.backend_mtu,
        flannel_backend_extra=cni.backend_extra,
        flannel_resources=_resources(cni.resources),
        cni_name=cni.name,
        talos_api_service=kubernetes_node.api_access(config) is not None,
    )


def extra_settings(config: Config) -> ExtraManifestsConfigSpec:
    """The manifests that a configuration brings itself: fetched ones, then those given in it."""
    from dozen.machinery.config import kubernetes, kubernetes_node

    network = set(kubernetes.cni(config).urls)
    cloud = set(config.cluster.external_cloud_provider.manifests) if config.cluster else set()
    found = [
        ExtraManifest(
            name=each.name,
            url=each.url,
            priority=NETWORK if each.url in network else CLOUD if each.url in cloud else OTHERS,
            extra_headers=each.headers,
        )
        for each in kubernetes_node.extra_manifests(config)
    ]
    found += [
        ExtraManifest(name=each.name, priority=OTHERS, inline_manifest=each.contents)
        for each in kubernetes_node.inline_manifests(config)
    ]
    return ExtraManifestsConfigSpec(extra_manifests=tuple(found))


def trust_settings(config: Config) -> Trust:
    """What those who join the cluster are given."""
    from dozen.machinery.config import kubernetes, kubernetes_secrets
    from dozen.machinery.kubernetes.manifests import Trust

    return Trust(ca=kubernetes_secrets.kubernetes_ca(config).trusted, token=kubernetes.bootstrap_token(config).reveal())


def _flags(arguments: dict[str, tuple[str, ...]]) -> list[str]:
    return [f"--{name}={value}" for name, values in arguments.items() for value in values]


def _resources(said: dict[str, Any]) -> PodResources:
    return PodResources(
        requests={name: str(value) for name, value in (said.get("requests") or {}).items()},
        limits={name: str(value) for name, value in (said.get("limits") or {}).items()},
    )


def _host_and_port(url: str) -> tuple[str, str]:
    parts = urlsplit(url)
    return parts.hostname or "", str(parts.port or 443) if parts.hostname else ""
