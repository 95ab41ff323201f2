"""Which controllers and watchers a node runs: the table that the engine is filled from.

What needs a kernel of its own stays out of a machine that is a container: there the host owns links, clock and disks.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from dozen.node.controllers.identity import CertificateIssuer, CertSansController, IdentityFilesController
from dozen.node.controllers.status import MachineStatusController

if TYPE_CHECKING:
    from dozen.engine.publisher import Watcher
    from dozen.machinery.plan import Controller
    from dozen.node.machine import Machine


def controllers(machine: Machine) -> Iterator[Controller]:
    """Everything that plans."""
    yield MachineStatusController()
    yield CertSansController()
    yield IdentityFilesController()


def watchers(machine: Machine) -> Iterator[Watcher]:
    """Everything that observes."""
    yield CertificateIssuer(machine.store)
