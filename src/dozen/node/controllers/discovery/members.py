"""From what is known about this node and others to the cluster's members."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from dozen import __version__
from dozen.machinery.addresses import address_of
from dozen.machinery.plan import Input, Put, Shared, Step, View
from dozen.machinery.resources import cluster, config, controlplane, kubernetes, network
from dozen.machinery.subnets import choose
from dozen.node.configuration import complete

if TYPE_CHECKING:
    from dozen.machinery.config import Config

LOCAL = "local"
OPERATING_SYSTEM = f"Dozen Linux (v{__version__})"


class LocalAffiliateController:
    """MachineConfig, Identity, hostname, addresses → Info, and this node as an Affiliate."""

    name = "discovery-local"
    inputs = (
        Input(config.MACHINE_CONFIG, config.ACTIVE),
        Input(cluster.IDENTITY, LOCAL),
        Input(network.HOSTNAME_STATUS, "hostname"),
        Input(network.NODE_ADDRESS),
        Input(kubernetes.NODENAME, "nodename"),
    )
    outputs = (cluster.INFO, Shared(cluster.AFFILIATE))

    def plan(self, view: View) -> Iterable[Step]:
        given = complete(view)
        if given is None:
            return
        from dozen.machinery.config import effective
        from dozen.machinery.config import kubernetes as wanted

        info = cluster.InfoSpec(cluster_id=wanted.cluster_id(given), cluster_name=effective.cluster_name(given))
        yield Put(cluster.INFO, "current", info)
        identity = view.get(cluster.IDENTITY, LOCAL)
        hostname = view.get(network.HOSTNAME_STATUS, "hostname")
        routed = view.get(network.NODE_ADDRESS, "routed")
        if identity is None or hostname is None or routed is None:
            return
        nodename = view.get(kubernetes.NODENAME, "nodename")
        leader = wanted.is_control_plane(given)
        spec = cluster.AffiliateSpec(
            node_id=identity.spec.node_id,
            addresses=choose(routed.spec.addresses, (), wanted.network(given).inside),
            hostname=hostname.spec.hostname,
            nodename=nodename.spec.nodename if nodename is not None else "",
            operating_system=OPERATING_SYSTEM,
            machine_type=given.machine_type or "unknown",
            control_plane=cluster.ControlPlane(port=wanted.local_api_port(given)) if leader else None,
        )
        yield Put(cluster.AFFILIATE, identity.spec.node_id, spec)


def wants_members(given: Config) -> bool:
    """Whether a configuration has nothing against looking for the other members."""
    discovery = given.cluster.discovery if given.cluster else None
    return not (discovery is not None and discovery.enabled is False)


class DiscoveryConfigController:
    """MachineConfig → DiscoveryConfig: Kubernetes is asked, and nobody else."""

    name = "discovery-config"
    inputs = (Input(config.MACHINE_CONFIG, config.ACTIVE),)
    outputs = (cluster.DISCOVERY_CONFIG,)

    def plan(self, view: View) -> Iterable[Step]:
        given = complete(view)
        if given is None:
            return
        from dozen.machinery.config import kubernetes as wanted

        asked = wants_members(given)
        spec = cluster.DiscoveryConfigSpec(
            discovery_enabled=asked,
            registry_kubernetes_enabled=asked,
            service_cluster_id=wanted.cluster_id(given),
        )
        yield Put(cluster.DISCOVERY_CONFIG, "cluster", spec)


class MemberController:
    """Affiliate, Identity → Member. What this node knows of itself is better than what others say of it."""

    name = "discovery-members"
    inputs = (Input(cluster.AFFILIATE), Input(cluster.IDENTITY, LOCAL))
    outputs = (cluster.MEMBER,)

    def plan(self, view: View) -> Iterable[Step]:
        identity = view.get(cluster.IDENTITY, LOCAL)
        own = identity.spec.node_id if identity is not None else ""
        affiliates = sorted((each.spec for each in view.list(cluster.AFFILIATE)), key=lambda spec: spec.node_id != own)
        taken: set[str] = set()
        for spec in affiliates:
            name = spec.nodename or spec.hostname
            if not name or not spec.addresses or name in taken:
                continue
            taken.add(name)
            yield Put(
                cluster.MEMBER,
                name,
                cluster.MemberSpec(
                    node_id=spec.node_id,
                    addresses=tuple(address_of(address) for address in spec.addresses),
                    hostname=spec.hostname,
                    machine_type=spec.machine_type,
                    operating_system=spec.operating_system,
                    control_plane=spec.control_plane,
                ),
            )


class EndpointController:
    """Member → Endpoint: the addresses of the control planes among the members."""

    name = "discovery-endpoints"
    inputs = (Input(cluster.MEMBER),)
    outputs = (controlplane.ENDPOINT,)

    def plan(self, view: View) -> Iterable[Step]:
        leaders = [each.spec for each in view.list(cluster.MEMBER) if each.spec.control_plane is not None]
        addresses = tuple(dict.fromkeys(address for spec in leaders for address in spec.addresses))
        if addresses:
            yield Put(controlplane.ENDPOINT, "discovery", controlplane.EndpointSpec(addresses=addresses))
