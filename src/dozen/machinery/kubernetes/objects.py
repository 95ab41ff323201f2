"""Kubernetes objects as plain data, and the few questions that are asked of any of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

# An object as it is in JSON. Kubernetes has hundreds of kinds and each grows with every release: modelling the fields
# that we happen to touch would be a second, worse definition of them.
Object = dict[str, Any]

# What others need goes first. Kinds that are not here come between: they may need any of these, and a workload may
# need them.
_FIRST = (
    "Namespace",
    "CustomResourceDefinition",
    "PriorityClass",
    "RuntimeClass",
    "StorageClass",
    "ServiceAccount",
    "ClusterRole",
    "ClusterRoleBinding",
    "Role",
    "RoleBinding",
    "ConfigMap",
    "Secret",
)
_LAST = ("Service", "DaemonSet", "Deployment", "StatefulSet", "CronJob", "Job", "Pod", "APIService")


class Identity(NamedTuple):
    """What an object is found by; ``namespace`` is empty for what is in none."""

    api_version: str
    kind: str
    namespace: str
    name: str

    def __str__(self) -> str:
        place = f"{self.namespace}/" if self.namespace else ""
        return f"{self.kind} {place}{self.name}"


def identity(item: Object) -> Identity:
    """Raises ValueError when the object does not say what it is."""
    metadata = item.get("metadata") or {}
    found = Identity(
        item.get("apiVersion") or "",
        item.get("kind") or "",
        metadata.get("namespace") or "",
        metadata.get("name") or "",
    )
    if not (found.api_version and found.kind and found.name):
        raise ValueError("an object needs apiVersion, kind and metadata.name")
    return found


def full_name(item: Object) -> str:
    """``namespace/name``, or the name alone of what is in no namespace."""
    metadata = item["metadata"]
    return f"{metadata['namespace']}/{metadata['name']}" if metadata.get("namespace") else str(metadata["name"])


def laid_over(base: Mapping[str, Any], over: Mapping[str, Any]) -> Object:
    """``over`` upon ``base``, mapping by mapping; lists and values are replaced."""
    found = dict(base)
    for name, value in over.items():
        below = found.get(name)
        both = isinstance(below, Mapping) and isinstance(value, Mapping)
        found[name] = laid_over(below, value) if both else value  # type: ignore[arg-type]
    return found


def in_order(items: Iterable[Object]) -> list[Object]:
    """The objects so that what others need comes first; otherwise as given."""
    return sorted(items, key=lambda item: _rank(str(item.get("kind"))))


def _rank(kind: str) -> int:
    if kind in _FIRST:
        return _FIRST.index(kind)
    return len(_FIRST) + (1 + _LAST.index(kind) if kind in _LAST else 0)


def expand(item: Object) -> Iterator[Object]:
    """The object, or what is in it when it is a list."""
    if str(item.get("kind", "")).endswith("List") and isinstance(item.get("items"), list):
        yield from item["items"]
    else:
        yield item


def parse_manifest(text: str, source: str) -> tuple[Object, ...]:
    """The objects of a YAML text. Raises ValueError (a YamlError is one) that names the source and what is wrong."""
    from dozen.machinery.yaml import load_documents, plain

    found = []
    for node in load_documents(text, source):
        value = plain(node)
        if not isinstance(value, dict):
            raise ValueError(f"{source}, line {node.line}: expected an object, found something else")
        for item in expand(value):
            try:
                identity(item)
            except ValueError as error:
                raise ValueError(f"{source}, line {node.line}: {error}") from None
            found.append(item)
    return tuple(found)


def condition(item: Mapping[str, Any], type: str) -> Object | None:
    """A condition of the object's status, if it is there."""
    conditions = (item.get("status") or {}).get("conditions") or ()
    return next((each for each in conditions if each.get("type") == type), None)


def is_true(item: Mapping[str, Any], type: str) -> bool:
    """Whether a condition is there and says True."""
    found = condition(item, type)
    return found is not None and found.get("status") == "True"
