"""What a cluster is given at its beginning, from the configuration to the objects."""

from __future__ import annotations

import base64
import json
from typing import Any

import msgspec
import pytest

from dozen.machinery import yaml
from dozen.machinery.config import load
from dozen.machinery.config.generating import generate
from dozen.machinery.kubernetes.manifests import Trust, bootstrap_manifests, coredns, flannel, joining, proxy, settings
from dozen.machinery.kubernetes.objects import identity, in_order, parse_manifest
from dozen.machinery.resources.manifests import BootstrapManifestsConfigSpec, PodResources

CONFIG = BootstrapManifestsConfigSpec(
    server="https://10.0.2.15:6443",
    cluster_domain="cluster.local",
    pod_cidrs=("10.244.0.0/16",),
    proxy_enabled=True,
    proxy_image="proxy:1",
    core_dns_enabled=True,
    core_dns_image="dns:1",
    dns_service_ip="10.96.0.10",
    flannel_enabled=True,
    flannel_image="flannel:1",
    flannel_kube_service_host="10.0.2.15",
    flannel_kube_service_port="6443",
)
TRUST = Trust(ca="CA", token="abcdef.0123456789abcdef")
WORKLOADS = ("DaemonSet", "Deployment")


def changed(**fields: Any) -> BootstrapManifestsConfigSpec:
    return msgspec.structs.replace(CONFIG, **fields)


def everything() -> list[dict[str, Any]]:
    return [item for items in bootstrap_manifests(CONFIG, TRUST).values() for item in items]


def test_the_manifests_are_those_that_clients_know_by_name_and_come_in_their_order() -> None:
    ids = list(bootstrap_manifests(CONFIG, TRUST))
    assert ids == sorted(ids)
    assert set(ids) == {
        "00-kube-system-namespace",
        "00-kubelet-bootstrapping-token",
        "01-csr-approver-role-binding",
        "01-csr-node-bootstrap",
        "01-csr-renewal-role-binding",
        "05-flannel",
        "10-kube-proxy",
        "11-core-dns",
        "11-core-dns-svc",
        "11-kube-config-in-cluster",
        "11-talos-node-rbac-template",
    }


@pytest.mark.parametrize(
    ("field", "gone"),
    [
        ("flannel_enabled", {"05-flannel"}),
        ("proxy_enabled", {"10-kube-proxy"}),
        ("core_dns_enabled", {"11-core-dns", "11-core-dns-svc"}),
    ],
)
def test_what_is_switched_off_is_not_there(field: str, gone: set[str]) -> None:
    there = set(bootstrap_manifests(CONFIG, TRUST)) - set(bootstrap_manifests(changed(**{field: False}), TRUST))
    assert there == gone


def test_no_object_is_there_twice() -> None:
    names = [identity(item) for item in everything()]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("item", [each for each in everything() if each["kind"] in WORKLOADS], ids=str)
def test_every_workload_is_confined_important_and_modest(item: dict[str, Any]) -> None:
    pod = item["spec"]["template"]["spec"]
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod["priorityClassName"] in ("system-node-critical", "system-cluster-critical")
    assert item["spec"]["selector"]["matchLabels"] == item["spec"]["template"]["metadata"]["labels"]
    for container in [*pod["containers"], *pod.get("initContainers", [])]:
        context = container["securityContext"]
        assert context["allowPrivilegeEscalation"] is False
        assert context["readOnlyRootFilesystem"] is True
        assert context["capabilities"]["drop"] == ["ALL"]
        assert "privileged" not in context
        assert {"cpu", "memory"} <= set(container["resources"]["requests"])
        mounted = {mount["name"] for mount in container["volumeMounts"]}
        assert mounted <= {volume["name"] for volume in pod["volumes"]}


