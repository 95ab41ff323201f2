"""What a node changes of its Node object, and what it leaves alone."""

from __future__ import annotations

import json
from typing import Any

import pytest

from dozen.machinery.kubernetes.nodes import (
    OWNED_ANNOTATIONS,
    OWNED_LABELS,
    OWNED_TAINTS,
    Taint,
    Wanted,
    cordon_patch,
    is_cordoned_by_us,
    may_label_itself,
    plan_node,
)


def node(labels: Any = None, annotations: Any = None, taints: Any = None) -> dict[str, Any]:
    metadata = {"name": "n", "resourceVersion": "7", "labels": labels or {}, "annotations": annotations or {}}
    return {"metadata": metadata, "spec": {"taints": taints or []}}


def merged(target: dict[str, Any], patch: dict[str, Any]) -> dict[str, Any]:
    """RFC 7396, for applying a plan to what it was made from."""
    found = dict(target)
    for name, value in patch.items():
        if value is None:
            found.pop(name, None)
        else:
            found[name] = merged(found.get(name) or {}, value) if isinstance(value, dict) else value
    return found


def test_new_labels_are_set_and_remembered() -> None:
    change = plan_node(node({"os": "linux"}), Wanted({"role": "", "zone": "a"}))
    assert change.patch == {
        "metadata": {
            "labels": {"role": "", "zone": "a"},
            "annotations": {OWNED_LABELS: '["role", "zone"]'},
            "resourceVersion": "7",
        }
    }


WANTED = Wanted({"a": "1"}, {"note": "x"}, {"dedicated": Taint("NoSchedule", "db")})


def test_the_plan_for_what_a_plan_leads_to_is_nothing() -> None:
    first = plan_node(node(), WANTED)
    assert first.patch is not None
    assert plan_node(merged(node(), first.patch), WANTED).patch is None


def test_what_is_no_longer_wanted_goes_and_what_others_set_stays() -> None:
    there = merged(node({"theirs": "t"}, {"their": "n"}, [{"key": "their", "effect": "NoExecute"}]), {})
    first = plan_node(there, WANTED)
    assert first.patch is not None
    after = merged(there, first.patch)
    second = plan_node(after, Wanted())
    assert second.patch is not None
    final = merged(after, second.patch)
    assert final["metadata"]["labels"] == {"theirs": "t"}
    assert final["metadata"]["annotations"] == {"their": "n"}
    assert final["spec"]["taints"] == [{"key": "their", "effect": "NoExecute"}]


def test_a_label_that_somebody_else_set_differently_is_theirs() -> None:
    change = plan_node(node({"a": "theirs", "b": "same"}), Wanted({"a": "ours", "b": "same"}))
    assert change.patch is None
    assert change.conflicts == ("a",)


def test_an_own_label_follows_the_configuration() -> None:
    change = plan_node(node({"a": "1"}, {OWNED_LABELS: '["a"]'}), Wanted({"a": "2"}))
    assert change.patch is not None
    assert change.patch["metadata"]["labels"] == {"a": "2"}
    assert "annotations" not in change.patch["metadata"]


def test_a_taint_of_the_registration_is_kept_with_its_time() -> None:
    there = [{"key": "k", "effect": "NoSchedule", "timeAdded": "2026-01-01T00:00:00Z"}]
    change = plan_node(node(taints=there), Wanted(taints={"k": Taint("NoSchedule")}))
    assert change.patch is not None
    assert "spec" not in change.patch
    assert json.loads(change.patch["metadata"]["annotations"][OWNED_TAINTS]) == ["k"]


def test_a_taint_changes_its_effect() -> None:
    there = node(annotations={OWNED_TAINTS: '["k"]'}, taints=[{"key": "k", "effect": "NoSchedule"}])
    change = plan_node(there, Wanted(taints={"k": Taint("NoExecute")}))
    assert change.patch is not None
    assert change.patch["spec"] == {"taints": [{"key": "k", "effect": "NoExecute"}]}


def test_a_worker_leaves_taints_alone() -> None:
    assert plan_node(node(taints=[{"key": "k", "effect": "NoSchedule"}]), Wanted(taints=None)).patch is None


def test_an_unreadable_memory_remembers_nothing() -> None:
    change = plan_node(node({"a": "1"}, {OWNED_LABELS: "{", OWNED_ANNOTATIONS: '{"a": 1}'}), Wanted({"a": "2"}))
    assert change.conflicts == ("a",)


@pytest.mark.parametrize(
    ("key", "allowed"),
    [
        ("role", True),
        ("example.org/role", True),
        ("kubernetes.io/hostname", True),
        ("topology.kubernetes.io/zone", True),
        ("node.kubernetes.io/speed", True),
        ("my.node.kubernetes.io/speed", True),
        ("node-role.kubernetes.io/control-plane", False),
        ("node-restriction.kubernetes.io/tenant", False),
        ("kubernetes.io/role", False),
        ("x.k8s.io/role", False),
        ("mykubernetes.io/role", True),
    ],
)
def test_labels_that_a_node_may_give_itself(key: str, allowed: bool) -> None:
    assert may_label_itself(key) is allowed


def test_cordoning_is_remembered_and_undone() -> None:
    cordoned = merged(node(), cordon_patch(cordoned=True))
    assert is_cordoned_by_us(cordoned)
    assert cordoned["spec"]["unschedulable"] is True
    back = merged(cordoned, cordon_patch(cordoned=False))
    assert not is_cordoned_by_us(back)
    assert "unschedulable" not in back["spec"]
