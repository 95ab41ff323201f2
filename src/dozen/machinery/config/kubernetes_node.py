"""What a configuration says about this node's part in Kubernetes: kubelet, labels and taints, etcd, pods, manifests."""

from __future__ import annotations

from typing import Any

import msgspec

from dozen.machinery.config.effective import find_document, find_documents
from dozen.machinery.config.kubernetes import Args, arguments, data_of, dns_service_addresses, is_control_plane
from dozen.machinery.config.loading import Config
from dozen.machinery.kubernetes import versions

CONTROL_PLANE_ROLE = "node-role.kubernetes.io/control-plane"
NO_SCHEDULE = ":NoSchedule"


class Kubelet(msgspec.Struct, frozen=True):
    """``extra_config`` is laid over the KubeletConfiguration that the node renders; ``extra_mounts`` are mounts of an
    OCI runtime specification; ``credential_providers`` is a CredentialProviderConfig as data."""

    image: str
    cluster_dns: tuple[str, ...] = ()
    extra_args: Args = {}
    extra_mounts: tuple[dict[str, Any], ...] = ()
    extra_config: dict[str, Any] = {}
    credential_providers: dict[str, Any] = {}
    seccomp_default: bool = True
    manifests_directory: bool = True


class Node(msgspec.Struct, frozen=True):
    """How this node registers itself. Taints are by key, as ``value:Effect`` or ``:Effect``; a control plane that takes
    no pods has its own taint among them, and its role's label among the labels. ``valid_subnets`` say which of the
    machine's addresses are the node's (``!`` excludes)."""

    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}
    taints: dict[str, str] = {}
    valid_subnets: tuple[str, ...] = ()
    skip_registration: bool = False
    register_with_fqdn: bool = False


class EtcdSettings(msgspec.Struct, frozen=True):
    """Subnets say which addresses etcd advertises and listens on (none: the node's own, and all)."""

    image: str
    extra_args: Args = {}
    advertised_subnets: tuple[str, ...] = ()
    listen_subnets: tuple[str, ...] = ()


class ApiAccess(msgspec.Struct, frozen=True):
    """Which roles of the machine API pods of which namespaces may have."""

    roles: tuple[str, ...] = ()
    namespaces: tuple[str, ...] = ()


class Manifest(msgspec.Struct, frozen=True):
    """Something to be applied at the bootstrap: text given in the configuration, or a URL to get it from."""

    name: str
    contents: str = ""
    url: str = ""
    headers: dict[str, str] = {}


class Pod(msgspec.Struct, frozen=True):
    """A static pod of the configuration, as data."""

    name: str
    pod: dict[str, Any]


def kubelet(config: Config) -> Kubelet:
    document = find_document(config, "KubeletConfig")
    said = config.machine.kubelet if config.machine else None
    providers = find_document(config, "KubeCredentialProviderConfig")
    seccomp = [each.default_runtime_seccomp_profile_enabled for each in (document, said) if each]
    return Kubelet(
        image=(document.image if document else "") or (said.image if said else "") or versions.KUBELET_IMAGE,
        cluster_dns=dns_service_addresses(config),
        extra_args={
            **arguments(said.extra_args if said else {}),
            **arguments(document.extra_args if document else {}),
        },
        extra_mounts=tuple(_mount(each) for each in said.extra_mounts) if said else (),
        extra_config={
            **data_of(said.extra_config if said else None),
            **data_of(document.config if document else None),
        },
        credential_providers=data_of(providers.configuration if providers else None)
        or data_of(said.credential_provider_config if said else None),
        seccomp_default=next((each for each in seccomp if each is not None), True),
        manifests_directory=not (said and said.disable_manifests_directory),
    )


def _mount(said: Any) -> dict[str, Any]:
    mount = {"destination": said.destination, "type": said.type, "source": said.source, "options": list(said.options)}
    mount |= {"uidMappings": said.uid_mappings, "gidMappings": said.gid_mappings}
    return {name: value for name, value in mount.items() if value}


