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


class AdmissionPlugin(Spec):
    """A plug-in of admission and its configuration."""

    name: str = ""
    configuration: Mapping[str, object] = NO_LABELS

    WIRE = "1 name string, 2 configuration json"


class AdmissionControlConfigSpec(Spec):
    """Which plug-ins look at objects before they are kept; id ``admission-control``."""

    config: tuple[AdmissionPlugin, ...] = ()

    WIRE = "1 config [AdmissionPlugin]"


ADMISSION_CONTROL_CONFIG = Kind(
    "AdmissionControlConfigs.kubernetes.talos.dev",
    "controlplane",
    AdmissionControlConfigSpec,
    "AdmissionControlConfig",
    aliases=("admissioncontrolconfig", "acc", "accs"),
)


class AuditPolicyConfigSpec(Spec):
    """What the API server writes down of requests; id ``audit-policy``."""

    config: Mapping[str, object] = NO_LABELS

    WIRE = "1 config json"


AUDIT_POLICY_CONFIG = Kind(
    "AuditPolicyConfigs.kubernetes.talos.dev",
    "controlplane",
    AuditPolicyConfigSpec,
    "AuditPolicyConfig",
    aliases=("auditpolicyconfig", "apc", "apcs"),
    sensitivity=Sensitivity.SENSITIVE,
)


class AuthenticationConfigSpec(Spec):
    """How the API server finds out who asks; id ``authentication-config``."""

    config: Mapping[str, object] = NO_LABELS

    WIRE = "1 config json"


AUTHENTICATION_CONFIG = Kind(
    "AuthenticationConfigs.kubernetes.talos.dev",
    "controlplane",
    AuthenticationConfigSpec,
    "AuthenticationConfig",
    aliases=("authenticationconfig", "ac", "acs"),
    sensitivity=Sensitivity.SENSITIVE,
)


class Authorizer(Spec):
    """One who decides what a caller may do."""

    type: str = ""
    name: str = ""
    webhook: Mapping[str, object] = NO_LABELS

    WIRE = "1 type string, 2 name string, 3 webhook json"


class AuthorizationConfigSpec(Spec):
    """Who decides what callers may do, asked in this order; id ``authorization``. ``image`` is the API server's."""

    image: str = ""
    config: tuple[Authorizer, ...] = ()

    WIRE = "1 image string, 2 config [Authorizer]"


AUTHORIZATION_CONFIG = Kind(
    "AuthorizationConfigs.kubernetes.talos.dev",
    "controlplane",
    AuthorizationConfigSpec,
    "AuthorizationConfig",
    aliases=("authorizationconfig", "ac", "acs"),
    sensitivity=Sensitivity.SENSITIVE,
)


class EndpointSpec(Spec):
    """Where the cluster's control planes are; id ``discovery`` for those that are members of the cluster."""

    addresses: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()

    WIRE = "1 addresses [addr], 2 hosts [string]"


ENDPOINT = Kind(
    "Endpoints.kubernetes.talos.dev",
    "controlplane",
    EndpointSpec,
    "Endpoint",
    aliases=("endpoint",),
    columns=(("Addresses", "{.addresses}"), ("Hosts", "{.hosts}")),
)


class EtcdEncryptionConfigSpec(Spec):
    """How the API server encrypts what it keeps, an EncryptionConfiguration as YAML; id ``k8s``."""

    configuration: str = ""

    WIRE = "1 configuration string"


ETCD_ENCRYPTION_CONFIG = Kind(
    "EtcdEncryptionConfigs.kubernetes.talos.dev",
    "k8s",
    EtcdEncryptionConfigSpec,
    "EtcdEncryptionConfig",
    aliases=("etcdencryptionconfig", "eec", "eecs"),
    sensitivity=Sensitivity.SENSITIVE,
)
