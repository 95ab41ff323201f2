"""The host around Kubernetes, as the configuration wants it: variables, files, trust, names, the way to the API."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dozen.engine.publisher import Watcher
    from dozen.machinery.plan import Controller
    from dozen.node.machine import Machine


def host_controllers(managed: bool) -> Iterator[Controller]:
    """Everything that plans. A container (not ``managed``) has its /var from who made it."""
    from dozen.node.controllers.host.environment import EnvironmentController
    from dozen.node.controllers.host.files import HostFileController, PlacingController
    from dozen.node.controllers.host.receivers import ReceiversController
    from dozen.node.controllers.host.watchdog import WatchdogController
    from dozen.node.controllers.kubernetes.kubeprism import KubePrismController
    from dozen.node.controllers.network.hostdns import HostDNSAddressController, HostDNSController
    from dozen.node.controllers.network.probes import ProbeController

    yield EnvironmentController()
    yield ReceiversController()
    yield HostFileController()
    yield PlacingController(managed)
    yield from (HostDNSController(), HostDNSAddressController())
    yield KubePrismController()
    yield ProbeController()
    if managed:
        yield WatchdogController()


def host_watchers(machine: Machine) -> Iterator[Watcher]:
    """What serves on the node. Each loads its server when the configuration wants it."""
    from dozen.node.controllers.block.trim import TrimWatcher
    from dozen.node.controllers.host.oom import OomWatcher
    from dozen.node.controllers.host.watchdog import WatchdogWatcher
    from dozen.node.controllers.network.probes import ProbeWatcher
    from dozen.node.hostdns.watcher import HostDNSWatcher
    from dozen.node.kubeprism.watcher import KubePrismWatcher
    from dozen.node.sending.debug import DebugWatcher
    from dozen.node.sending.watcher import SendingWatcher

    yield HostDNSWatcher(machine.store)
    yield KubePrismWatcher(machine.store)
    yield SendingWatcher(machine)
    yield DebugWatcher(machine.store, machine.logs)
    yield ProbeWatcher(machine.store)
    if machine.mode != "container":
        yield WatchdogWatcher(machine.store, machine)
        yield TrimWatcher(machine.store, machine)
        yield OomWatcher(machine.store, machine)
