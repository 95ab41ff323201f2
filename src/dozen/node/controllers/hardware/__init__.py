"""Publishes what the machine is made of: once from the firmware's tables, and devices and modules as they come."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING

from dozen.machinery.resources.hardware import (
    MEMORY_MODULE,
    PCI_DEVICE,
    PROCESSOR,
    SYSTEM_INFORMATION,
    MemoryModuleSpec,
    PCIDeviceSpec,
    ProcessorSpec,
    SystemInformationSpec,
)
from dozen.machinery.resources.kernel import KERNEL_MODULE_STATUS, KernelModuleStatusSpec

if TYPE_CHECKING:
    from dozen.engine.publisher import Publisher, Watcher
    from dozen.linux.modules import LoadedModule
    from dozen.linux.pci import Device
    from dozen.linux.smbios import Structure
    from dozen.linux.uevent import Event

SYSTEM = "systeminformation"
BURST = 0.2  # seconds that a burst of events is given to end
STATES = {"Live": "live", "Loading": "loading", "Unloading": "unloading"}


class FirmwareWatcher:
    """SMBIOS → SystemInformation, Processor, MemoryModule. The first is there even if the firmware says nothing."""

    name = "hardware-firmware"
    outputs = (SYSTEM_INFORMATION, PROCESSOR, MEMORY_MODULE)

    def __init__(self, read: Callable[[], list[Structure]] | None = None) -> None:
        self._read = read

    async def run(self, publish: Publisher) -> None:
        from dozen.linux import smbios

        table = (self._read or smbios.read_table)()
        publish.put(SYSTEM_INFORMATION, SYSTEM, describe_system(table))
        publish.replace(PROCESSOR, describe_processors(table))
        publish.replace(MEMORY_MODULE, describe_memory(table))


class DeviceWatcher:
    """What the kernel says of its modules and of the PCI bus → KernelModuleStatus, PCIDevice.

    One watcher for both, so that a burst of device events wakes only one. It lets a burst end before it looks.
    """

    name = "hardware-devices"
    outputs = (PCI_DEVICE, KERNEL_MODULE_STATUS)

    async def run(self, publish: Publisher) -> None:
        from dozen.linux.uevent import DeviceEvents, MissedEvents

        events = DeviceEvents(subsystems=("module", "pci"))
        try:
            changed = {"module", "pci"}
            while True:
                self._look(publish, changed)
                changed = set()
                try:
                    while not changed:
                        changed |= changes(await events.read())
                    await asyncio.sleep(BURST)
                    while (event := events.read_waiting()) is not None:
                        changed |= changes(event)
                except MissedEvents:
                    changed = {"module", "pci"}
        finally:
            events.close()

    def _look(self, publish: Publisher, changed: set[str]) -> None:
        if "pci" in changed:
            from dozen.linux.pci import list_devices

            publish.replace(PCI_DEVICE, {device.address: describe_device(device) for device in list_devices()})
        if "module" in changed:
            from dozen.linux.modules import list_loaded

            publish.replace(KERNEL_MODULE_STATUS, describe_modules(list_loaded()))


def hardware_watchers(managed: bool = True) -> Iterator[Watcher]:
    """Everything that observes; a container sees no more than who the machine is."""
    yield FirmwareWatcher()
    if managed:
        yield DeviceWatcher()


def describe_system(table: list[Structure]) -> SystemInformationSpec:
    """The machine as a whole."""
    from dozen.linux.smbios import describe_system as describe

    system = describe(table)
    return SystemInformationSpec(
        manufacturer=system.manufacturer,
        product_name=system.product,
        version=system.version,
        bios_version=system.bios_version,
        serial_number=system.serial,
        uuid=system.uuid,
        wake_up_type=system.wake_up,
        sku_number=system.sku,
    )


def describe_processors(table: list[Structure]) -> dict[str, ProcessorSpec]:
    """Sockets by name, or by number where the firmware gives two the same name."""
    from dozen.linux.smbios import list_processors

    processors = list_processors(table)
    return {
        _unique(each.socket, number, "CPU", [other.socket for other in processors]): ProcessorSpec(
            socket=each.socket,
            manufacturer=each.manufacturer,
            product_name=each.version,
            max_speed_mhz=each.max_speed,
            boot_speed_mhz=each.speed,
            status=each.status,
            serial_number=each.serial,
            asset_tag=each.asset,
            part_number=each.part,
            core_count=each.cores,
            core_enabled=each.cores_enabled,
            thread_count=each.threads,
        )
        for number, each in enumerate(processors)
    }


def describe_memory(table: list[Structure]) -> dict[str, MemoryModuleSpec]:
    """Memory slots by name, or by number where the firmware gives two the same name."""
    from dozen.linux.smbios import list_memory

    modules = list_memory(table)
    return {
        _unique(each.locator, number, "DIMM", [other.locator for other in modules]): MemoryModuleSpec(
            size_mib=each.size,
            device_locator=each.locator,
            bank_locator=each.bank,
            speed=each.speed,
            manufacturer=each.manufacturer,
            serial_number=each.serial,
            asset_tag=each.asset,
            product_name=each.part,
        )
        for number, each in enumerate(modules)
    }


def describe_modules(loaded: Iterable[LoadedModule]) -> dict[str, KernelModuleStatusSpec]:
    """Loaded modules as resources, by name. The kernel lists a module's users; here it is what a module depends on."""
    modules = list(loaded)
    needs: dict[str, list[str]] = {module.name: [] for module in modules}
    for module in modules:
        for user in module.users:
            needs.setdefault(user, []).append(module.name)
    return {
        module.name: KernelModuleStatusSpec(
            type="dynamic",
            size=module.size,
            reference_count=module.references,
            dependencies=tuple(sorted(needs[module.name])),
            state=STATES.get(module.state, "live"),
            address=module.address,
        )
        for module in modules
    }


def describe_device(device: Device) -> PCIDeviceSpec:
    """A PCI device as a resource."""
    return PCIDeviceSpec(
        class_=device.class_name,
        subclass=device.subclass_name,
        class_id=device.class_id,
        subclass_id=device.subclass_id,
        vendor_id=device.vendor_id,
        product_id=device.product_id,
        driver=device.driver,
    )


def changes(event: Event) -> set[str]:
    """The subsystem that an event changes. A coldplug only announces again what is there: that is no change."""
    return set() if "SYNTH_UUID" in event.properties else {event.subsystem}


def _unique(name: str, number: int, prefix: str, names: list[str]) -> str:
    text = name.replace(" ", "-")
    return text if text and names.count(name) == 1 else f"{prefix}-{number}"
