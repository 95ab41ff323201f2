"""Whether what was applied has taken effect, from objects as an API server gives them."""

from __future__ import annotations

from typing import Any

import pytest

from dozen.machinery.kubernetes import rollouts

CRD: dict[str, Any] = {
    "kind": "CustomResourceDefinition",
    "spec": {
        "group": "example.org",
        "names": {"kind": "Thing"},
        "versions": [{"name": "v1", "served": True}, {"name": "v1beta1", "served": False}],
    },
}
TAKEN = {"type": "NamesAccepted", "status": "False", "message": '"Thing" is already in use'}


def with_status(item: dict[str, Any], **status: Any) -> dict[str, Any]:
    return {**item, "status": status}


@pytest.mark.parametrize(
    ("item", "usable"),
    [
        (CRD, False),
        (with_status(CRD, conditions=[{"type": "Established", "status": "False"}]), False),
        (with_status(CRD, conditions=[{"type": "Established", "status": "True"}]), True),
        ({"kind": "Namespace"}, False),
        (with_status({"kind": "Namespace"}, phase="Terminating"), False),
        (with_status({"kind": "Namespace"}, phase="Active"), True),
        ({"kind": "ConfigMap"}, True),
    ],
)
def test_a_definition_is_usable_when_its_status_says_so(item: dict[str, Any], usable: bool) -> None:
    assert rollouts.is_usable(item) is usable


@pytest.mark.parametrize(
    ("item", "said"),
    [
        (with_status(CRD, conditions=[TAKEN]), '"Thing" is already in use'),
        (with_status({"kind": "Namespace"}, phase="Terminating"), "it is terminating"),
        (CRD, "the API server has not said why"),
    ],
)
def test_why_a_definition_is_not_usable(item: dict[str, Any], said: str) -> None:
    assert rollouts.why_unusable(item) == said


def test_kinds_are_those_that_are_served() -> None:
    assert rollouts.defined_kinds(CRD) == [("example.org/v1", "Thing")]
    assert rollouts.defined_kinds({"kind": "Namespace"}) == []


def workload(kind: str, replicas: int | None = None, **status: Any) -> dict[str, Any]:
    spec = {} if replicas is None else {"replicas": replicas}
    metadata = {"name": "it", "namespace": "kube-system", "generation": 2}
    return {"apiVersion": "apps/v1", "kind": kind, "metadata": metadata, "spec": spec, "status": status}


SEEN: dict[str, Any] = {"observedGeneration": 2}
QUOTA = {"type": "ReplicaFailure", "status": "True", "message": "exceeded quota"}
FINE = {"type": "Available", "status": "False", "message": "not enough yet"}


@pytest.mark.parametrize(
    ("item", "said"),
    [
        (workload("Deployment", 2, observedGeneration=1), "no controller has looked at it yet"),
        (workload("Deployment", 2, **SEEN), "0 of 2 pods are up to date and available"),
        (workload("Deployment", **SEEN), "0 of 1 pods are up to date and available"),
        (workload("Deployment", 2, updatedReplicas=1, availableReplicas=2, **SEEN), "1 of 2 pods are up to date and"),
        (workload("Deployment", 2, updatedReplicas=2, availableReplicas=2, **SEEN), ""),
        (workload("Deployment", 0, **SEEN), ""),
        (workload("Deployment", 1, conditions=[FINE, QUOTA], **SEEN), "available (exceeded quota)"),
        (workload("StatefulSet", 3, updatedReplicas=3, availableReplicas=1, **SEEN), "1 of 3 pods"),
        (
            workload("DaemonSet", desiredNumberScheduled=3, updatedNumberScheduled=3, numberAvailable=2, **SEEN),
            "2 of 3",
        ),
        (workload("DaemonSet", desiredNumberScheduled=0, **SEEN), ""),
        (workload("ConfigMap"), ""),
    ],
)
def test_what_a_rollout_waits_for(item: dict[str, Any], said: str) -> None:
    found = rollouts.rollout_problem(item)
    assert said in found
    assert bool(said) == bool(found)
    assert not found or found.startswith(f"{item['kind']} kube-system/it: ")
