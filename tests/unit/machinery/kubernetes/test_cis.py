"""The benchmark's rules: what we render passes them, and each of them can fail."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from dozen.machinery.config.kubernetes import Authorizer
from dozen.machinery.config.kubernetes_secrets import Encryption
from dozen.machinery.config.scalars import Secret
from dozen.machinery.kubernetes import arguments, cis, files, kubelet, paths
from dozen.machinery.kubernetes.cis import Evidence, File, Outcome
from dozen.machinery.kubernetes.cis_manual import MANUAL

API = arguments.apiserver_flags(
    port=6443,
    advertised="10.0.0.1",
    service_subnets=("10.96.0.0/12",),
    issuers=("https://a",),
    audiences=(),
    encrypted=True,
)
ETCD = {
    "cert-file": "/x",
    "client-cert-auth": "true",
    "peer-cert-file": "/x",
    "peer-client-cert-auth": "true",
    "trusted-ca-file": "/system/secrets/etcd/ca.crt",
}


def rendered() -> Evidence:
    """A control plane as this system renders it."""
    flags = {
        paths.APISERVER: API,
        paths.CONTROLLER_MANAGER: arguments.controller_manager_flags(
            pod_subnets=("10.244.0.0/16",), service_subnets=("10.96.0.0/12",)
        ),
        paths.SCHEDULER: arguments.scheduler_flags(),
    }
    read = {name: cis.read_flags(" ".join(["/bin/x", *arguments.command_line(each)])) for name, each in flags.items()}
    read[cis.PROXY] = {"config": ("/x",)}
    read[cis.ETCD] = {name: (value,) for name, value in ETCD.items()}
    documents = {
        cis.KUBELET_FILE: kubelet.configuration(kubelet.KubeletInput("n", ("10.0.0.1",))),
        paths.AUTHENTICATION: files.authentication({}),
        paths.ENCRYPTION: files.encryption(Encryption(secretbox=Secret("k"))) or {},
        paths.AUTHORIZATION: files.authorization([Authorizer("Node", "node"), Authorizer("RBAC", "rbac")]),
    }
    modes = [
        File("/system/etc/kubernetes/manifests/kube-apiserver.yaml", 0o600, 0, 0),
        File("/system/secrets/kubernetes/kube-apiserver/ca.crt", 0o440, 0, 65534),
        File("/system/secrets/kubernetes/kube-apiserver/apiserver.key", 0o440, 0, 65534),
        File("/system/secrets/kubernetes/kube-scheduler/kubeconfig", 0o440, 0, 65537),
        File("/system/etc/kubernetes/kubeconfig-kubelet", 0o400, 0, 0),
        File("/system/etc/kubernetes/pki/ca.crt", 0o444, 0, 0),
        File(cis.KUBELET_FILE, 0o600, 0, 0),
        File("/var/lib/etcd", 0o700, 60, 60),
    ]
    return Evidence(read, documents, {each.path: each for each in modes}, {10249: ("127.0.0.1",), 6443: ("::",)})


def outcomes(evidence: Evidence) -> dict[str, Outcome]:
    return {finding.id: finding.outcome for finding in cis.audit(evidence)}


# What is not settled by what a node renders, but may be by what somebody configures.
OPEN = {"1.2.3", "1.3.1"}


def test_what_this_system_renders_passes_every_rule() -> None:
    judged = {rule.id for rule in cis.RULES}
    found = [f for f in cis.audit(rendered()) if f.id in judged and f.outcome is not Outcome.PASS]
    assert {f.id: f.outcome for f in found} == dict.fromkeys(OPEN, Outcome.MANUAL)


def test_a_node_that_runs_nothing_fails_nothing() -> None:
    found = cis.audit(Evidence({}, {}, {}))
    assert {f.outcome for f in found} == {Outcome.NOT_APPLICABLE, Outcome.MANUAL}


def test_rules_have_ids_of_their_own_and_come_in_order() -> None:
    ids = [finding.id for finding in cis.audit(rendered())]
    assert len(ids) == len(set(ids)) == len(cis.RULES) + len(MANUAL)
    assert ids.index("1.2.9") < ids.index("1.2.10") < ids.index("5.1.1")


def test_what_a_person_has_to_judge_says_what_to_look_at() -> None:
    found = {f.id: f for f in cis.audit(rendered()) if f.outcome is Outcome.MANUAL}
    assert set(found) == OPEN | {each.id for each in MANUAL}
    assert "enable-admission-plugins in cluster.apiServer.extraArgs" in found["1.2.3"].evidence
    assert "system:masters" in found["5.1.7"].evidence
    assert outcomes(with_flag("kube-apiserver", "enable-admission-plugins", "NodeRestriction,DenyServiceExternalIPs"))[
        "1.2.3"
    ] is (Outcome.PASS)


@pytest.mark.parametrize(
    ("addresses", "outcome"),
    [(("127.0.0.1",), Outcome.PASS), ((), Outcome.PASS), (("127.0.0.1", "::"), Outcome.FAIL)],
)
def test_metrics_of_kube_proxy_are_for_the_node_only(addresses: tuple[str, ...], outcome: Outcome) -> None:
    assert outcomes(rendered()._replace(listening={10249: addresses}))["4.3.1"] is outcome


def test_a_pod_s_processes_are_as_many_as_the_configuration_says() -> None:
    given = kubelet.KubeletInput("n", ("10.0.0.1",), extra_config={"podPidsLimit": -1})
    assert kubelet.configuration(given)["podPidsLimit"] == -1
    assert kubelet.configuration(given._replace(extra_config={}))["podPidsLimit"] == 4096


def test_keys_of_the_encryption_are_in_no_evidence() -> None:
    secret = "do-not-show"
    document = files.encryption(Encryption(secretbox=Secret(secret))) or {}
    evidence = rendered()
    changed = evidence._replace(documents={**evidence.documents, paths.ENCRYPTION: document})
    assert secret not in str(list(cis.audit(changed)))


def with_flag(program: str, name: str, value: str | None) -> Evidence:
    evidence = rendered()
    flags: dict[str, Any] = {key: dict(each) for key, each in evidence.flags.items()}
    flags[program].pop(name, None)
    if value is not None:
        flags[program][name] = (value,)
    return evidence._replace(flags=flags)


@pytest.mark.parametrize(
    ("rule", "program", "flag", "value"),
    [
        ("1.2.2", "kube-apiserver", "token-auth-file", "/x"),
        ("1.2.5", "kube-apiserver", "kubelet-certificate-authority", None),
        ("1.2.10", "kube-apiserver", "enable-admission-plugins", "NodeRestriction,AlwaysAdmit"),
        ("1.2.12", "kube-apiserver", "disable-admission-plugins", "ServiceAccount"),
        ("1.2.14", "kube-apiserver", "enable-admission-plugins", "X"),
        ("1.2.15", "kube-apiserver", "profiling", "true"),
        ("1.2.17", "kube-apiserver", "audit-log-maxage", "29"),
        ("1.2.27", "kube-apiserver", "encryption-provider-config", None),
        ("1.2.29", "kube-apiserver", "tls-cipher-suites", "TLS_RSA_WITH_AES_128_CBC_SHA"),
        ("1.3.6", "kube-controller-manager", "feature-gates", "RotateKubeletServerCertificate=false"),
        ("1.3.7", "kube-controller-manager", "bind-address", "0.0.0.0"),
        ("1.4.1", "kube-scheduler", "profiling", None),
        ("2.2", "etcd", "client-cert-auth", None),
        ("2.3", "etcd", "auto-tls", "true"),
        ("2.7", "etcd", "trusted-ca-file", "/system/secrets/kubernetes/ca.crt"),
    ],
)
def test_a_flag_that_is_wrong_fails_its_rule_and_no_other(
    rule: str, program: str, flag: str, value: str | None
) -> None:
    found = outcomes(with_flag(program, flag, value))
    assert found[rule] is Outcome.FAIL
    assert {id for id, outcome in found.items() if outcome is Outcome.FAIL} - {rule} <= {"1.2.14", "1.2.10"}


@pytest.mark.parametrize(
    ("rule", "path", "document"),
    [
        ("1.2.1", paths.AUTHENTICATION, {}),
        ("1.2.1", paths.AUTHENTICATION, {"anonymous": {"enabled": True, "conditions": [{"path": "/api"}]}}),
        ("1.2.6", paths.AUTHORIZATION, {"authorizers": [{"type": "AlwaysAllow"}]}),
        ("1.2.7", paths.AUTHORIZATION, {"authorizers": [{"type": "RBAC"}]}),
        ("1.2.8", paths.AUTHORIZATION, {"authorizers": [{"type": "Node"}]}),
        ("4.2.1", cis.KUBELET_FILE, {"authentication": {"anonymous": {"enabled": True}}}),
        ("4.2.2", cis.KUBELET_FILE, {"authorization": {"mode": "AlwaysAllow"}}),
        ("4.2.4", cis.KUBELET_FILE, {"readOnlyPort": 10255}),
        ("1.2.28", paths.ENCRYPTION, {"resources": [{"resources": ["secrets"], "providers": [{"identity": {}}]}]}),
        ("1.2.28", paths.ENCRYPTION, {"resources": [{"resources": ["configmaps"], "providers": [{"kms": {}}]}]}),
        ("4.2.8", cis.KUBELET_FILE, {"eventRecordQPS": -1}),
        ("4.2.13", cis.KUBELET_FILE, {"podPidsLimit": -1}),
        ("4.2.14", cis.KUBELET_FILE, {}),
    ],
)
def test_a_document_that_is_wrong_fails_its_rule(rule: str, path: str, document: dict[str, Any]) -> None:
    evidence = rendered()
    changed = evidence._replace(documents={**evidence.documents, path: document})
    assert outcomes(changed)[rule] is Outcome.FAIL


@pytest.mark.parametrize(
    ("rule", "file"),
    [
        ("1.1.1", File("/system/etc/kubernetes/manifests/x.yaml", 0o644, 0, 0)),
        ("1.1.11", File("/var/lib/etcd", 0o755, 60, 60)),
        ("1.1.21", File("/system/secrets/etcd/x.key", 0o444, 0, 0)),
        ("1.1.21", File("/system/secrets/etcd/x.key", 0o400, 1000, 0)),
        ("4.1.9", File(cis.KUBELET_FILE, 0o644, 0, 0)),
    ],
)
def test_a_file_that_is_too_open_fails_its_rule_by_name(rule: str, file: File) -> None:
    evidence = rendered()
    changed = evidence._replace(files={**evidence.files, file.path: file})
    (finding,) = [each for each in cis.audit(changed) if each.id == rule]
    assert finding.outcome is Outcome.FAIL
    assert file.path in finding.evidence


def test_evidence_is_plain_data() -> None:
    assert msgspec.json.encode([list(each) for each in cis.audit(rendered())])
