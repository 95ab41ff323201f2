"""What the machine is made of, as resources."""

import asyncio

import msgspec

from dozen.linux.modules import LoadedModule
from dozen.linux.pci import Device
from dozen.linux.smbios import MEMORY_DEVICE, PROCESSOR, SYSTEM, Structure
from dozen.linux.uevent import Event
from dozen.machinery.resources.hardware import (
    MEMORY_MODULE,
    SYSTEM_INFORMATION,
    PCIDeviceSpec,
    SystemInformationSpec,
)
from dozen.machinery.resources.hardware import (
    PROCESSOR as PROCESSOR_KIND,
)
from dozen.machinery.resources.kernel import KernelModuleStatusSpec
from dozen.node.controllers.hardware import FirmwareWatcher, changes, describe_device, describe_modules
from dozen.testing.controllers import Bench


def processor(*texts: str) -> Structure:
    return Structure(PROCESSOR, 1, bytes((PROCESSOR, 0x24, 1, 0, 1)).ljust(0x23, b"\0") + b"\x04", texts)


def memory(*texts: str) -> Structure:
    return Structure(MEMORY_DEVICE, 1, bytes(12) + (512).to_bytes(2, "little") + bytes(2) + b"\1\2", texts)


async def publish(*table: Structure) -> Bench:
    async with Bench(watchers=[FirmwareWatcher(lambda: list(table))]) as bench:
        await bench.settle()
        return bench


def test_firmware_that_says_nothing_is_told_too() -> None:
    bench = asyncio.run(publish())
    (system,) = bench.store.list(SYSTEM_INFORMATION)
    assert (system.id, system.spec) == ("systeminformation", SystemInformationSpec())
    assert bench.store.list(PROCESSOR_KIND) == bench.store.list(MEMORY_MODULE) == ()


def test_sockets_and_slots_are_called_as_on_the_board() -> None:
    system = Structure(SYSTEM, 1, bytes((SYSTEM, 8, 1, 0, 1, 2)), ("QEMU", "Q35"))
    bench = asyncio.run(publish(system, processor("CPU 0"), memory("DIMM A", "BANK 0"), memory("DIMM B", "BANK 1")))
    assert [each.id for each in bench.store.list(PROCESSOR_KIND)] == ["CPU-0"]
    assert {each.id: each.spec.bank_locator for each in bench.store.list(MEMORY_MODULE)} == {
        "DIMM-A": "BANK 0",
        "DIMM-B": "BANK 1",
    }
    assert bench.store.list(SYSTEM_INFORMATION)[0].spec.product_name == "Q35"


def test_boards_that_call_everything_alike_get_numbers() -> None:
    bench = asyncio.run(publish(memory("DIMM", "A"), memory("DIMM", "B"), memory("", "C")))
    assert [each.id for each in bench.store.list(MEMORY_MODULE)] == ["DIMM-0", "DIMM-1", "DIMM-2"]


def test_a_pci_device() -> None:
    device = Device("0000:00:02.0", "0x02", "0x00", "0x1af4", "0x1000", "Network controller", "Ethernet", "virtio-pci")
    spec = describe_device(device)
    assert spec == PCIDeviceSpec(
        class_="Network controller",
        subclass="Ethernet",
        class_id="0x02",
        subclass_id="0x00",
        vendor_id="0x1af4",
        product_id="0x1000",
        driver="virtio-pci",
    )


def test_users_of_modules_become_dependencies() -> None:
    modules = describe_modules(
        [
            LoadedModule("llc", 100, 2, ("stp", "bridge"), "Live", "0x1"),
            LoadedModule("stp", 100, 1, ("bridge",), "Live", "0x2"),
            LoadedModule("bridge", 300, 0, (), "Loading", "0x3"),
        ]
    )
    assert {name: module.dependencies for name, module in modules.items()} == {
        "llc": (),
        "stp": ("llc",),
        "bridge": ("llc", "stp"),
    }
    assert modules["bridge"] == KernelModuleStatusSpec(
        type="dynamic", size=300, dependencies=("llc", "stp"), state="loading", address="0x3"
    )
    assert all(isinstance(module, msgspec.Struct) for module in modules.values())


def test_a_coldplug_is_no_change() -> None:
    assert changes(Event("add", "/devices/pci0", "pci", {})) == {"pci"}
    assert changes(Event("add", "/devices/pci0", "pci", {"SYNTH_UUID": "0"})) == set()
