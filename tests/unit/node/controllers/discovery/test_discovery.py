"""Who is in the cluster: what a node says of itself, what Kubernetes says of others, and the members that follow."""

from __future__ import annotations

from pathlib import Path

import pytest

from dozen.machinery import yaml
from dozen.machinery.config import generate
from dozen.machinery.plan import Put
from dozen.machinery.resources import cluster, config, controlplane, network
from dozen.node.controllers.discovery.identity import encode, load_identity
from dozen.node.controllers.discovery.members import (
    DiscoveryConfigController,
    EndpointController,
    LocalAffiliateController,
    MemberController,
)
from dozen.node.controllers.discovery.nodes import affiliates
from dozen.testing.controllers import PlainView

BUNDLE = generate("prod", "https://10.0.0.1:6443")
NODE = {
    "metadata": {"name": "cp-2", "labels": {"node-role.kubernetes.io/control-plane": ""}},
    "status": {
        "addresses": [{"type": "InternalIP", "address": "10.0.0.2"}, {"type": "Hostname", "address": "cp-2.lan"}],
        "nodeInfo": {"machineID": "abc", "osImage": "Dozen"},
    },
}


def test_a_node_says_who_it_is() -> None:
    view = PlainView(
        (config.MACHINE_CONFIG, config.ACTIVE, config.MachineConfigSpec(text=BUNDLE.controlplane)),
        (cluster.IDENTITY, "local", cluster.IdentitySpec(node_id="me")),
        (network.HOSTNAME_STATUS, "hostname", network.HostnameStatusSpec(hostname="cp-1")),
        (network.NODE_ADDRESS, "routed", network.NodeAddressSpec(addresses=("10.0.0.1/24", "10.244.0.1/24"))),
    )
    info, affiliate = LocalAffiliateController().plan(view)
    assert isinstance(info, Put)
    assert info.spec == cluster.InfoSpec(cluster_id=BUNDLE.secrets.cluster_id, cluster_name="prod")
    assert isinstance(affiliate, Put)
    assert affiliate.id == "me"
    # The address of the pods' network is nobody's way to this node.
    assert affiliate.spec.addresses == ("10.0.0.1",)
    assert affiliate.spec.control_plane == cluster.ControlPlane(port=6443)
    assert affiliate.spec.machine_type == "controlplane"


@pytest.mark.parametrize("enabled", [True, False])
def test_who_is_asked_for_members(enabled: bool) -> None:
    data = yaml.load(BUNDLE.worker)
    data["cluster"]["discovery"] = {"enabled": enabled}
    text = yaml.dump(data)
    view = PlainView((config.MACHINE_CONFIG, config.ACTIVE, config.MachineConfigSpec(text=text)))
    spec = cluster.DiscoveryConfigSpec(
        discovery_enabled=enabled,
        registry_kubernetes_enabled=enabled,
        service_cluster_id=BUNDLE.secrets.cluster_id,
    )
    assert list(DiscoveryConfigController().plan(view)) == [Put(cluster.DISCOVERY_CONFIG, "cluster", spec)]


def test_a_node_without_configuration_says_nothing() -> None:
    assert list(LocalAffiliateController().plan(PlainView())) == []


def test_kubernetes_tells_of_the_others_only() -> None:
    found = affiliates({"cp-1": NODE, "cp-2": NODE, "w": {"metadata": {"name": "w"}}}, "cp-1")
    assert list(found) == ["k8s/cp-2", "k8s/w"]
    assert found["k8s/cp-2"] == cluster.AffiliateSpec(
        node_id="abc",
        addresses=("10.0.0.2",),
        hostname="cp-2.lan",
        nodename="cp-2",
        operating_system="Dozen",
        machine_type="controlplane",
        control_plane=cluster.ControlPlane(port=6443),
    )
    assert found["k8s/w"].machine_type == "worker"


def test_members_have_addresses_and_a_node_knows_itself_best() -> None:
    own = cluster.AffiliateSpec(node_id="me", addresses=("10.0.0.1",), hostname="cp-1", nodename="cp-1")
    view = PlainView(
        (cluster.IDENTITY, "local", cluster.IdentitySpec(node_id="me")),
        (cluster.AFFILIATE, "me", own),
        (cluster.AFFILIATE, "k8s/cp-1", cluster.AffiliateSpec(addresses=("10.9.9.9",), nodename="cp-1")),
        (cluster.AFFILIATE, "k8s/cp-2", cluster.AffiliateSpec(addresses=("10.0.0.2",), nodename="cp-2")),
        (cluster.AFFILIATE, "k8s/lost", cluster.AffiliateSpec(nodename="lost")),
    )
    members = {step.id: step.spec.addresses for step in MemberController().plan(view) if isinstance(step, Put)}
    assert members == {"cp-1": ("10.0.0.1",), "cp-2": ("10.0.0.2",)}


def test_control_planes_among_the_members_are_endpoints() -> None:
    leader = cluster.ControlPlane(port=6443)
    view = PlainView(
        (cluster.MEMBER, "cp-1", cluster.MemberSpec(addresses=("10.0.0.1", "fd00::1"), control_plane=leader)),
        (cluster.MEMBER, "cp-2", cluster.MemberSpec(addresses=("10.0.0.2",), control_plane=leader)),
        (cluster.MEMBER, "w-1", cluster.MemberSpec(addresses=("10.0.0.3",))),
    )
    spec = controlplane.EndpointSpec(addresses=("10.0.0.1", "fd00::1", "10.0.0.2"))
    assert list(EndpointController().plan(view)) == [Put(controlplane.ENDPOINT, "discovery", spec)]
    assert list(EndpointController().plan(PlainView())) == []


def test_an_identity_is_made_once(tmp_path: Path) -> None:
    path = str(tmp_path / "node-identity.yaml")
    first = load_identity(path)
    assert load_identity(path) == first
    assert 40 <= len(first) <= 43
    assert load_identity(str(tmp_path / "other")) != first


def test_base_62() -> None:
    assert encode(b"\0") == "0"
    assert encode(b"\x3d") == "z"
    assert encode(b"\x3e") == "10"
