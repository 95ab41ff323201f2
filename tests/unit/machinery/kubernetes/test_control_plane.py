"""The control plane's command lines, files and pods, and the kubelet's."""

from __future__ import annotations

from typing import Any

import pytest

from dozen.machinery.config.kubernetes import AdmissionPlugin, Authorizer
from dozen.machinery.config.kubernetes_secrets import Encryption
from dozen.machinery.config.scalars import Secret
from dozen.machinery.kubernetes import arguments, files, kubelet, paths, pods

API = arguments.apiserver_flags(
    port=6443,
    advertised="10.0.0.1",
    service_subnets=("10.96.0.0/12",),
    issuers=("https://a", "https://b"),
    audiences=("c",),
    encrypted=True,
)


def test_flags_are_one_text_for_each_value_in_order() -> None:
    assert arguments.command_line({"b": ("1", "2"), "a": ("x",)}) == ("--a=x", "--b=1", "--b=2")


@pytest.mark.parametrize(
    ("said", "name", "expected"),
    [
        ({"audit-log-maxage": ("5",)}, "audit-log-maxage", ("5",)),
        ({"v": ("4",)}, "v", ("4",)),
        ({"enable-admission-plugins": ("A,NodeRestriction",)}, "enable-admission-plugins", ("NodeRestriction,A",)),
        ({"feature-gates": ("X=true", "Y=true")}, "feature-gates", ("X=true", "Y=true")),
        ({"etcd-servers": ("https://elsewhere",)}, "etcd-servers", ("https://127.0.0.1:2379",)),
        ({"tls-cert-file": ("/x",)}, "tls-cert-file", ("/system/secrets/kubernetes/kube-apiserver/apiserver.crt",)),
    ],
)
def test_a_configuration_replaces_adds_or_is_ignored(said: dict[str, Any], name: str, expected: tuple[str]) -> None:
    assert arguments.merged(paths.APISERVER, API, said)[name] == expected


def test_what_is_fixed_is_what_the_node_says() -> None:
    manager = arguments.controller_manager_flags(pod_subnets=(), service_subnets=())
    for program, ours in ((paths.APISERVER, API), (paths.CONTROLLER_MANAGER, manager)):
        assert arguments.FIXED[program] <= set(ours)
    assert arguments.FIXED[paths.SCHEDULER] <= set(arguments.scheduler_flags())


def test_the_api_server_is_as_secure_as_it_should_be_by_default() -> None:
    assert API["authentication-config"] == (paths.AUTHENTICATION,)
    assert "anonymous-auth" not in API  # the authentication configuration decides, and both are refused
    assert API["profiling"] == ("false",)
    assert API["tls-min-version"] == ("VersionTLS12",)
    assert API["encryption-provider-config"] == (paths.ENCRYPTION,)
    assert API["kubelet-certificate-authority"] == ("/system/secrets/kubernetes/kube-apiserver/ca.crt",)
    assert API["service-account-issuer"] == ("https://a", "https://b")
    assert API["api-audiences"] == ("https://a,https://b,c",)


@pytest.mark.parametrize(
    ("subnets", "masks", "expected"),
    [
        (("10.244.0.0/16",), (26, 0), {"node-cidr-mask-size": ("26",)}),
        (("fd00::/56",), (0, 64), {"node-cidr-mask-size": ("64",)}),
        (
            ("10.244.0.0/16", "fd00::/56"),
            (26, 64),
            {"node-cidr-mask-size-ipv4": ("26",), "node-cidr-mask-size-ipv6": ("64",)},
        ),
        (("10.244.0.0/16",), (0, 0), {}),
    ],
)
def test_masks_of_pod_subnets_are_given_in_the_right_flag(
    subnets: tuple[str, ...], masks: tuple[int, int], expected: dict[str, Any]
) -> None:
    flags = arguments.controller_manager_flags(
        pod_subnets=subnets, service_subnets=("10.96.0.0/12",), mask_ipv4=masks[0], mask_ipv6=masks[1]
    )
    assert {name: value for name, value in flags.items() if name.startswith("node-cidr")} == expected


def test_only_liveness_may_be_asked_without_an_identity_unless_said_otherwise() -> None:
    found = files.authentication({})
    assert [each["path"] for each in found["anonymous"]["conditions"]] == ["/healthz", "/livez", "/readyz"]
    assert files.authentication({"anonymous": {"enabled": False}})["anonymous"] == {"enabled": False}


@pytest.mark.parametrize(
    ("said", "providers"),
    [
        (Encryption({}, Secret("a"), Secret("b")), ["secretbox", "aescbc", "identity"]),
        (Encryption({}, Secret(""), Secret("b")), ["aescbc", "identity"]),
    ],
)
def test_secrets_are_encrypted_by_the_first_key_and_older_ones_can_be_read(
    said: Encryption, providers: list[str]
) -> None:
    found = files.encryption(said)
    assert found is not None
    (rule,) = found["resources"]
    assert [name for each in rule["providers"] for name in each] == providers


