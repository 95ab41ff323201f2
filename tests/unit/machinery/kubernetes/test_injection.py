"""Access to the machine API for workloads: which kinds get it, and where it is mounted."""

from __future__ import annotations

from typing import Any

import pytest

from dozen.machinery.kubernetes.injection import inject

POD = {"containers": [{"name": "a"}, {"name": "b"}], "initContainers": [{"name": "c"}]}


def workload(kind: str) -> dict[str, Any]:
    spec: dict[str, Any] = {"template": {"spec": POD}}
    if kind == "Pod":
        spec = dict(POD)
    if kind == "CronJob":
        spec = {"jobTemplate": {"spec": {"template": {"spec": POD}}}}
    return {"kind": kind, "metadata": {"name": "app", "namespace": "team"}, "spec": spec}


def pod_of(document: Any) -> Any:
    while "containers" not in document:
        document = next(document[name] for name in ("spec", "jobTemplate", "template") if name in document)
    return document


@pytest.mark.parametrize("kind", ["Pod", "Deployment", "DaemonSet", "StatefulSet", "Job", "CronJob"])
def test_every_container_of_a_workload_sees_the_secret(kind: str) -> None:
    service = {"kind": "Service", "metadata": {"name": "app"}}
    first, changed, account = inject([service, workload(kind)], ["os:reader", "os:etcd:backup"])
    assert first == service
    pod = pod_of(changed)
    assert pod["volumes"] == [{"name": "talos-secrets", "secret": {"secretName": "app-talos-secrets"}}]
    mount = {"name": "talos-secrets", "mountPath": "/var/run/secrets/talos.dev"}
    assert [each["volumeMounts"] for each in (*pod["containers"], *pod["initContainers"])] == [[mount]] * 3
    assert account == {
        "apiVersion": "talos.dev/v1alpha1",
        "kind": "ServiceAccount",
        "metadata": {"name": "app-talos-secrets", "namespace": "team"},
        "spec": {"roles": ["os:reader", "os:etcd:backup"]},
    }


def test_what_was_given_stays_as_it_was_and_nothing_is_mounted_twice() -> None:
    given = workload("Deployment")
    (once, _) = inject([given], ["os:reader"])
    assert "volumes" not in pod_of(given)
    assert inject([once], ["os:reader"])[0] == once


def test_without_a_workload_there_is_nothing_to_do() -> None:
    with pytest.raises(ValueError, match="no workload among the manifests"):
        inject([{"kind": "Service", "metadata": {"name": "app"}}, None], ["os:reader"])
