"""The node's own way to the API servers of its cluster: where it is, where it leads, and whether anybody is there."""

from __future__ import annotations

from dozen.machinery.resource import Kind
from dozen.machinery.resources.spec import Spec


class KubePrismEndpoint(Spec):
    """An API server."""

    host: str = ""
    port: int = 0

    WIRE = "1 host string, 2 port uint32"


class KubePrismEndpointsSpec(Spec):
    """All API servers that are known; id ``kubeprism``."""

    endpoints: tuple[KubePrismEndpoint, ...] = ()

    WIRE = "1 endpoints [KubePrismEndpoint]"


KUBE_PRISM_ENDPOINTS = Kind(
    "KubePrismEndpoints.kubernetes.talos.dev",
    "k8s",
    KubePrismEndpointsSpec,
    "KubePrismEndpoint",
    aliases=("kubeprismendpoint", "kpe", "kpes"),
    columns=(("Hosts", "{.endpoints[*].host}"), ("Ports", "{.endpoints[*].port}")),
)


class KubePrismConfigSpec(Spec):
    """Where is listened, and where connections are carried to; id ``kubeprism``, there when it is wanted."""

    host: str = ""
    port: int = 0
    endpoints: tuple[KubePrismEndpoint, ...] = ()

    WIRE = "1 host string, 2 port int64, 3 endpoints [KubePrismEndpoint]"


KUBE_PRISM_CONFIG = Kind(
    "KubePrismConfigs.kubernetes.talos.dev",
    "k8s",
    KubePrismConfigSpec,
    "KubePrismConfig",
    aliases=("kubeprismconfig", "kpc", "kpcs"),
    columns=(("Host", "{.host}"), ("Port", "{.port}"), ("Endpoints", "{.endpoints}")),
)


class KubePrismStatusSpec(Spec):
    """Where is listened, and whether some API server is there; id ``kubeprism``."""

    host: str = ""
    healthy: bool = False

    WIRE = "1 host string, 2 healthy bool"


KUBE_PRISM_STATUS = Kind(
    "KubePrismStatuses.kubernetes.talos.dev",
    "k8s",
    KubePrismStatusSpec,
    "KubePrismStatus",
    aliases=("kubeprismstatus", "kps"),
    columns=(("HOST", "{.host}"), ("HEALTHY", "{.healthy}")),
)
