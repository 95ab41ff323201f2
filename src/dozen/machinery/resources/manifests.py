"""What a control plane puts into its cluster, and what this node is to carry as a member of it."""

from __future__ import annotations

from collections.abc import Mapping

from dozen.machinery.resource import NO_LABELS, Kind, Sensitivity
from dozen.machinery.resources.spec import Spec

# Ids of the resources that there is one of.
BOOTSTRAP, EXTRA, STATUS = "manifests", "extra-manifests", "manifests"


class ManifestItem(Spec):
    """One Kubernetes object."""

    object: Mapping[str, object] = NO_LABELS

    WIRE = "1 object json"


class ManifestSpec(Spec):
    """Objects that belong together; the id begins with a number, in whose order manifests are applied."""

    items: tuple[ManifestItem, ...] = ()

    WIRE = "1 items [ManifestItem]"


MANIFEST = Kind(
    "Manifests.kubernetes.talos.dev",
    "controlplane",
    ManifestSpec,
    "Manifest",
    aliases=("manifest",),
    # The token that lets machines join is among them, and what users put into theirs often is secret too.
    sensitivity=Sensitivity.SENSITIVE,
)


class ManifestStatusSpec(Spec):
    """Ids of the manifests that the API server has taken as they are now; id ``manifests``."""

    manifests_applied: tuple[str, ...] = ()

    WIRE = "1 manifestsApplied [string]"


MANIFEST_STATUS = Kind(
    "ManifestStatuses.kubernetes.talos.dev",
    "controlplane",
    ManifestStatusSpec,
    "ManifestStatus",
    aliases=("manifeststatus", "ms"),
)


class PodResources(Spec):
    """What a container asks for and may use at most."""

    requests: Mapping[str, str] = NO_LABELS
    limits: Mapping[str, str] = NO_LABELS

    WIRE = "1 requests {string}, 2 limits {string}"


class BootstrapManifestsConfigSpec(Spec):
    """What the manifests of the system itself are made from; id ``manifests``.

    ``proxy_args`` and ``flannel_extra_args`` are flags as they are written on a command line.
    """

    server: str = ""
    cluster_domain: str = ""
    pod_cidrs: tuple[str, ...] = ()
    proxy_enabled: bool = False
    proxy_image: str = ""
    proxy_args: tuple[str, ...] = ()
    proxy_config: Mapping[str, object] = NO_LABELS
    proxy_config_checksum: str = ""
    proxy_resources: PodResources = PodResources()
    core_dns_enabled: bool = False
    core_dns_image: str = ""
    dns_service_ip: str = ""
    dns_service_ipv6: str = ""
    flannel_enabled: bool = False
    flannel_image: str = ""
    flannel_extra_args: tuple[str, ...] = ()
    flannel_kube_service_host: str = ""
    flannel_kube_service_port: str = ""
    flannel_network_policies: bool = False
    flannel_network_policies_image: str = ""
    flannel_backend_type: str = ""
    flannel_backend_port: int = 0
    flannel_backend_mtu: int = 0
    flannel_backend_extra: Mapping[str, object] = NO_LABELS
    flannel_resources: PodResources = PodResources()
    pod_security_policy: bool = False
    talos_api_service: bool = False
    cni_name: str = ""

    WIRE = """
        1 string string, 2 clusterDomain string, 3 podCIDRs [string], 4 proxyEnabled bool, 5 proxyImage string,
        6 proxyArgs [string], 27 proxyConfig json, 29 proxyConfigChecksum string, 28 proxyResources PodResources,
        7 coreDNSEnabled bool, 8 coreDNSImage string, 9 dnsServiceIP string, 10 dnsServiceIPv6 string,
        11 flannelEnabled bool, 12 flannelImage string, 16 flannelExtraArgs [string],
        17 flannelKubeServiceHost string, 18 flannelKubeServicePort string,
        19 flannelKubeNetworkPoliciesEnabled bool, 20 flannelKubeNetworkPoliciesImage string,
        23 flannelBackendType string, 24 flannelBackendPort uint32, 22 flannelBackendMTU uint32,
        26 flannelBackendExtraConfig json, 25 flannelResources PodResources, 14 podSecurityPolicyEnabled bool,
        15 talosAPIServiceEnabled bool, 21 cniName string
    """


BOOTSTRAP_MANIFESTS_CONFIG = Kind(
    "BootstrapManifestsConfigs.kubernetes.talos.dev",
    "controlplane",
    BootstrapManifestsConfigSpec,
    "BootstrapManifestsConfig",
    aliases=("bootstrapmanifestsconfig", "bmc", "bmcs"),
)


class ExtraManifest(Spec):
    """A manifest that the configuration names: its text, or the URL that it is fetched from."""

    name: str = ""
    url: str = ""
    priority: str = ""
    extra_headers: Mapping[str, str] = NO_LABELS
    inline_manifest: str = ""

    WIRE = """
        1 name string, 2 url string, 3 priority string, 4 extraHeaders {string}, 5 inlineManifest string
    """

    @property
    def id(self) -> str:
        """The id that its `Manifest` has."""
        return f"{self.priority}-{self.name}"


class ExtraManifestsConfigSpec(Spec):
    """Everything beside the system's own; id ``extra-manifests``."""

    extra_manifests: tuple[ExtraManifest, ...] = ()

    WIRE = "1 extraManifests [ExtraManifest]"


EXTRA_MANIFESTS_CONFIG = Kind(
    "ExtraManifestsConfigs.kubernetes.talos.dev",
    "controlplane",
    ExtraManifestsConfigSpec,
    "ExtraManifestsConfig",
    aliases=("extramanifestsconfig", "emc", "emcs"),
    # Headers carry credentials, and inline manifests hold secrets.
    sensitivity=Sensitivity.SENSITIVE,
)


class NodeLabelSpec(Spec):
    """A label that this node is to have; the id is its key."""

    key: str = ""
    value: str = ""

    WIRE = "1 key string, 2 value string"


class NodeAnnotationSpec(Spec):
    """An annotation that this node is to have; the id is its key."""

    key: str = ""
    value: str = ""

    WIRE = "1 key string, 2 value string"


class NodeTaintSpec(Spec):
    """A taint that this node is to have; the id is its key."""

    key: str = ""
    effect: str = ""
    value: str = ""

    WIRE = "1 key string, 2 effect string, 3 value string"


NODE_LABEL = Kind(
    "NodeLabelSpecs.k8s.talos.dev",
    "k8s",
    NodeLabelSpec,
    "NodeLabelSpec",
    aliases=("nodelabelspec", "nls"),
    columns=(("Value", "{.value}"),),
    sensitivity=Sensitivity.SENSITIVE,
)
NODE_ANNOTATION = Kind(
    "NodeAnnotationSpecs.k8s.talos.dev",
    "k8s",
    NodeAnnotationSpec,
    "NodeAnnotationSpec",
    aliases=("nodeannotationspec", "nas"),
    columns=(("Value", "{.value}"),),
    sensitivity=Sensitivity.SENSITIVE,
)
NODE_TAINT = Kind(
    "NodeTaintSpecs.k8s.talos.dev",
    "k8s",
    NodeTaintSpec,
    "NodeTaintSpec",
    aliases=("nodetaintspec", "nts"),
    columns=(("Effect", "{.effect}"), ("Value", "{.value}")),
    sensitivity=Sensitivity.SENSITIVE,
)
