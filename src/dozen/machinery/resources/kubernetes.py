"""Kubernetes on this node: the kubelet, the name it registers under, and the static pods it runs."""

from __future__ import annotations

from collections.abc import Mapping

from dozen.machinery.resource import NO_LABELS, Kind, Sensitivity
from dozen.machinery.resources.spec import Spec


class IdMapping(Spec):
    """A range of user or group ids of a container, and where it lies on the node."""

    container_id: int = 0
    host_id: int = 0
    size: int = 0

    WIRE = "1 containerid uint32, 2 hostid uint32, 3 size uint32"


class Mount(Spec):
    """A mount into the kubelet's container."""

    destination: str = ""
    type: str = ""
    source: str = ""
    options: tuple[str, ...] = ()
    uid_mappings: tuple[IdMapping, ...] = ()
    gid_mappings: tuple[IdMapping, ...] = ()

    WIRE = """
        1 destination string, 2 type string, 3 source string, 4 options [string], 5 uidmappings [IdMapping],
        6 gidmappings [IdMapping]
    """


class KubeletSpec(Spec):
    """How the kubelet should run; id ``kubelet``."""

    image: str = ""
    args: tuple[str, ...] = ()
    extra_mounts: tuple[Mount, ...] = ()
    expected_nodename: str = ""
    config: Mapping[str, object] = NO_LABELS
    credential_provider_config: Mapping[str, object] = NO_LABELS

    WIRE = """
        1 image string, 2 args [string] omit, 3 extraMounts [Mount] omit, 4 expectedNodename string omit,
        5 config json, 6 credentialProviderConfig json omit
    """


KUBELET_SPEC = Kind(
    "KubeletSpecs.kubernetes.talos.dev",
    "k8s",
    KubeletSpec,
    "KubeletSpec",
    aliases=("kubeletspec", "ks"),
    sensitivity=Sensitivity.SENSITIVE,
)


class KubeletStatusSpec(Spec):
    """The kubelet that runs; id ``kubelet``."""

    image: str = ""

    WIRE = "1 image string"


KUBELET_STATUS = Kind(
    "KubeletStatuses.kubernetes.talos.dev",
    "k8s",
    KubeletStatusSpec,
    "KubeletStatus",
    aliases=("kubeletstatus", "ks"),
    columns=(("Image", "{.image}"),),
)


class NodenameSpec(Spec):
    """The name that the node has in Kubernetes; id ``nodename``."""

    nodename: str = ""
    hostname_version: str = ""
    skip_node_registration: bool = False

    WIRE = "1 nodename string, 2 hostnameVersion string, 3 skipNodeRegistration bool"


NODENAME = Kind(
    "Nodenames.kubernetes.talos.dev",
    "k8s",
    NodenameSpec,
    "Nodename",
    aliases=("nodename",),
    columns=(("Nodename", "{.nodename}"),),
)


class NodeIPSpec(Spec):
    """The addresses that the kubelet reports; id ``kubelet``."""

    addresses: tuple[str, ...] = ()

    WIRE = "1 addresses [addr]"


NODE_IP = Kind(
    "NodeIPs.kubernetes.talos.dev",
    "k8s",
    NodeIPSpec,
    "NodeIP",
    aliases=("nodeip", "nip", "nips"),
)


class NodeIPConfigSpec(Spec):
    """Within which subnets the node's addresses are looked for, and within which they are not; id ``kubelet``."""

    valid_subnets: tuple[str, ...] = ()
    exclude_subnets: tuple[str, ...] = ()

    WIRE = "1 validSubnets [string] omit, 2 excludeSubnets [string]"


NODE_IP_CONFIG = Kind(
    "NodeIPConfigs.kubernetes.talos.dev",
    "k8s",
    NodeIPConfigSpec,
    "NodeIPConfig",
    aliases=("nodeipconfig", "nipc", "nipcs"),
)


class NodeStatusSpec(Spec):
    """What the cluster says of this node; its id is the node's name."""

    nodename: str = ""
    node_ready: bool = False
    unschedulable: bool = False
    labels: Mapping[str, str] = NO_LABELS
    annotations: Mapping[str, str] = NO_LABELS
    pod_cidrs: tuple[str, ...] = ()

    WIRE = """
        1 nodename string, 2 nodeReady bool, 3 unschedulable bool, 4 labels {string}, 5 annotations {string},
        6 podCIDRs [prefix]
    """


NODE_STATUS = Kind(
    "NodeStatuses.kubernetes.talos.dev",
    "k8s",
    NodeStatusSpec,
    "NodeStatus",
    aliases=("nodestatus", "ns"),
    columns=(("Ready", "{.nodeReady}"), ("Unschedulable", "{.unschedulable}")),
)


class StaticPodSpec(Spec):
    """A pod that the kubelet runs without being told by the API server."""

    pod: Mapping[str, object] = NO_LABELS

    WIRE = "1 @ json"


STATIC_POD = Kind(
    "StaticPods.kubernetes.talos.dev",
    "k8s",
    StaticPodSpec,
    "StaticPod",
    aliases=("staticpod", "sp", "sps"),
)


class StaticPodStatusSpec(Spec):
    """The status of a static pod as the kubelet tells it."""

    pod_status: Mapping[str, object] = NO_LABELS

    WIRE = "1 @ json"


STATIC_POD_STATUS = Kind(
    "StaticPodStatuses.kubernetes.talos.dev",
    "k8s",
    StaticPodStatusSpec,
    "StaticPodStatus",
    aliases=("podstatus", "staticpodstatus", "sps"),
    columns=(("Ready", '{.conditions[?(@.type=="Ready")].status}'),),
)


class SecretsStatusSpec(Spec):
    """Whether the files with secrets are there; ``version`` changes when who reads them must start anew because of
    them, not when one is merely renewed. Ids: ``static-pods`` for all of the control plane, and each program's."""

    ready: bool = False
    version: str = ""

    WIRE = "1 ready bool, 2 version string"


SECRETS_STATUS = Kind(
    "SecretStatuses.kubernetes.talos.dev",
    "controlplane",
    SecretsStatusSpec,
    "SecretStatus",
    aliases=("secretstatus", "ss"),
    columns=(("Ready", "{.ready}"), ("Secrets Version", "{.version}")),
)

STATIC_PODS = "static-pods"


class ConfigStatusSpec(Spec):
    """Whether configuration files are there, and their version. Ids: ``static-pods`` for all of the control plane, and
    that of each program that has such files."""

    ready: bool = False
    version: str = ""

    WIRE = "1 ready bool, 2 version string"


CONFIG_STATUS = Kind(
    "ConfigStatuses.kubernetes.talos.dev",
    "controlplane",
    ConfigStatusSpec,
    "ConfigStatus",
    aliases=("configstatus", "cs"),
    columns=(("Ready", "{.ready}"), ("Secrets Version", "{.version}")),
)


class APIServerAnswersSpec(Spec):
    """The API server of this node has answered that it is ready, once in this boot; id ``kube-apiserver``. What only
    makes sense with an API server begins then."""

    answered: bool = False

    WIRE = "1 answered bool"


API_SERVER_ANSWERS = Kind("APIServerAnswers.kubernetes.dozen", "k8s", APIServerAnswersSpec, "APIServerAnswers")
