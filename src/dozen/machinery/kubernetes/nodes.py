"""What a node writes into its own Node object, and how it remembers what of that is its own.

Labels, annotations and taints come from the machine configuration, but people and programs set them too. So the node
lists the keys that it has set in three annotations, changes and removes only those, and leaves a key that somebody else
has set to another value alone. The annotations' names are those that clients of this API look for.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import NamedTuple

from dozen.machinery.kubernetes.objects import Object

OWNED_LABELS = "talos.dev/owned-labels"
OWNED_ANNOTATIONS = "talos.dev/owned-annotations"
OWNED_TAINTS = "talos.dev/owned-taints"
# Set, to "true", on a node that this system has taken out of scheduling itself.
CORDONED = "talos.dev/cordoned"

# Labels of Kubernetes' own that a kubelet may set on its node; the admission plug-in NodeRestriction refuses the others
# (k8s.io/kubernetes, pkg/kubelet/apis/well_known_labels.go).
_ALLOWED_LABELS = frozenset(
    (
        "beta.kubernetes.io/arch",
        "beta.kubernetes.io/instance-type",
        "beta.kubernetes.io/os",
        "failure-domain.beta.kubernetes.io/region",
        "failure-domain.beta.kubernetes.io/zone",
        "kubernetes.io/arch",
        "kubernetes.io/hostname",
        "kubernetes.io/os",
        "node.kubernetes.io/instance-type",
        "topology.kubernetes.io/region",
        "topology.kubernetes.io/zone",
    )
)
_ALLOWED_SUFFIXES = ("kubelet.kubernetes.io", "node.kubernetes.io")
_DOMAINS = ("kubernetes.io", "k8s.io")


class Taint(NamedTuple):
    """A taint without its key."""

    effect: str
    value: str = ""


class Wanted(NamedTuple):
    """What the node is to carry. ``taints`` None: not this identity's to change."""

    labels: Mapping[str, str] = {}
    annotations: Mapping[str, str] = {}
    taints: Mapping[str, Taint] | None = {}


class Change(NamedTuple):
    """A merge patch for the Node (None: nothing to change), and the keys that belong to somebody else."""

    patch: Object | None
    conflicts: tuple[str, ...] = ()


def plan_node(node: Object, wanted: Wanted) -> Change:
    """What to change so that the Node carries what is wanted."""
    metadata = node["metadata"]
    has_labels, has_annotations = metadata.get("labels") or {}, metadata.get("annotations") or {}
    labels = _reconcile(has_labels, wanted.labels, owned_keys(node, OWNED_LABELS))
    annotations = _reconcile(has_annotations, wanted.annotations, owned_keys(node, OWNED_ANNOTATIONS))
    conflicts = [*labels.conflicts, *annotations.conflicts]
    notes = {OWNED_LABELS: labels.owned, OWNED_ANNOTATIONS: annotations.owned}
    patch: Object = {}
    if wanted.taints is not None:
        taints, owned = _taints(node, wanted.taints)
        notes[OWNED_TAINTS] = owned
        if taints is not None:
            patch["spec"] = {"taints": taints}
    changes = {"labels": labels.changes, "annotations": {**annotations.changes, **_notes(has_annotations, notes)}}
    patch |= {"metadata": {name: change for name, change in changes.items() if change}}
    if not patch["metadata"] and "spec" not in patch:
        return Change(None, tuple(conflicts))
    # Taints are one list, which the patch replaces: it must be the list that was looked at.
    patch["metadata"]["resourceVersion"] = metadata["resourceVersion"]
    return Change(patch, tuple(conflicts))


def owned_keys(node: Object, annotation: str) -> frozenset[str]:
    """The keys that an annotation remembers as the node's own; an unreadable one remembers nothing."""
    text = (node["metadata"].get("annotations") or {}).get(annotation, "")
    try:
        keys = json.loads(text) if text else []
    except ValueError:
        return frozenset()
    return frozenset(key for key in keys if isinstance(key, str)) if isinstance(keys, list) else frozenset()


class _Outcome(NamedTuple):
    changes: dict[str, str | None]
    owned: list[str]
    conflicts: list[str]


def _reconcile(present: Mapping[str, str], wanted: Mapping[str, str], owned: frozenset[str]) -> _Outcome:
    found = _Outcome({}, [], [])
    for key, value in wanted.items():
        if key in present and key not in owned:
            if present[key] != value:
                found.conflicts.append(key)
            continue
        found.owned.append(key)
        if present.get(key) != value:
            found.changes[key] = value
    found.changes.update({key: None for key in owned if key not in wanted and key in present})
    return found


def _taints(node: Object, wanted: Mapping[str, Taint]) -> tuple[list[Object] | None, list[str]]:
    """The whole list of taints as it should be, or None when it is; and the keys that are our own.

    A key that the kubelet registered the node with is the node's own too, so here the configuration decides.
    """
    owned = owned_keys(node, OWNED_TAINTS)
    present = (node.get("spec") or {}).get("taints") or []
    kept = [each for each in present if each["key"] not in wanted and each["key"] not in owned]
    for key, taint in wanted.items():
        item = {"key": key, "effect": taint.effect} | ({"value": taint.value} if taint.value else {})
        kept.append(next((each for each in present if _same_taint(each, item)), item))
    unchanged = len(kept) == len(present) and all(each in present for each in kept)
    return None if unchanged else kept, list(wanted)


def _same_taint(one: Object, other: Object) -> bool:
    return all((one.get(name) or "") == (other.get(name) or "") for name in ("key", "effect", "value"))


def _notes(present: Mapping[str, str], notes: Mapping[str, list[str]]) -> dict[str, str | None]:
    """The changes of the annotations that remember what is our own; an empty one is left out."""
    found: dict[str, str | None] = {}
    for name, keys in notes.items():
        text = json.dumps(sorted(keys)) if keys else None
        if present.get(name) != text:
            found[name] = text
    return found


def may_label_itself(key: str) -> bool:
    """Whether a node may give itself a label with its kubelet's identity (NodeRestriction)."""
    prefix = key.partition("/")[0] if "/" in key else ""
    if not any(prefix == domain or prefix.endswith(f".{domain}") for domain in _DOMAINS):
        return True
    suffixes = _ALLOWED_SUFFIXES
    return key in _ALLOWED_LABELS or any(prefix == each or prefix.endswith(f".{each}") for each in suffixes)


def cordon_patch(*, cordoned: bool) -> Object:
    """A merge patch that takes a node out of scheduling, remembering that we did, or puts it back."""
    return {
        "metadata": {"annotations": {CORDONED: "true" if cordoned else None}},
        "spec": {"unschedulable": True if cordoned else None},
    }


def is_cordoned_by_us(node: Object) -> bool:
    return (node["metadata"].get("annotations") or {}).get(CORDONED) == "true"
