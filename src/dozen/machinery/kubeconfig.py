"""Kubernetes' client configuration: reading one, pointing it elsewhere, merging it into a person's.

The file names clusters, users and contexts in three lists and ties a user to a cluster by a context. Only what is
needed to talk to a cluster is understood (`Access`); everything else of a person's file is kept as it is.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Any

import msgspec

from dozen.machinery import yaml

LISTS = {"clusters": "cluster", "users": "user", "contexts": "context"}


class KubeconfigError(ValueError):
    """The configuration cannot be used; the message says where and why."""


class Access(msgspec.Struct, frozen=True):
    """How to reach a cluster and as whom. ``ca``, ``crt`` and ``key`` are PEM text."""

    server: str
    ca: str
    crt: str
    key: str

    def __repr__(self) -> str:
        return f"Access(server={self.server!r}, key=<hidden>)"


def parse(text: str, source: str = "kubeconfig") -> dict[str, Any]:
    """The file as plain data with its three lists; an empty file has empty ones."""
    try:
        data = yaml.load(text, source)
    except yaml.YamlError as error:
        raise KubeconfigError(str(error)) from None
    if data is None:
        data = {}
    if not isinstance(data, dict):
        raise KubeconfigError(f"{source}: expected a mapping")
    for plural in LISTS:
        entries = data.get(plural) or []
        if not isinstance(entries, list) or not all(isinstance(entry, dict) and "name" in entry for entry in entries):
            raise KubeconfigError(f"{source}: {plural}: expected a list of entries with names")
        data[plural] = entries
    return {"apiVersion": "v1", "kind": "Config", **data}


def render(config: Mapping[str, Any]) -> str:
    return yaml.dump(dict(config))


def selected(config: Mapping[str, Any], source: str = "kubeconfig") -> Access:
    """What the current context says. Raises KubeconfigError for one without certificates in the file."""
    context = _entry(config, "contexts", config.get("current-context") or "", source)
    cluster = _entry(config, "clusters", context.get("cluster") or "", source)
    user = _entry(config, "users", context.get("user") or "", source)
    return Access(
        str(cluster.get("server") or ""),
        _pem(cluster, "certificate-authority-data", source),
        _pem(user, "client-certificate-data", source),
        _pem(user, "client-key-data", source),
    )


def with_server(config: Mapping[str, Any], server: str) -> dict[str, Any]:
    """The same configuration with all its clusters at ``server``."""
    clusters = [{**entry, "cluster": {**entry.get("cluster", {}), "server": server}} for entry in config["clusters"]]
    return {**config, "clusters": clusters}


def merge(base: Mapping[str, Any], theirs: Mapping[str, Any]) -> dict[str, Any]:
    """``theirs`` laid over ``base``: entries of the same name are replaced, their context becomes the current one."""
    merged = {**base}
    for plural in LISTS:
        names = {entry["name"] for entry in theirs[plural]}
        merged[plural] = [entry for entry in base[plural] if entry["name"] not in names] + list(theirs[plural])
    merged["current-context"] = theirs.get("current-context") or base.get("current-context") or ""
    return merged


def forget(base: Mapping[str, Any], ca: str) -> dict[str, Any]:
    """``base`` without the clusters whose authority is ``ca`` (PEM), and without what leads to them only."""
    encoded = base64.b64encode(ca.encode()).decode()
    gone = {each["name"] for each in base["clusters"] if _inner(each, "clusters").get(CA) == encoded}
    contexts = [entry for entry in base["contexts"] if _inner(entry, "contexts").get("cluster") not in gone]
    dropped = [entry for entry in base["contexts"] if entry not in contexts]
    used = {_inner(entry, "contexts").get("user") for entry in contexts}
    orphans = {_inner(entry, "contexts").get("user") for entry in dropped} - used
    current = base.get("current-context") or ""
    return {
        **base,
        "clusters": [entry for entry in base["clusters"] if entry["name"] not in gone],
        "contexts": contexts,
        "users": [entry for entry in base["users"] if entry["name"] not in orphans],
        "current-context": current if any(entry["name"] == current for entry in contexts) else "",
    }


CA = "certificate-authority-data"


def _inner(entry: Mapping[str, Any], plural: str) -> Mapping[str, Any]:
    inner = entry.get(LISTS[plural])
    return inner if isinstance(inner, dict) else {}


def _entry(config: Mapping[str, Any], plural: str, name: str, source: str) -> Mapping[str, Any]:
    for entry in config[plural]:
        if entry["name"] == name:
            return _inner(entry, plural)
    raise KubeconfigError(f'{source}: there is no entry "{name}" in {plural}')


def _pem(inner: Mapping[str, Any], key: str, source: str) -> str:
    try:
        return base64.b64decode(str(inner.get(key) or ""), validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        raise KubeconfigError(f"{source}: {key}: expected PEM text in base64") from None
