"""The cluster that the node belongs to, and its other members as far as they are known."""

from __future__ import annotations

from dozen.machinery.resource import Kind, Sensitivity
from dozen.machinery.resources.spec import Spec


class IdentitySpec(Spec):
    """The node's own id in its cluster; id ``local``."""

    node_id: str = ""

    WIRE = "1 nodeId string"


IDENTITY = Kind(
    "Identities.cluster.talos.dev",
    "cluster",
    IdentitySpec,
    "Identity",
    aliases=("identity",),
    columns=(("ID", "{.nodeId}"),),
)


class DiscoveryEndpoint(Spec):
    """A discovery service."""

    name: str = ""
    endpoint: str = ""
    insecure: bool = False

    WIRE = "1 name string, 2 endpoint string, 3 insecure bool"


class DiscoveryConfigSpec(Spec):
    """Whom this node asks who else is in the cluster; id ``cluster``."""

    discovery_enabled: bool = False
    registry_kubernetes_enabled: bool = False
    registry_service_enabled: bool = False
    service_endpoint: str = ""
    service_endpoint_insecure: bool = False
    service_encryption_key: bytes = b""
    service_cluster_id: str = ""
    service_endpoints: tuple[DiscoveryEndpoint, ...] = ()

    WIRE = """
        1 discoveryEnabled bool, 2 registryKubernetesEnabled bool, 3 registryServiceEnabled bool,
        4 serviceEndpoint string, 5 serviceEndpointInsecure bool omit, 6 serviceEncryptionKey bytes,
        7 serviceClusterID string, 8 serviceEndpoints [DiscoveryEndpoint]
    """


DISCOVERY_CONFIG = Kind(
    "DiscoveryConfigs.cluster.talos.dev",
    "config",
    DiscoveryConfigSpec,
    "DiscoveryConfig",
    aliases=("discoveryconfig", "dc", "dcs"),
    sensitivity=Sensitivity.SENSITIVE,
)


class InfoSpec(Spec):
    """Id and name of the cluster; id ``current``."""

    cluster_id: str = ""
    cluster_name: str = ""

    WIRE = "1 clusterId string, 2 clusterName string"


INFO = Kind(
    "Infos.cluster.talos.dev",
    "cluster",
    InfoSpec,
    "Info",
    aliases=("info",),
    columns=(("Cluster ID", "{.clusterId}"), ("Cluster Name", "{.clusterName}")),
)


class ControlPlane(Spec):
    """What a member offers to others as part of the control plane."""

    port: int = 0

    WIRE = "1 port int64"


class AffiliateSpec(Spec):
    """A node that may be of this cluster, as one source of discovery knows it; its id names the source."""

    node_id: str = ""
    addresses: tuple[str, ...] = ()
    hostname: str = ""
    nodename: str = ""
    operating_system: str = ""
    machine_type: str = "unknown"
    control_plane: ControlPlane | None = None

    WIRE = """
        1 nodeId string, 2 addresses [addr], 3 hostname string, 4 nodename string omit, 5 operatingSystem string,
        6 machineType enum:MachineType, 8 controlPlane ControlPlane omit
    """


AFFILIATE = Kind(
    "Affiliates.cluster.talos.dev",
    "cluster",
    AffiliateSpec,
    "Affiliate",
    aliases=("affiliate",),
    columns=(
        ("Hostname", "{.hostname}"),
        ("Machine Type", "{.machineType}"),
        ("Addresses", "{.addresses}"),
    ),
)


class MemberSpec(Spec):
    """A node of the cluster; its id is the node's name."""

    node_id: str = ""
    addresses: tuple[str, ...] = ()
    hostname: str = ""
    machine_type: str = "unknown"
    operating_system: str = ""
    control_plane: ControlPlane | None = None

    WIRE = """
        1 nodeId string, 2 addresses [addr], 3 hostname string, 4 machineType enum:MachineType,
        5 operatingSystem string, 6 controlPlane ControlPlane omit
    """


MEMBER = Kind(
    "Members.cluster.talos.dev",
    "cluster",
    MemberSpec,
    "Member",
    aliases=("member",),
    columns=(
        ("Hostname", "{.hostname}"),
        ("Machine Type", "{.machineType}"),
        ("OS", "{.operatingSystem}"),
        ("Addresses", "{.addresses}"),
    ),
)


class SiderolinkStatusSpec(Spec):
    """The tunnel to a management service, if there is one; id ``siderolink``."""

    host: str = ""
    connected: bool = False
    link_name: str = ""
    grpc_tunnel: bool = False

    WIRE = "1 host string, 2 connected bool, 3 linkName string, 4 grpcTunnel bool"


SIDEROLINK_STATUS = Kind(
    "SiderolinkStatuses.siderolink.talos.dev",
    "config",
    SiderolinkStatusSpec,
    "SiderolinkStatus",
    aliases=("siderolinkstatus", "ss"),
    columns=(("Host", "{.host}"), ("Connected", "{.connected}")),
)


ACCESS = "config"


class KubernetesAccessConfigSpec(Spec):
    """Which roles of the machine API pods of which namespaces may have; id ``config``, on control planes."""

    enabled: bool = False
    allowed_api_roles: tuple[str, ...] = ()
    allowed_kubernetes_namespaces: tuple[str, ...] = ()

    WIRE = "1 enabled bool, 2 allowedAPIRoles [string], 3 allowedKubernetesNamespaces [string]"


KUBERNETES_ACCESS_CONFIG = Kind(
    "KubernetesAccessConfigs.cluster.talos.dev",
    "config",
    KubernetesAccessConfigSpec,
    "KubernetesAccessConfig",
    aliases=("kubernetesaccessconfig", "kac", "kacs"),
)
