"""Whether an object that was applied has taken effect, judged by its status; questions without I/O.

A definition (a kind of its own, a namespace) is asked because what comes behind it needs it. A workload is asked,
because applying it says nothing about whether its pods ever run.
"""

from __future__ import annotations

from collections.abc import Callable

from dozen.machinery.kubernetes.objects import Object, condition, identity, is_true

DEFINITIONS = ("Namespace", "CustomResourceDefinition")


def is_usable(item: Object) -> bool:
    """Whether objects that need this definition may be sent; true of kinds that nothing has to wait for."""
    if item.get("kind") == "CustomResourceDefinition":
        return is_true(item, "Established")
    if item.get("kind") == "Namespace":
        return (item.get("status") or {}).get("phase") == "Active"
    return True


def defined_kinds(item: Object) -> list[tuple[str, str]]:
    """(apiVersion, kind) that a CustomResourceDefinition makes, as far as they are served."""
    if item.get("kind") != "CustomResourceDefinition":
        return []
    spec = item["spec"]
    served = [each["name"] for each in spec.get("versions") or () if each.get("served")]
    return [(f"{spec['group']}/{version}", spec["names"]["kind"]) for version in served]


def why_unusable(item: Object) -> str:
    """What a definition says of itself while it is not usable: which of its names is taken, most often."""
    refusals = [condition(item, type) for type in ("NamesAccepted", "Established")]
    said = [each["message"] for each in refusals if each and each.get("status") != "True" and each.get("message")]
    phase = (item.get("status") or {}).get("phase")
    return "; ".join(said) or (f"it is {str(phase).lower()}" if phase else "the API server has not said why")


def rollout_problem(item: Object) -> str:
    """What a workload still waits for, empty when all of its pods are of its present version and available. Counted as
    `kubectl rollout status` does."""
    count = _COUNTS.get(str(item.get("kind")))
    if count is None:
        return ""
    status = item.get("status") or {}
    if status.get("observedGeneration", 0) < item["metadata"].get("generation", 1):
        return f"{_name(item)}: no controller has looked at it yet"
    wanted, updated, available = count(item, status)
    ready = min(updated, available)
    if ready >= wanted:
        return ""
    reasons = [each["message"] for each in status.get("conditions") or () if _tells(each)]
    return f"{_name(item)}: {ready} of {wanted} pods are up to date and available" + "".join(
        f" ({reason})" for reason in reasons[:1]
    )


def _tells(each: Object) -> bool:
    """Conditions of a Deployment that say what is wrong: quotas, and time that ran out."""
    failed = each.get("type") == "ReplicaFailure" and each.get("status") == "True"
    late = each.get("type") == "Progressing" and each.get("status") == "False"
    return (failed or late) and bool(each.get("message"))


def _name(item: Object) -> str:
    return str(identity(item))


# Wanted, of the present version, and available pods.
_Counts = Callable[[Object, Object], tuple[int, int, int]]


def _replicas(item: Object, status: Object) -> tuple[int, int, int]:
    return item["spec"].get("replicas", 1), status.get("updatedReplicas", 0), status.get("availableReplicas", 0)


def _on_nodes(item: Object, status: Object) -> tuple[int, int, int]:
    return (
        status.get("desiredNumberScheduled", 0),
        status.get("updatedNumberScheduled", 0),
        status.get("numberAvailable", 0),
    )


_COUNTS: dict[str, _Counts] = {"Deployment": _replicas, "StatefulSet": _replicas, "DaemonSet": _on_nodes}
WORKLOADS = tuple(_COUNTS)
