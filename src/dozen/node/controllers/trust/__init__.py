"""Whom Kubernetes and etcd on this node trust, and how they prove who they are.

The configuration brings authorities (`roots`). From them the node makes short-lived certificates for everything that
runs on it (`jobs`, run by `issuers`), again at half of their lives, and writes them where the programs look (`files`).
Programs read their files again by themselves, so a renewal interrupts nobody.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dozen.engine.publisher import Watcher
    from dozen.machinery.plan import Controller
    from dozen.node.machine import Machine


def trust_controllers() -> Iterator[Controller]:
    """What plans from the configuration's authorities, and writes files."""
    from dozen.node.controllers.trust.files import KubeletFilesController, StaticPodSecretsController
    from dozen.node.controllers.trust.roots import RootsController

    yield from (RootsController(), StaticPodSecretsController(), KubeletFilesController())


def trust_watchers(machine: Machine) -> Iterator[Watcher]:
    """What makes keys and certificates."""
    from dozen.linux.sys import Keys
    from dozen.node.controllers.trust.issuers import Issuer
    from dozen.node.controllers.trust.jobs import JOBS

    for job in JOBS:
        yield Issuer(job, machine.store, machine, Keys())