def test_another_configuration_makes_other_pods() -> None:
    def checksums(config: BootstrapManifestsConfigSpec) -> dict[str, str]:
        items = [item for items in bootstrap_manifests(config, TRUST).values() for item in items]
        return {
            item["metadata"]["name"]: item["spec"]["template"]["metadata"]["annotations"]["checksum/config"]
            for item in items
            if item["kind"] in WORKLOADS
        }

    before, after = checksums(CONFIG), checksums(changed(pod_cidrs=("10.1.0.0/16",), cluster_domain="other"))
    assert set(before) == {"kube-flannel", "kube-proxy", "coredns"}
    assert all(before[name] != after[name] for name in before)


def test_the_token_is_a_secret_that_only_lets_machines_ask_for_a_certificate() -> None:
    (secret,) = joining.bootstrap_token("abcdef.0123456789abcdef")
    assert secret["metadata"]["name"] == "bootstrap-token-abcdef"
    data = {name: base64.b64decode(value).decode() for name, value in secret["data"].items()}
    assert data == {
        "token-id": "abcdef",
        "token-secret": "0123456789abcdef",
        "usage-bootstrap-authentication": "true",
        "auth-extra-groups": "system:bootstrappers:nodes",
    }
    assert joining.bootstrap_token("") == ()


@pytest.mark.parametrize(
    ("subnets", "expected"),
    [
        (("10.244.0.0/16",), {"Network": "10.244.0.0/16"}),
        (("fd00::/56",), {"IPv6Network": "fd00::/56", "EnableIPv6": True, "EnableIPv4": False}),
        (
            ("10.1.0.0/16", "fd00::/56"),
            {"Network": "10.1.0.0/16", "IPv6Network": "fd00::/56", "EnableIPv6": True},
        ),
    ],
)
def test_flannel_knows_the_families_of_the_pod_subnets(subnets: tuple[str, ...], expected: dict[str, Any]) -> None:
    found = flannel.network_configuration(changed(pod_cidrs=subnets))
    assert found == {**expected, "EnableNFTables": True, "Backend": {"Type": "vxlan", "Port": 4789}}


def test_flannel_s_back_end_can_be_chosen() -> None:
    config = changed(flannel_backend_type="host-gw", flannel_backend_mtu=1400, flannel_backend_extra={"X": 1})
    assert flannel.network_configuration(config)["Backend"] == {"Type": "host-gw", "MTU": 1400, "X": 1}


def test_flannel_reaches_the_api_without_services_and_takes_further_arguments() -> None:
    items = flannel.flannel(changed(flannel_extra_args=("--iface=eth1",)))
    (container,) = items[-1]["spec"]["template"]["spec"]["containers"]
    assert {"name": "KUBERNETES_SERVICE_HOST", "value": "10.0.2.15"} in container["env"]
    assert container["args"] == ["--ip-masq", "--kube-subnet-mgr", "--iface=eth1"]


def test_flags_of_kube_proxy_go_into_its_file_and_unknown_ones_stay_flags() -> None:
    flags = ("--proxy-mode=ipvs", "--ipvs-strict-arp", "--conntrack-min=7", "--nodeport-addresses=primary,10.0.0.0/8")
    found, left = proxy.configuration(changed(proxy_args=(*flags, "--v=4"), proxy_config={"ipvs": {"scheduler": "sh"}}))
    assert left == ["--v=4"]
    assert found["mode"] == "ipvs"
    assert found["ipvs"] == {"strictARP": True, "scheduler": "sh"}
    assert found["conntrack"]["min"] == 7
    assert found["conntrack"]["maxPerCore"] == 0
    assert found["nodePortAddresses"] == ["primary", "10.0.0.0/8"]


@pytest.mark.parametrize(("mode", "privileged"), [("nftables", False), ("iptables", True), ("ipvs", True)])
def test_older_modes_get_the_rights_and_the_lock_that_they_need(mode: str, privileged: bool) -> None:
    pod = proxy.proxy(changed(proxy_args=(f"--proxy-mode={mode}",)))[-1]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert container["securityContext"].get("privileged", False) is privileged
    assert ("/run/xtables.lock" in [mount["mountPath"] for mount in container["volumeMounts"]]) is privileged
    assert {mount["name"] for mount in container["volumeMounts"]} == {volume["name"] for volume in pod["volumes"]}


