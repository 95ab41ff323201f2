"""PCI devices, as sysfs shows them: what each is, who made it, which driver has it.

Names of makers and products are a database of their own (pci.ids) that an image of twelve binaries does not carry; the
classes are few and are named here (PCI Code and ID Assignment Specification).
"""

from __future__ import annotations

import os

import msgspec

from dozen.linux.sysfs import read_attribute
from dozen.machinery.plan import Temporary

BUS = "/sys/bus/pci"
SYSFS = f"{BUS}/devices"

CLASSES = {
    0x00: "Unclassified device",
    0x01: "Mass storage controller",
    0x02: "Network controller",
    0x03: "Display controller",
    0x04: "Multimedia controller",
    0x05: "Memory controller",
    0x06: "Bridge",
    0x07: "Communication controller",
    0x08: "Generic system peripheral",
    0x09: "Input device controller",
    0x0A: "Docking station",
    0x0B: "Processor",
    0x0C: "Serial bus controller",
    0x0D: "Wireless controller",
    0x0E: "Intelligent controller",
    0x0F: "Satellite communications controller",
    0x10: "Encryption controller",
    0x11: "Signal processing controller",
    0x12: "Processing accelerators",
    0x13: "Non-Essential Instrumentation",
}
SUBCLASSES = {
    (0x01, 0x00): "SCSI storage controller",
    (0x01, 0x01): "IDE interface",
    (0x01, 0x04): "RAID bus controller",
    (0x01, 0x06): "SATA controller",
    (0x01, 0x07): "Serial Attached SCSI controller",
    (0x01, 0x08): "Non-Volatile memory controller",
    (0x02, 0x00): "Ethernet controller",
    (0x02, 0x07): "Infiniband controller",
    (0x03, 0x00): "VGA compatible controller",
    (0x03, 0x02): "3D controller",
    (0x06, 0x00): "Host bridge",
    (0x06, 0x01): "ISA bridge",
    (0x06, 0x04): "PCI bridge",
    (0x06, 0x80): "Bridge",
    (0x0C, 0x03): "USB controller",
    (0x0C, 0x05): "SMBus",
}


class Device(msgspec.Struct, frozen=True):
    """One device. Numbers are text as PCI people write it: "0x1af4"."""

    address: str
    class_id: str
    subclass_id: str
    vendor_id: str
    product_id: str
    class_name: str
    subclass_name: str
    driver: str


def list_devices(root: str = SYSFS) -> list[Device]:
    """Every device, by address; none where there is no PCI."""
    try:
        addresses = sorted(os.listdir(root))
    except OSError:
        return []
    return [describe_device(root, address) for address in addresses]


def describe_device(root: str, address: str) -> Device:
    """One device; what sysfs does not say is empty."""
    code = read_attribute(f"{root}/{address}/class").removeprefix("0x").zfill(6)
    try:
        base, sub = int(code[:2], 16), int(code[2:4], 16)
    except ValueError:
        base = sub = 0
    driver = f"{root}/{address}/driver"
    return Device(
        address=address,
        class_id=f"0x{base:02x}",
        subclass_id=f"0x{sub:02x}",
        vendor_id=read_attribute(f"{root}/{address}/vendor"),
        product_id=read_attribute(f"{root}/{address}/device"),
        class_name=CLASSES.get(base, ""),
        subclass_name=SUBCLASSES.get((base, sub), ""),
        driver=os.path.basename(os.path.realpath(driver)) if os.path.exists(driver) else "",
    )


def rebind(address: str, driver: str, bus: str = BUS) -> None:
    """Give a device to a driver, empty for the one that the kernel would choose (Documentation/ABI, sysfs-bus-pci).

    Raises OSError, and `Temporary` when the driver is not there or does not take the device.
    """
    device = f"{bus}/devices/{address}"
    if driver and not os.path.isdir(f"{bus}/drivers/{driver}"):
        raise Temporary(f"{address}: there is no driver {driver}; name its module in machine.kernel.modules", 60.0)
    # Only this driver may take it from now on; a line end alone lets all that know it.
    _write(f"{device}/driver_override", f"{driver}\n")
    present = _driver_of(device)
    if present and present != driver:
        _write(f"{device}/driver/unbind", address)
    if not _driver_of(device):
        _write(f"{bus}/drivers_probe", address)
    if driver and _driver_of(device) != driver:
        raise Temporary(f"{address}: the driver {driver} does not take this device", 60.0)


def _driver_of(device: str) -> str:
    try:
        return os.path.basename(os.readlink(f"{device}/driver"))
    except OSError:
        return ""


def _write(path: str, text: str) -> None:
    with open(path, "w") as stream:
        stream.write(text)