def schedules_on_control_planes(config: Config) -> bool:
    """Whether a control plane takes ordinary pods too."""
    cluster = config.cluster
    return bool(cluster and (cluster.allow_scheduling_on_control_planes or cluster.allow_scheduling_on_masters))


def node(config: Config) -> Node:
    document = find_document(config, "KubeNodeConfig")
    machine = config.machine
    labels = {**(machine.node_labels if machine else {}), **(document.labels if document else {})}
    taints = {**(machine.node_taints if machine else {}), **(document.taints if document else {})}
    if is_control_plane(config):
        labels.setdefault(CONTROL_PLANE_ROLE, "")
        # The document lists every taint there is to be; the older form leaves the role's own to a switch.
        if not document and not schedules_on_control_planes(config):
            taints.setdefault(CONTROL_PLANE_ROLE, NO_SCHEDULE)
    said = machine.kubelet if machine else None
    subnets = document.node_ip.valid_subnets if document and document.node_ip else ()
    skip = document.skip_node_registration if document else None
    fqdn = document.register_with_fqdn if document else None
    return Node(
        labels=labels,
        annotations={**(machine.node_annotations if machine else {}), **(document.annotations if document else {})},
        taints={key: value if ":" in value else f":{value}" for key, value in taints.items()},
        valid_subnets=subnets or (said.node_ip.valid_subnets if said else ()),
        skip_registration=bool(said and said.skip_node_registration) if skip is None else skip,
        register_with_fqdn=bool(said and said.register_with_fqdn) if fqdn is None else fqdn,
    )


def etcd(config: Config) -> EtcdSettings:
    if not config.cluster:
        return EtcdSettings(versions.ETCD_IMAGE)
    said = config.cluster.etcd
    older = (said.subnet,) if said.subnet else ()
    return EtcdSettings(
        said.image or versions.ETCD_IMAGE,
        arguments(said.extra_args),
        said.advertised_subnets or older,
        said.listen_subnets,
    )


def static_pods(config: Config) -> tuple[Pod, ...]:
    """Pods of the configuration, under the names that they give themselves or the documents give them."""
    older = [data_of(each) for each in config.machine.pods] if config.machine else []
    found = [Pod(str(pod.get("metadata", {}).get("name", f"pod-{at}")), pod) for at, pod in enumerate(older)]
    found += [Pod(each.name, data_of(each.pod)) for each in find_documents(config, "KubeStaticPodConfig")]
    return tuple(found)


def inline_manifests(config: Config) -> tuple[Manifest, ...]:
    older = config.cluster.inline_manifests if config.cluster else ()
    found = {each.name: each.contents for each in older}
    found |= {each.name: each.manifest for each in find_documents(config, "KubeInlineManifestConfig")}
    return tuple(Manifest(name, contents=text) for name, text in found.items())


def extra_manifests(config: Config) -> tuple[Manifest, ...]:
    """Manifests to fetch: the cloud provider's, a custom CNI's, then the others."""
    found: dict[str, Manifest] = {}
    if cluster := config.cluster:
        urls = [*cluster.external_cloud_provider.manifests] if cluster.external_cloud_provider.enabled else []
        urls += cluster.network.cni.urls if cluster.network.cni.name == "custom" else ()
        found |= {url: Manifest(url, url=url) for url in urls}
        headers = dict(cluster.extra_manifest_headers)
        found |= {url: Manifest(url, url=url, headers=headers) for url in cluster.extra_manifests}
    for each in find_documents(config, "KubeExternalManifestConfig"):
        found[each.name] = Manifest(each.name, url=each.url, headers=dict(each.headers))
    return tuple(found.values())


def api_access(config: Config) -> ApiAccess | None:
    """Who in the cluster may speak with the machine API; None for nobody, and on workers."""
    if not is_control_plane(config):
        return None
    document = find_document(config, "KubeTalosAPIAccessConfig")
    if document is not None:
        return ApiAccess(document.allowed_roles, document.allowed_kubernetes_namespaces)
    said = config.machine.features.kubernetes_talos_api_access if config.machine else None
    if said is None or not said.enabled:
        return None
    return ApiAccess(said.allowed_roles, said.allowed_kubernetes_namespaces)
