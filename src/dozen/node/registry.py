"""Which controllers and watchers a node runs: the table that the engine is filled from.

There are three waves. The first is what it takes to answer the API: configuration, network, certificate. The second
brings /var, which containerd waits for. The third is the rest of the machine; importing it first would only keep
callers waiting. What needs a kernel of its own stays out of a machine that is a container: there the host owns links,
clock and disks.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dozen.engine.publisher import Watcher
    from dozen.machinery.plan import Controller
    from dozen.node.machine import Machine


def add_first_wave(machine: Machine) -> None:
    """What the API's first answer depends on."""
    from dozen.node.controllers import identity
    from dozen.node.controllers.network import network_controllers, network_watchers
    from dozen.node.controllers.settings import SettingsController

    managed = machine.mode != "container"
    _add(machine, (SettingsController(), identity.CertSansController(), identity.IdentityFilesController()))
    _add(machine, network_controllers(managed))
    _watch(machine, network_watchers(machine.store, logging.getLogger("dozen.dhcp"), managed))
    _watch(machine, (identity.CertificateIssuer(machine.store, machine),))


def add_second_wave(machine: Machine) -> None:
    """Disks and the volumes on them."""
    if machine.mode != "container":
        _add_block(machine)


def add_third_wave(machine: Machine) -> None:
    """The rest of the machine: devices, kernel, clock, hardware, and what it all amounts to."""
    from dozen.node.controllers.hardware import hardware_controllers, hardware_watchers
    from dozen.node.controllers.identity import ApiServiceController
    from dozen.node.controllers.network import later_controllers
    from dozen.node.controllers.network.ethernet import EthernetWatcher
    from dozen.node.controllers.network.names import StaticHostController
    from dozen.node.controllers.network.rules import RoutingRuleWatcher
    from dozen.node.controllers.packages import PackageWatcher
    from dozen.node.controllers.status import MachineStatusController
    from dozen.node.controllers.time import time_controllers, time_watchers
    from dozen.node.readiness import AddressReporter, MachineStatusReporter

    managed = machine.mode != "container"
    if managed:
        _watch(machine, (EthernetWatcher(machine.store),))
        _add(machine, later_controllers())
        _add_kernel(machine)
        _add_trust(machine)
        _add_containers(machine)
        _add_membership(machine)
    _add(machine, (MachineStatusController(kubernetes=managed), *time_controllers(managed)))
    _watch(machine, (MachineStatusReporter(machine.store, machine.events), RoutingRuleWatcher()))
    _watch(machine, (AddressReporter(machine.store, machine.events), PackageWatcher(machine.store)))
    _watch(machine, time_watchers(machine.store, logging.getLogger("dozen.time"), managed))
    _add(machine, hardware_controllers(machine.platform.name))
    _add(machine, (ApiServiceController(), StaticHostController()))
    _watch(machine, hardware_watchers(machine.version.tag, managed))
    _add_host(machine)
    _add_etcd(machine)
    _add_discovery(machine)


def _add_block(machine: Machine) -> None:
    from dozen.node.controllers.block import devices, meta, mounts, volumes

    _watch(machine, (devices.BlockWatcher(), mounts.MountWatcher(), meta.MetaWatcher(machine.store, machine.meta)))
    _add(machine, (volumes.VolumesController(),))


def _add_kernel(machine: Machine) -> None:
    from dozen.node.controllers.kernel import kernel_controllers, kernel_watchers
    from dozen.node.controllers.udev import udev_controllers

    _add(machine, (*udev_controllers(), *kernel_controllers()))
    _watch(machine, kernel_watchers(machine.store))


def _add_trust(machine: Machine) -> None:
    from dozen.node.controllers.trust import trust_controllers, trust_watchers

    _add(machine, tuple(trust_controllers()))
    _watch(machine, tuple(trust_watchers(machine)))


def _add_containers(machine: Machine) -> None:
    from dozen.node.controllers.containers import container_controllers

    _add(machine, tuple(container_controllers()))


def _add_membership(machine: Machine) -> None:
    from dozen.node.controllers.kubernetes import kubernetes_controllers
    from dozen.node.kubernetes import membership_controllers, membership_watchers

    _add(machine, (*kubernetes_controllers(), *membership_controllers()))
    _watch(machine, tuple(membership_watchers(machine)))


def _add_host(machine: Machine) -> None:
    from dozen.node.controllers.host import host_controllers, host_watchers

    _add(machine, tuple(host_controllers(machine.mode != "container")))
    _watch(machine, tuple(host_watchers(machine)))


def _add_etcd(machine: Machine) -> None:
    from dozen.node.controllers.etcd import etcd_controllers, make_member

    _add(machine, etcd_controllers())
    machine.etcd = make_member(machine)
    _watch(machine, (machine.etcd,))
    if machine.mode != "container":
        from dozen.node.controllers.network.virtual import VirtualAddressWatcher

        machine.virtual_addresses = VirtualAddressWatcher(machine.store)
        _watch(machine, (machine.virtual_addresses,))


def _add_discovery(machine: Machine) -> None:
    from dozen.node.controllers.discovery import discovery_controllers, discovery_watchers

    _add(machine, discovery_controllers())
    _watch(machine, discovery_watchers(machine))


def _add(machine: Machine, controllers: Iterator[Controller] | tuple[Controller, ...]) -> None:
    for controller in controllers:
        machine.runtime.add(controller)


def _watch(machine: Machine, watchers: Iterator[Watcher] | tuple[Watcher, ...]) -> None:
    for watcher in watchers:
        machine.runtime.add_watcher(watcher)
