"""Who else is in the cluster: this node's identity, what sources of discovery know, and the members that follow.

The reference's nodes find each other by a public service or by Kubernetes. This system asks Kubernetes alone: a control
plane follows the cluster's Nodes. Before Kubernetes answers, a node knows itself and the cluster's endpoint, which is
enough to join by (`dozen.node.etcd.peers`, `dozen.node.trust.asking`).
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dozen.engine.publisher import Watcher
    from dozen.machinery.plan import Controller
    from dozen.node.machine import Machine


def discovery_controllers() -> tuple[Controller, ...]:
    """Everything that plans."""
    from dozen.node.controllers.discovery.members import (
        DiscoveryConfigController,
        EndpointController,
        LocalAffiliateController,
        MemberController,
    )

    return LocalAffiliateController(), MemberController(), EndpointController(), DiscoveryConfigController()


def discovery_watchers(machine: Machine) -> tuple[Watcher, ...]:
    """The node's identity; and where there are containers, what Kubernetes knows."""
    from dozen.node.controllers.discovery.identity import IdentityWatcher

    identity = IdentityWatcher(machine.store, machine.mode)
    if machine.mode == "container":
        return (identity,)
    from dozen.node.controllers.discovery.nodes import NodesWatcher
    from dozen.node.kubernetes.api import KubernetesApi

    api = KubernetesApi(machine.store, logging.getLogger("dozen.discovery"))
    return identity, NodesWatcher(api, machine.store)
