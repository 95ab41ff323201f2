"""Gives PCI devices the drivers that the configuration wants, and their own again when it no longer does."""

from __future__ import annotations

from collections.abc import Iterable

from dozen.machinery.effects.kernel import RebindDevice
from dozen.machinery.plan import Input, Put, Step, View
from dozen.machinery.resources import config, hardware
from dozen.node.configuration import parse


class RebindConfigController:
    """MachineConfig → PCIDriverRebindConfig."""

    name = "pci-driver-configs"
    inputs = (Input(config.MACHINE_CONFIG, config.ACTIVE),)
    outputs = (hardware.PCI_DRIVER_REBIND_CONFIG,)

    def plan(self, view: View) -> Iterable[Step]:
        from dozen.machinery.config.effective import find_documents

        active = view.get(config.MACHINE_CONFIG, config.ACTIVE)
        if active is None:
            return
        for each in find_documents(parse(active.spec.text), "PCIDriverRebindConfig"):
            spec = hardware.PCIDriverRebindSpec(pci_id=each.name, target_driver=each.target_driver)
            yield Put(hardware.PCI_DRIVER_REBIND_CONFIG, each.name, spec)


class RebindController:
    """PCIDriverRebindConfig + PCIDevice → the device has the driver → PCIDriverRebindStatus."""

    name = "pci-drivers"
    inputs = (Input(hardware.PCI_DRIVER_REBIND_CONFIG), Input(hardware.PCI_DEVICE))
    outputs = (hardware.PCI_DRIVER_REBIND_STATUS,)

    def plan(self, view: View) -> Iterable[Step]:
        wanted = {each.id: each.spec for each in view.list(hardware.PCI_DRIVER_REBIND_CONFIG)}
        done = {each.id: each.spec for each in view.list(hardware.PCI_DRIVER_REBIND_STATUS)}
        for id in done.keys() - wanted.keys():
            yield RebindDevice(id, "")
        # One that cannot have its driver holds up those behind it; what has been done stays done.
        for id, spec in sorted(wanted.items(), key=lambda item: item[0] not in done):
            if view.get(hardware.PCI_DEVICE, id) is None:
                continue
            if done.get(id) != spec:
                yield RebindDevice(id, spec.target_driver)
            yield Put(hardware.PCI_DRIVER_REBIND_STATUS, id, spec)
