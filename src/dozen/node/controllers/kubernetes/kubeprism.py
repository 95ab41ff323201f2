"""The node's own way to the API servers of its cluster: which there are, and where the way begins.

The first that are known are the cluster's endpoint and, on a control plane, the node's own; then discovery names the
others. So a node finds an API server when the endpoint is down, and programs need to know one address only.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from urllib.parse import urlsplit

from dozen.machinery.plan import Input, Put, Step, View
from dozen.machinery.resources import cluster, config
from dozen.machinery.resources.kubeprism import (
    KUBE_PRISM_CONFIG,
    KUBE_PRISM_ENDPOINTS,
    KubePrismConfigSpec,
    KubePrismEndpoint,
    KubePrismEndpointsSpec,
)
from dozen.node.configuration import parse

ID = "kubeprism"
LOOPBACK = "127.0.0.1"
HTTPS = 443


class KubePrismController:
    """MachineConfig + Member → KubePrismEndpoints, KubePrismConfig."""

    name = "kubeprism"
    inputs = (Input(config.MACHINE_CONFIG, config.ACTIVE), Input(cluster.MEMBER))
    outputs = (KUBE_PRISM_ENDPOINTS, KUBE_PRISM_CONFIG)

    def plan(self, view: View) -> Iterable[Step]:
        from dozen.machinery.config import effective, kubernetes

        active = view.get(config.MACHINE_CONFIG, config.ACTIVE)
        if active is None:
            return
        given = parse(active.spec.text)
        port = kubernetes.kube_prism_port(given)
        if not port:
            return
        own = kubernetes.local_api_port(given) if given.machine_type == "controlplane" else 0
        members = [each.spec for each in view.list(cluster.MEMBER)]
        found = tuple(dict.fromkeys(_endpoints(own, effective.cluster_endpoint(given), members, port)))
        yield Put(KUBE_PRISM_ENDPOINTS, ID, KubePrismEndpointsSpec(endpoints=found))
        yield Put(KUBE_PRISM_CONFIG, ID, KubePrismConfigSpec(host=LOOPBACK, port=port, endpoints=found))


def _endpoints(own: int, outside: str, members: list[cluster.MemberSpec], port: int) -> Iterator[KubePrismEndpoint]:
    if own:
        yield KubePrismEndpoint(host=LOOPBACK, port=own)
    parts = urlsplit(outside)
    # An endpoint that is this very way would go round in circles.
    if parts.hostname and (parts.hostname not in (LOOPBACK, "localhost") or (parts.port or HTTPS) != port):
        yield KubePrismEndpoint(host=parts.hostname, port=parts.port or HTTPS)
    for member in members:
        if member.control_plane is not None and member.control_plane.port:
            yield from (KubePrismEndpoint(host=each, port=member.control_plane.port) for each in member.addresses)
