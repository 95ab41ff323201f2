"""Publishes what the machine is made of: once from the firmware's tables, and devices and modules as they come."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

from dozen.machinery.resources.hardware import (
    CPU_CORE,
    MEMORY_MODULE,
    PCI_DEVICE,
    PROCESSOR,
    SYSTEM_INFORMATION,
    CPUCoreSpec,
    MemoryModuleSpec,
    PCIDeviceSpec,
    ProcessorSpec,
    SystemInformationSpec,
)
from dozen.machinery.resources.kernel import (
    KERNEL_MODULE_STATUS,
    LOADED_KERNEL_MODULE,
    KernelModuleStatusSpec,
    LoadedKernelModuleSpec,
)

if TYPE_CHECKING:
    from dozen.engine.publisher import Publisher, Watcher
    from dozen.linux.modules import LoadedModule
    from dozen.linux.pci import Device
    from dozen.linux.procfs import CpuInfo
    from dozen.linux.smbios import Structure
    from dozen.linux.uevent import Event
    from dozen.machinery.plan import Controller

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


SUBSYSTEMS = ("module", "pci", "cpu")


class DeviceWatcher:
    """What the kernel says of its modules, of the PCI bus and of processors → KernelModuleStatus and its older form
    LoadedKernelModule, PCIDevice, CPUCore.

    One watcher for all, so that a burst of device events wakes only one. It lets a burst end before it looks.
    """

    name = "hardware-devices"
    outputs = (PCI_DEVICE, KERNEL_MODULE_STATUS, LOADED_KERNEL_MODULE, CPU_CORE)

    async def run(self, publish: Publisher) -> None:
        from dozen.linux.uevent import DeviceEvents, MissedEvents

        events = DeviceEvents(subsystems=SUBSYSTEMS)
        try:
            changed = set(SUBSYSTEMS)
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
                    changed = set(SUBSYSTEMS)
        finally:
            events.close()

    def _look(self, publish: Publisher, changed: set[str]) -> None:
        if "pci" in changed:
            from dozen.linux.pci import list_devices

            publish.replace(PCI_DEVICE, {device.address: describe_device(device) for device in list_devices()})
        if "module" in changed:
            from dozen.linux.modules import list_loaded

            modules = describe_modules(list_loaded())
            publish.replace(KERNEL_MODULE_STATUS, modules)
            publish.replace(LOADED_KERNEL_MODULE, {name: describe_loaded(each) for name, each in modules.items()})
        if "cpu" in changed:
            from dozen.linux.procfs import PROC, parse_cpu_info

            text = (PROC / "cpuinfo").read_text(errors="replace")
            publish.replace(CPU_CORE, describe_cores(parse_cpu_info(text)))


def hardware_watchers(version: str, managed: bool = True) -> Iterator[Watcher]:
    """Everything that observes; a container sees no devices. ``version`` is the system's."""
    from dozen.node.controllers.hardware import facts

    yield FirmwareWatcher()
    yield facts.BootWatcher(version, managed)
    yield facts.StatsWatcher()
    if managed:
        yield DeviceWatcher()


def hardware_controllers(platform: str) -> Iterator[Controller]:
    """Everything that plans; ``platform`` is where the machine runs."""
    from dozen.node.controllers.hardware import facts

    yield facts.PlatformMetadataController(platform)


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


def describe_loaded(module: KernelModuleStatusSpec) -> LoadedKernelModuleSpec:
    """A loaded module in the older form, which has the state in the kernel's own words."""
    return LoadedKernelModuleSpec(
        size=module.size,
        reference_count=module.reference_count,
        dependencies=module.dependencies,
        state=module.state.capitalize(),
        address=module.address,
    )


def describe_cores(processors: Iterable[CpuInfo]) -> dict[str, CPUCoreSpec]:
    """Cores by ``SOCKET-CORE``; where the kernel numbers neither, each processor is a core of its own."""
    found: dict[str, list[CpuInfo]] = {}
    for each in processors:
        numbers = [str(each[name]) for name in ("physical_id", "core_id") if name in each]
        found.setdefault("-".join(numbers) or str(each["processor"]), []).append(each)
    return {id: _describe_core(threads) for id, threads in found.items()}


def _describe_core(threads: list[CpuInfo]) -> CPUCoreSpec:
    first = threads[0]
    values: dict[str, Any] = {
        "socket": first.get("physical_id", ""),
        "cores_per_socket": first.get("cpu_cores", 0),
        "threads_per_socket": first.get("siblings", 0),
        "flags": tuple(first.get("flags", ())),  # type: ignore[arg-type] # a list in all that cpuinfo has
        "bugs": tuple(first.get("bugs", ())),  # type: ignore[arg-type]
    }
    same = ("core_id", "vendor_id", "cpu_family", "model", "model_name", "stepping", "microcode", "cache_size")
    values |= {name: first[name] for name in (*same, "bogo_mips", "address_sizes") if name in first}
    return CPUCoreSpec(logical_cpus=tuple(sorted(int(str(each["processor"])) for each in threads)), **values)


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