def test_kube_proxy_reads_a_file_that_is_what_was_configured() -> None:
    items = {item["kind"]: item for item in proxy.proxy(CONFIG)}
    assert yaml.load(items["ConfigMap"]["data"]["config.conf"])["clusterCIDR"] == "10.244.0.0/16"


@pytest.mark.parametrize(
    ("addresses", "policy", "families"),
    [
        (("10.96.0.10", ""), "SingleStack", ["IPv4"]),
        (("", "fd00::a"), "SingleStack", ["IPv6"]),
        (("10.96.0.10", "fd00::a"), "RequireDualStack", ["IPv4", "IPv6"]),
    ],
)
def test_the_dns_service_has_the_address_that_kubelets_hand_out(
    addresses: tuple[str, str], policy: str, families: list[str]
) -> None:
    spec = coredns.service(changed(dns_service_ip=addresses[0], dns_service_ipv6=addresses[1]))["spec"]
    assert spec["ipFamilyPolicy"] == policy
    assert spec["ipFamilies"] == families
    assert spec["clusterIPs"] == [each for each in addresses if each]


def test_resources_of_the_configuration_replace_the_modest_ones() -> None:
    items = proxy.proxy(changed(proxy_resources=PodResources(requests={"cpu": "1"})))
    (container,) = items[-1]["spec"]["template"]["spec"]["containers"]
    assert container["resources"] == {"requests": {"cpu": "1"}}


def test_a_generated_configuration_leads_to_all_of_it() -> None:
    config = load(generate("c", "https://10.0.2.15:6443").controlplane)
    found = settings.bootstrap_settings(config)
    assert (found.server, found.dns_service_ip, found.cni_name) == ("https://10.0.2.15:6443", "10.96.0.10", "flannel")
    assert (found.flannel_kube_service_host, found.flannel_kube_service_port) == ("10.0.2.15", "6443")
    items = bootstrap_manifests(found, settings.trust_settings(config))
    assert len(items) == 11
    (kubeconfig,) = items["11-kube-config-in-cluster"]
    assert "BEGIN CERTIFICATE" in kubeconfig["data"]["ca.crt"]
    assert json.dumps(list(items.values()))


EXTRA: dict[str, Any] = {
    "externalCloudProvider": {"enabled": True, "manifests": ["https://example.org/cloud.yaml"]},
    "extraManifests": ["https://example.org/more.yaml"],
    "extraManifestHeaders": {"Authorization": "secret"},
    "inlineManifests": [{"name": "ours", "contents": "a"}],
}


def test_manifests_of_the_configuration_come_in_an_order_that_works() -> None:
    data = yaml.load(generate("c", "https://10.0.2.15:6443").controlplane.partition("\n---")[0])
    data["cluster"] |= EXTRA
    data["cluster"]["network"] = {"cni": {"name": "custom", "urls": ["https://example.org/cni.yaml"]}}
    found = settings.extra_settings(load(yaml.dump(data))).extra_manifests
    assert [each.id for each in found] == [
        "30-https://example.org/cloud.yaml",
        "05-https://example.org/cni.yaml",
        "99-https://example.org/more.yaml",
        "99-ours",
    ]
    assert [bool(each.extra_headers) for each in found] == [False, False, True, False]


def test_a_manifest_s_lists_are_opened_and_its_objects_named() -> None:
    text = """
apiVersion: v1
kind: List
items:
  - {apiVersion: v1, kind: Service, metadata: {name: b, namespace: n}}
  - {apiVersion: v1, kind: Namespace, metadata: {name: n}}
---
# nothing
---
{apiVersion: v1, kind: ConfigMap, metadata: {name: c}}
"""
    items = parse_manifest(text, "test")
    assert [str(identity(item)) for item in in_order(items)] == ["Namespace n", "ConfigMap c", "Service n/b"]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("- 1", "test, line 1: expected an object"),
        ("kind: X", "test, line 1: an object needs apiVersion, kind and metadata.name"),
        ("a: [", "test, line 1"),
    ],
)
def test_a_manifest_that_is_none_is_refused_with_its_place(text: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        parse_manifest(text, "test")
