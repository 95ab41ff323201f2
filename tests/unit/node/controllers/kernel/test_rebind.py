"""PCI devices get the drivers that are wanted, by what sysfs offers for that."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from dozen.linux import pci
from dozen.machinery.config.generating import generate
from dozen.machinery.effects.kernel import RebindDevice
from dozen.machinery.plan import Temporary
from dozen.machinery.resources import config, hardware
from dozen.node.controllers.kernel.rebind import RebindConfigController, RebindController
from dozen.testing.controllers import Bench

ADDRESS = "0000:04:00.0"
DOCUMENT = f'---\napiVersion: v1alpha1\nkind: PCIDriverRebindConfig\nname: "{ADDRESS}"\ntargetDriver: vfio-pci\n'


def test_devices_get_drivers_once_and_their_own_again() -> None:
    async def scenario() -> None:
        text = generate("c", "https://127.0.0.1:6443").worker
        async with Bench(RebindConfigController(), RebindController()) as bench:
            bench.put(config.MACHINE_CONFIG, config.ACTIVE, config.MachineConfigSpec(text=text + DOCUMENT))
            await bench.settle()
            assert bench.effects == []
            bench.put(hardware.PCI_DEVICE, ADDRESS, hardware.PCIDeviceSpec(driver="nvme"))
            await bench.settle()
            assert bench.effects == [RebindDevice(ADDRESS, "vfio-pci")]
            assert bench.store.get(hardware.PCI_DRIVER_REBIND_STATUS, ADDRESS).spec.target_driver == "vfio-pci"
            bench.put(hardware.PCI_DEVICE, ADDRESS, hardware.PCIDeviceSpec(driver="vfio-pci"))
            await bench.settle()
            assert len(bench.effects) == 1
            bench.put(config.MACHINE_CONFIG, config.ACTIVE, config.MachineConfigSpec(text=text))
            await bench.settle()
            assert bench.effects[1:] == [RebindDevice(ADDRESS, "")]
            assert bench.store.list(hardware.PCI_DRIVER_REBIND_STATUS) == ()

    asyncio.run(scenario())


@pytest.fixture
def bus(tmp_path: Path) -> Path:
    """A bus with a device that the driver nvme has."""
    for name in (f"devices/{ADDRESS}", "drivers/nvme", "drivers/vfio-pci"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / f"devices/{ADDRESS}/driver").symlink_to(tmp_path / "drivers/nvme")
    return tmp_path


def test_what_sysfs_is_told(bus: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    device = bus / "devices" / ADDRESS
    told: list[tuple[str, str]] = []

    def write(path: str, text: str) -> None:
        told.append((str(Path(path).relative_to(bus)), text))
        link = device / "driver"
        if path.endswith("unbind"):
            link.unlink()
        elif path.endswith("drivers_probe"):
            link.symlink_to(bus / "drivers" / ("vfio-pci" if told[0][1].strip() else "nvme"))

    monkeypatch.setattr(pci, "_write", write)
    pci.rebind(ADDRESS, "vfio-pci", str(bus))
    assert told == [
        (f"devices/{ADDRESS}/driver_override", "vfio-pci\n"),
        (f"devices/{ADDRESS}/driver/unbind", ADDRESS),
        ("drivers_probe", ADDRESS),
    ]
    told.clear()
    pci.rebind(ADDRESS, "vfio-pci", str(bus))
    assert told == [(f"devices/{ADDRESS}/driver_override", "vfio-pci\n")]
    told.clear()
    pci.rebind(ADDRESS, "", str(bus))
    assert [text for _, text in told] == ["\n", ADDRESS, ADDRESS]
    assert (device / "driver").resolve().name == "nvme"


def test_a_driver_that_is_not_there_is_told(bus: Path) -> None:
    with pytest.raises(Temporary, match=r"there is no driver uio; name its module in machine\.kernel\.modules"):
        pci.rebind(ADDRESS, "uio", str(bus))
