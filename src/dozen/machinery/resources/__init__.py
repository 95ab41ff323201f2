"""The kinds that a node publishes, a module for each theme.

Import a kind from its module (``from dozen.machinery.resources.link import LINK_STATUS``), so that a program loads only
the themes it uses; `all_kinds` loads every one.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module

import msgspec

from dozen.machinery.resource import Kind

THEMES = (
    "meta",
    "config",
    "runtime",
    "kernel",
    "network",
    "link",
    "block",
    "hardware",
    "time",
    "files",
    "secrets",
    "operator",
    "settings",
    "clock",
    "cluster",
    "kubernetes",
    "kubeprism",
    "manifests",
    "etcd",
    "controlplane",
    "cri",
    "perf",
    "probes",
    "receivers",
    "oom",
    "watchdog",
    "routing",
    "firewall",
    "ethernet",
)

NAMESPACES = {
    "meta": "Definitions of types and namespaces",
    "config": "The machine configuration",
    "runtime": "The machine as it runs",
    "network": "The network as it is and as it should be",
    "hardware": "What the machine is made of",
    "files": "Files that change while the system runs",
    "secrets": "Keys and certificates",
    "cluster": "The cluster that the node belongs to",
    "k8s": "Kubernetes on this node",
    "controlplane": "The cluster's control plane, as far as this node is part of it",
    "etcd": "etcd on this node",
    "cri": "The runtime of containers: registries and prepared images",
    "perf": "What the machine is busy with",
    # Clients may ask here for what other systems have; nothing is there.
    "network-config": "The network as each source of settings wants it",
    "cluster-raw": "Members of the cluster as each registry tells them",
    "kubespan": "An encrypted network between nodes",
    "containers": "Containers that Kubernetes did not start",
    "security": "What images must be signed with",
    "storage": "Volumes beyond the system's own",
}


@cache
def all_kinds() -> tuple[Kind[msgspec.Struct], ...]:
    """Every kind of every theme."""
    modules = [import_module(f"{__name__}.{theme}") for theme in THEMES]
    return tuple(value for module in modules for value in vars(module).values() if isinstance(value, Kind))
