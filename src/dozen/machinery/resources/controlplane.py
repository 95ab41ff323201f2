"""How the programs of the control plane are to run on this node: one resource for each, before it becomes a pod."""

from __future__ import annotations

from collections.abc import Mapping

from dozen.machinery.resource import NO_LABELS, Kind, Sensitivity
from dozen.machinery.resources.spec import Spec


class ExtraVolume(Spec):
    """A directory of the host in a static pod."""

    name: str = ""
    host_path: str = ""
    mount_path: str = ""
    readonly: bool = False

    WIRE = "1 name string, 2 hostPath string, 3 mountPath string, 4 readonly bool"


class ArgValues(Spec):
    """The values that a flag is given with."""

    values: tuple[str, ...] = ()

    WIRE = "1 values [string]"


class Resources(Spec):
    """What a container asks for and may use at most."""

    requests: Mapping[str, str] = NO_LABELS
    limits: Mapping[str, str] = NO_LABELS

    WIRE = "1 requests {string}, 2 limits {string}"


class APIServerConfigSpec(Spec):
    """id ``kube-apiserver``. ``args`` is the whole command line, ``extra_args`` what the configuration said of it."""

    image: str = ""
    cloud_provider: str = ""
    control_plane_endpoint: str = ""
    etcd_servers: tuple[str, ...] = ()
    local_port: int = 0
    service_cidr: tuple[str, ...] = ()
    extra_args: Mapping[str, ArgValues] = NO_LABELS  # type: ignore[assignment]
    args: tuple[str, ...] = ()
    extra_volumes: tuple[ExtraVolume, ...] = ()
    environment_variables: Mapping[str, str] = NO_LABELS
    advertised_address: str = ""
    resources: Resources = Resources()
    startup_probes_enabled: bool = False
    use_authentication_config: bool = False

    WIRE = """
        1 image string, 2 cloudProvider string, 3 controlPlaneEndpoint string, 4 etcdServers [string],
        5 localPort int64, 6 serviceCIDR [string], 13 extraArgs {ArgValues}, 16 args [string] omit,
        8 extraVolumes [ExtraVolume], 9 environmentVariables {string}, 11 advertisedAddress string,
        12 resources Resources, 14 startupProbesEnabled bool, 15 useAuthenticationConfig bool
    """


API_SERVER_CONFIG = Kind(
    "APIServerConfigs.kubernetes.talos.dev",
    "controlplane",
    APIServerConfigSpec,
    "APIServerConfig",
    aliases=("apiserverconfig", "apisc", "apiscs"),
    sensitivity=Sensitivity.SENSITIVE,
)


class ControllerManagerConfigSpec(Spec):
    """id ``kube-controller-manager``."""

    enabled: bool = False
    image: str = ""
    cloud_provider: str = ""
    pod_cidrs: tuple[str, ...] = ()
    service_cidrs: tuple[str, ...] = ()
    extra_args: Mapping[str, ArgValues] = NO_LABELS  # type: ignore[assignment]
    args: tuple[str, ...] = ()
    extra_volumes: tuple[ExtraVolume, ...] = ()
    environment_variables: Mapping[str, str] = NO_LABELS
    resources: Resources = Resources()
    node_mask_ipv4: int = 0
    node_mask_ipv6: int = 0

    WIRE = """
        1 enabled bool, 2 image string, 3 cloudProvider string, 4 podCIDRs [string], 5 serviceCIDRs [string],
        10 extraArgs {ArgValues} omit, 11 args [string] omit, 7 extraVolumes [ExtraVolume],
        8 environmentVariables {string}, 9 resources Resources, 12 nodeCIDRMaskSizeIPv4 int64,
        13 nodeCIDRMaskSizeIPv6 int64
    """


CONTROLLER_MANAGER_CONFIG = Kind(
    "ControllerManagerConfigs.kubernetes.talos.dev",
    "controlplane",
    ControllerManagerConfigSpec,
    "ControllerManagerConfig",
    aliases=("controllermanagerconfig", "cmc", "cmcs"),
)


class SchedulerConfigSpec(Spec):
    """id ``kube-scheduler``; ``config`` is a KubeSchedulerConfiguration as data."""

    enabled: bool = False
    image: str = ""
    extra_args: Mapping[str, ArgValues] = NO_LABELS  # type: ignore[assignment]
    args: tuple[str, ...] = ()
    config: Mapping[str, object] = NO_LABELS
    extra_volumes: tuple[ExtraVolume, ...] = ()
    environment_variables: Mapping[str, str] = NO_LABELS
    resources: Resources = Resources()

    WIRE = """
        1 enabled bool, 2 image string, 8 extraArgs {ArgValues} omit, 9 args [string] omit, 7 config json,
        4 extraVolumes [ExtraVolume], 5 environmentVariables {string}, 6 resources Resources
    """


SCHEDULER_CONFIG = Kind(
    "SchedulerConfigs.kubernetes.talos.dev",
    "controlplane",
    SchedulerConfigSpec,
    "SchedulerConfig",
    aliases=("schedulerconfig", "sc", "scs"),
)


class KubeletConfigSpec(Spec):
    """What the configuration says of the kubelet; id ``kubelet``."""

    image: str = ""
    cluster_dns: tuple[str, ...] = ()
    cluster_domain: str = ""
    extra_args: Mapping[str, ArgValues] = NO_LABELS  # type: ignore[assignment]
    extra_config: Mapping[str, object] = NO_LABELS
    cloud_provider_external: bool = False
    default_runtime_seccomp_enabled: bool = False
    skip_node_registration: bool = False
    disable_manifests_directory: bool = False
    register_with_taints: Mapping[str, str] = NO_LABELS

    WIRE = """
        1 image string, 2 clusterDNS [string], 3 clusterDomain string, 15 extraArgs {ArgValues} omit,
        6 extraConfig json omit, 7 cloudProviderExternal bool, 8 defaultRuntimeSeccompEnabled bool,
        9 skipNodeRegistration bool, 11 disableManifestsDirectory bool, 16 registerWithTaints {string} omit
    """


KUBELET_CONFIG = Kind(
    "KubeletConfigs.kubernetes.talos.dev",
    "k8s",
    KubeletConfigSpec,
    "KubeletConfig",
    aliases=("kubeletconfig", "kc", "kcs"),
    sensitivity=Sensitivity.SENSITIVE,
)
