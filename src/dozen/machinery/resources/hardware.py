"""What the machine is made of, from SMBIOS, PCI and /proc/cpuinfo."""

from __future__ import annotations

from dozen.machinery.resource import Kind
from dozen.machinery.resources.spec import Spec


class ProcessorSpec(Spec):
    """A processor socket, from SMBIOS."""

    socket: str = ""
    manufacturer: str = ""
    product_name: str = ""
    max_speed_mhz: int = 0
    boot_speed_mhz: int = 0
    status: int = 0
    serial_number: str = ""
    asset_tag: str = ""
    part_number: str = ""
    core_count: int = 0
    core_enabled: int = 0
    thread_count: int = 0

    WIRE = """
        1 socket string omit, 2 manufacturer string omit, 3 productName string omit, 4 maxSpeedMhz uint32 omit,
        5 bootSpeedMhz uint32 omit, 6 status uint32 omit, 7 serialNumber string omit, 8 assetTag string omit,
        9 partNumber string omit, 10 coreCount uint32 omit, 11 coreEnabled uint32 omit,
        12 threadCount uint32 omit
    """


PROCESSOR = Kind(
    "Processors.hardware.talos.dev",
    "hardware",
    ProcessorSpec,
    "Processor",
    aliases=("cpus", "cpu", "processor"),
    columns=(
        ("Manufacturer", "{.manufacturer}"),
        ("Model", "{.productName}"),
        ("Cores", "{.coreCount}"),
        ("Threads", "{.threadCount}"),
    ),
)


class MemoryModuleSpec(Spec):
    """A memory slot, from SMBIOS."""

    size_mib: int = 0
    device_locator: str = ""
    bank_locator: str = ""
    speed: int = 0
    manufacturer: str = ""
    serial_number: str = ""
    asset_tag: str = ""
    product_name: str = ""

    WIRE = """
        1 sizeMiB uint32 omit, 2 deviceLocator string omit, 3 bankLocator string omit, 4 speed uint32 omit,
        5 manufacturer string omit, 6 serialNumber string omit, 7 assetTag string omit,
        8 productName string omit
    """


MEMORY_MODULE = Kind(
    "MemoryModules.hardware.talos.dev",
    "hardware",
    MemoryModuleSpec,
    "MemoryModule",
    aliases=("memorymodules", "ram", "memorymodule", "mm", "mms"),
    columns=(("Manufacturer", "{.manufacturer}"), ("Model", "{.productName}"), ("SizeMiB", "{.sizeMiB}")),
)


class SystemInformationSpec(Spec):
    """Maker and identity of the machine, from SMBIOS; id ``systeminformation``."""

    manufacturer: str = ""
    product_name: str = ""
    version: str = ""
    bios_version: str = ""
    serial_number: str = ""
    uuid: str = ""
    wake_up_type: str = ""
    sku_number: str = ""

    WIRE = """
        1 manufacturer string omit, 2 productName string omit, 3 version string omit, 8 biosVersion string omit,
        4 serialnumber string omit, 5 uuid string omit, 6 wakeUpType string omit, 7 skuNumber string omit
    """


SYSTEM_INFORMATION = Kind(
    "SystemInformations.hardware.talos.dev",
    "hardware",
    SystemInformationSpec,
    "SystemInformation",
    aliases=("systeminformation", "systeminformation", "si", "sis"),
    columns=(
        ("Manufacturer", "{.manufacturer}"),
        ("ProductName", "{.productName}"),
        ("Version", "{.version}"),
        ("SerialNumber", "{.serialnumber}"),
        ("UUID", "{.uuid}"),
        ("WakeUpType", "{.wakeUpType}"),
        ("SKUNumber", "{.skuNumber}"),
    ),
)


class PCIDeviceSpec(Spec):
    """A PCI device; its id is the address."""

    class_: str = ""
    subclass: str = ""
    vendor: str = ""
    product: str = ""
    class_id: str = ""
    subclass_id: str = ""
    vendor_id: str = ""
    product_id: str = ""
    driver: str = ""

    WIRE = """
        1 class string omit, 2 subclass string omit, 3 vendor string omit, 4 product string omit,
        5 class_id string, 6 subclass_id string, 7 vendor_id string, 8 product_id string, 9 driver string omit
    """


PCI_DEVICE = Kind(
    "PCIDevices.hardware.talos.dev",
    "hardware",
    PCIDeviceSpec,
    "PCIDevice",
    aliases=("devices", "device", "pcidevice", "pcid", "pcids"),
    columns=(("Class", "{.class}"), ("Subclass", "{.subclass}"), ("Vendor", "{.vendor}"), ("Product", "{.product}")),
)


class CPUCoreSpec(Spec):
    """A core, from /proc/cpuinfo."""

    socket: str = ""
    core_id: str = ""
    logical_cpus: tuple[int, ...] = ()
    vendor_id: str = ""
    cpu_family: str = ""
    model: str = ""
    model_name: str = ""
    stepping: str = ""
    microcode: str = ""
    cache_size: str = ""
    cores_per_socket: int = 0
    threads_per_socket: int = 0
    flags: tuple[str, ...] = ()
    bugs: tuple[str, ...] = ()
    bogo_mips: float = 0.0
    address_sizes: str = ""

    WIRE = """
        1 socket string omit, 2 coreID string omit, 3 logicalCPUs [uint32] omit, 4 vendorID string omit,
        5 cpuFamily string omit, 6 model string omit, 7 modelName string omit, 8 stepping string omit,
        9 microcode string omit, 10 cacheSize string omit, 11 coresPerSocket uint32 omit,
        12 threadsPerSocket uint32 omit, 13 flags [string] omit, 14 bugs [string] omit, 15 bogoMips double omit,
        16 addressSizes string omit
    """


CPU_CORE = Kind(
    "CPUCores.hardware.talos.dev",
    "hardware",
    CPUCoreSpec,
    "CPUCore",
    aliases=("cpucore", "cpucores", "cpucore", "cpuc", "cpucs"),
    columns=(
        ("Socket", "{.socket}"),
        ("Core", "{.coreID}"),
        ("Model", "{.modelName}"),
        ("Logical CPUs", "{.logicalCPUs}"),
    ),
)


class PCIDriverRebindSpec(Spec):
    """A PCI device, by its address, and the driver that it is to have, or has; the id is the address."""

    pci_id: str = ""
    target_driver: str = ""

    WIRE = "1 pciID string, 2 targetDriver string"


PCI_DRIVER_REBIND_CONFIG = Kind(
    "PCIDriverRebindConfigs.runtime.talos.dev",
    "hardware",
    PCIDriverRebindSpec,
    "PCIDriverRebindConfig",
    aliases=("pcidriverrebindconfig", "pcidrc", "pcidrcs"),
    columns=(("PCI ID", "{.pciID}"), ("TargetDriver", "{.targetDriver}")),
)
PCI_DRIVER_REBIND_STATUS = Kind(
    "PCIDriverRebindStatuses.runtime.talos.dev",
    "hardware",
    PCIDriverRebindSpec,
    "PCIDriverRebindStatus",
    aliases=("pcidriverrebinds", "pcidriverrebindstatus", "pcidrs"),
    columns=(("PCI ID", "{.pciID}"), ("TargetDriver", "{.targetDriver}")),
)
