"""What a configuration means for Kubernetes, from either of its forms; and what is said about trust."""

from __future__ import annotations

import base64
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
import pytest

from dozen.machinery import pki, yaml
from dozen.machinery.config import Config, generate, kubernetes, kubernetes_node, kubernetes_secrets, load, registries
from dozen.machinery.config.scalars import Secret
from dozen.machinery.kubernetes import versions

CASES = Path(__file__).parents[2] / "cases" / "config"
MODULES = (kubernetes, kubernetes_node, kubernetes_secrets, registries)


def cases() -> list[Any]:
    found = yaml.load((CASES / "kubernetes.yaml").read_text(), "kubernetes.yaml")
    return [pytest.param(case, id=case["name"]) for case in found]


@cache
def authority() -> dict[str, str]:
    ca = pki.new_ca()
    return {"crt": base64.b64encode(ca.crt.encode()).decode(), "key": base64.b64encode(ca.key.encode()).decode()}


def configuration(case: dict[str, Any]) -> Config:
    machine = {"type": "controlplane", "token": "abcdef.0123456789abcdef", "ca": authority(), **case.get("machine", {})}
    cluster = {"controlPlane": {"endpoint": "https://10.0.0.1:6443"}, **case.get("cluster", {})}
    text = yaml.dump({"version": "v1alpha1", "machine": machine, "cluster": cluster})
    return load(text + ("---\n" + case["documents"] if "documents" in case else ""))


def ask(subject: str, config: Config) -> Any:
    module = next(each for each in MODULES if hasattr(each, subject))
    return msgspec.json.decode(msgspec.json.encode(getattr(module, subject)(config), enc_hook=plain))


def plain(value: object) -> object:
    return value.reveal() if isinstance(value, Secret) else float(value)  # type: ignore[arg-type]


@pytest.mark.parametrize("case", cases())
def test_meaning(case: dict[str, Any]) -> None:
    config = configuration(case)
    found = {subject: ask(subject, config) for subject in case["means"]}
    for subject, expected in case["means"].items():
        if subject == "registries" and expected["credentials"] == {}:
            assert found[subject] == expected
        else:
            assert found[subject] == expected, subject


def test_images_are_the_released_ones_unless_named() -> None:
    config = configuration({})
    assert kubernetes_node.kubelet(config).image == versions.KUBELET_IMAGE
    assert kubernetes.api_server(config).program.image == versions.KUBE_APISERVER_IMAGE
    assert kubernetes.controller_manager(config).image == versions.KUBE_CONTROLLER_MANAGER_IMAGE
    assert kubernetes.scheduler(config).image == versions.KUBE_SCHEDULER_IMAGE
    assert kubernetes.proxy(config).image == versions.KUBE_PROXY_IMAGE
    assert kubernetes.core_dns(config).image == versions.COREDNS_IMAGE
    assert kubernetes.cni(config).image == versions.FLANNEL_IMAGE


def test_switched_off_programs() -> None:
    config = configuration(cases()[1].values[0])
    assert not kubernetes.proxy(config).enabled
    assert not kubernetes.scheduler(config).enabled
    assert kubernetes.controller_manager(config).enabled
    assert kubernetes.cni(config).name == "custom"


def test_registry_credentials_and_trust() -> None:
    found = registries.registries(configuration(cases()[1].values[0]))
    assert found.mirrors["docker.io"] == registries.Mirror((registries.Endpoint("http://10.0.0.3:5000"),), True)
    assert found.credentials["10.0.0.3:5000"].username == "me"
    assert found.trust["10.0.0.3:5000"].insecure_skip_verify


def test_pod_security_is_at_baseline_and_can_be_replaced() -> None:
    (plugin,) = kubernetes.admission(configuration({}))
    assert plugin.configuration["defaults"]["enforce"] == "baseline"
    said = {"name": "PodSecurity", "configuration": {"defaults": {"enforce": "privileged"}}}
    (plugin,) = kubernetes.admission(configuration({"cluster": {"apiServer": {"admissionControl": [said]}}}))
    assert plugin.configuration == said["configuration"]


def test_audit_records_no_contents_by_default() -> None:
    assert kubernetes.audit_policy(configuration({}))["rules"] == [{"level": "Metadata"}]


def test_a_network_in_a_document_without_flannels_has_no_cni_of_ours() -> None:
    documents = (
        "apiVersion: v1alpha1\nkind: KubeNetworkConfig\npodSubnets: [10.9.0.0/16]\nserviceSubnets: [10.8.0.0/16]\n"
    )
    assert kubernetes.cni(configuration({"documents": documents})).name == "none"


def test_trust_of_a_generated_cluster() -> None:
    bundle = generate("c", "https://10.0.0.1:6443")
    leader, worker = load(bundle.controlplane), load(bundle.worker)
    for function, pair in (
        (kubernetes_secrets.kubernetes_ca, bundle.secrets.kubernetes),
        (kubernetes_secrets.aggregator_ca, bundle.secrets.aggregator),
        (kubernetes_secrets.etcd_ca, bundle.secrets.etcd),
    ):
        found = function(leader)
        assert (found.crt, found.key.reveal()) == (pair.crt, pair.key)
    assert kubernetes_secrets.kubernetes_ca(worker).crt == bundle.secrets.kubernetes.crt
    assert not kubernetes_secrets.kubernetes_ca(worker).key
    accounts = kubernetes_secrets.service_accounts(leader)
    assert accounts.key.reveal() == bundle.secrets.service_account
    assert accounts.issuer == "https://10.0.0.1:6443"
    assert kubernetes_secrets.encryption(leader).secretbox.reveal() == bundle.secrets.secretbox_secret
    assert kubernetes.bootstrap_token(worker).reveal() == bundle.secrets.bootstrap_token
    assert kubernetes.cluster_id(worker) == bundle.secrets.cluster_id
