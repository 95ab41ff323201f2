"""Kubernetes as the node uses it: a client of its API, and the watchers that keep manifests, Node and requests."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dozen.engine.publisher import Watcher
    from dozen.machinery.plan import Controller
    from dozen.node.machine import Machine


def membership_controllers() -> Iterator[Controller]:
    """What plans the node's contribution to its cluster."""
    from dozen.node.kubernetes.specs import (
        AccessController,
        ManifestsController,
        ManifestSettingsController,
        NodeSpecsController,
    )

    yield from (ManifestSettingsController(), ManifestsController(), NodeSpecsController(), AccessController())


def membership_watchers(machine: Machine) -> Iterator[Watcher]:
    """What speaks with the cluster's API."""
    from dozen.node.kubernetes.accounts import AccountKeeper
    from dozen.node.kubernetes.answers import APIServerWatcher
    from dozen.node.kubernetes.api import KubernetesApi
    from dozen.node.kubernetes.apply import ManifestApplier
    from dozen.node.kubernetes.approver import ServingApprover
    from dozen.node.kubernetes.diagnosis import MembershipDiagnosis
    from dozen.node.kubernetes.download import ManifestDownloader
    from dozen.node.kubernetes.member import NodeMember
    from dozen.node.kubernetes.pods import StaticPodWatcher

    api = KubernetesApi(machine.store, logging.getLogger("dozen.kubernetes"))
    yield ManifestDownloader(machine.store, machine)
    yield ManifestApplier(api, machine.store, machine)
    yield NodeMember(api, machine.store, machine)
    yield StaticPodWatcher(api, machine.store)
    yield ServingApprover(api)
    yield MembershipDiagnosis(machine.store, machine)
    yield APIServerWatcher(api)
    yield AccountKeeper(api, machine.store)