def test_without_a_key_or_with_a_document_there_is_that() -> None:
    assert files.encryption(Encryption()) is None
    assert files.encryption(Encryption({"kind": "X"})) == {"kind": "X"}


def test_admission_authorization_and_scheduler_say_who_they_are() -> None:
    plugins = files.admission([AdmissionPlugin("P", {"a": 1})])
    assert plugins["plugins"] == [{"name": "P", "configuration": {"a": 1}}]
    found = files.authorization([Authorizer("Node", "node"), Authorizer("Webhook", "w", {"timeout": "3s"})])
    assert found["authorizers"] == [
        {"type": "Node", "name": "node"},
        {"type": "Webhook", "name": "w", "webhook": {"timeout": "3s"}},
    ]
    scheduler = files.scheduler({"parallelism": 4, "clientConnection": {"qps": 5}})
    assert scheduler["parallelism"] == 4
    assert scheduler["clientConnection"] == {
        "qps": 5,
        "kubeconfig": "/system/secrets/kubernetes/kube-scheduler/kubeconfig",
    }


PROGRAMS = [
    pods.Program("kube-apiserver", "i", 65534, ("--a=1",), port=6443, versions={"v": "1"}),
    pods.Program("kube-controller-manager", "i", 65536, ()),
    pods.Program("kube-scheduler", "i", 65537, (), env={"A": "b"}, resources={"requests": {"cpu": "1"}}),
]


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda it: it.name)
def test_each_pod_is_confined_important_and_patient(program: pods.Program) -> None:
    pod = pods.static_pod(program)
    spec = pod["spec"]
    (container,) = spec["containers"]
    assert spec["hostNetwork"] is True
    assert spec["priorityClassName"] == "system-node-critical"
    assert spec["securityContext"]["runAsUser"] == program.uid
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert container["command"] == [f"/usr/local/bin/{program.name}"]
    assert container["livenessProbe"]["periodSeconds"] >= 10
    assert container["resources"]["requests"]
    mounted = {mount["name"]: mount.get("readOnly", False) for mount in container["volumeMounts"]}
    assert set(mounted) == {volume["name"] for volume in spec["volumes"]}
    assert [name for name, readonly in mounted.items() if not readonly] == (
        ["audit"] if program.name == "kube-apiserver" else []
    )


def test_a_pod_takes_what_the_configuration_adds() -> None:
    volume = pods.HostDirectory("extra", "/host", "/inside", False)
    pod = pods.static_pod(PROGRAMS[2]._replace(volumes=[volume]))
    (container,) = pod["spec"]["containers"]
    assert {"name": "extra", "mountPath": "/inside"} in container["volumeMounts"]
    assert container["env"] == [{"name": "A", "value": "b"}]
    assert container["resources"] == {"requests": {"cpu": "1"}}


KUBELET = kubelet.KubeletInput("n", ("10.0.0.1",), ("10.96.0.10",))


def test_the_kubelet_is_restricted_and_renews_its_certificates() -> None:
    found = kubelet.configuration(KUBELET)
    assert found["authentication"]["anonymous"] == {"enabled": False}
    assert found["authorization"] == {"mode": "Webhook"}
    assert found["readOnlyPort"] == 0
    assert found["rotateCertificates"] is True
    assert found["serverTLSBootstrap"] is True
    assert found["protectKernelDefaults"] is True
    assert found["seccompDefault"] is True
    assert found["staticPodPath"] == "/etc/kubernetes/manifests"


def test_what_the_configuration_says_is_laid_over_the_kubelet_s_own() -> None:
    extra = {"maxPods": 50, "authentication": {"webhook": {"cacheTTL": "1m"}}}
    found = kubelet.configuration(KUBELET._replace(extra_config=extra, taints={"k": "v:NoSchedule", "e": ":NoExecute"}))
    assert found["maxPods"] == 50
    assert found["authentication"]["webhook"] == {"enabled": True, "cacheTTL": "1m"}
    assert found["authentication"]["anonymous"] == {"enabled": False}
    assert found["registerWithTaints"] == [
        {"key": "k", "effect": "NoSchedule", "value": "v"},
        {"key": "e", "effect": "NoExecute"},
    ]


@pytest.mark.parametrize(("control_plane", "asks"), [(True, False), (False, True)])
def test_only_a_worker_asks_for_its_first_certificate(control_plane: bool, asks: bool) -> None:
    found = kubelet.arguments(
        KUBELET._replace(control_plane=control_plane, extra_args={"v": ("4",), "config": ("/x",)})
    )
    assert ("--bootstrap-kubeconfig=/etc/kubernetes/bootstrap-kubeconfig" in found) is asks
    assert "--config=/etc/kubernetes/kubelet.yaml" in found
    assert "--v=4" in found
    assert "--node-ip=10.0.0.1" in found


def test_pods_get_the_name_servers_that_they_can_reach() -> None:
    assert kubelet.configuration(KUBELET)["resolvConf"] == paths.RESOLV_CONF
    assert kubelet.configuration(KUBELET._replace(host_dns=True))["resolvConf"] == paths.POD_RESOLV_CONF
