"""Which controllers and watchers a node runs: the table that the engine is filled from.

What needs a kernel of its own stays out of a machine that is a container: there the host owns links, clock and disks.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import TYPE_CHECKING

from dozen.node.controllers.identity import CertificateIssuer, CertSansController, IdentityFilesController
from dozen.node.controllers.network import names, summary
from dozen.node.controllers.settings import SettingsController
from dozen.node.controllers.status import MachineStatusController

if TYPE_CHECKING:
    from dozen.engine.publisher import Watcher
    from dozen.machinery.plan import Controller
    from dozen.node.machine import Machine


def controllers(machine: Machine) -> Iterator[Controller]:
    """Everything that plans."""
    own_kernel = machine.mode != "container"
    yield SettingsController()
    yield MachineStatusController()
    yield CertSansController()
    yield IdentityFilesController()
    yield names.HostnameSpecController()
    yield names.HostnameController()
    yield summary.NodeAddressController()
    yield summary.NetworkStatusController(managed=own_kernel)
    if not own_kernel:
        return
    from dozen.node.controllers.network import addresses, links, operators, routes, timeservers

    yield links.LinkController()
    yield operators.OperatorController()
    yield addresses.AddressSpecController()
    yield addresses.AddressController()
    yield routes.RouteSpecController()
    yield routes.RouteController()
    yield names.ResolverController()
    yield names.NameFilesController()
    yield names.EtcFileController()
    yield summary.HardwareAddressController()
    yield timeservers.TimeServerController()


def watchers(machine: Machine) -> Iterator[Watcher]:
    """Everything that observes."""
    yield CertificateIssuer(machine.store)
    from dozen.node.controllers.network.observe import NetworkWatcher

    yield NetworkWatcher()
    if machine.mode == "container":
        return
    from dozen.node.controllers.network.dhcp import DHCPOperator

    yield DHCPOperator(machine.store, logging.getLogger("dozen.dhcp"))
