"""What sysfs knows of a network link beyond netlink: the device behind it, its driver, its speed."""

from __future__ import annotations

import os

import msgspec

from dozen.linux.sysfs import read_attribute

SYSFS = "/sys/class/net"


class LinkDetails(msgspec.Struct, frozen=True):
    """The device behind a link; all empty for a link that is made of software. ``pci_id`` is "1AF4:1000"."""

    bus_path: str = ""
    driver: str = ""
    vendor_id: str = ""
    product_id: str = ""

    @property
    def pci_id(self) -> str:
        """Vendor and product as PCI writes them."""
        vendor, product = self.vendor_id.removeprefix("0x"), self.product_id.removeprefix("0x")
        return f"{vendor}:{product}".upper() if vendor and product else ""


class Speed(msgspec.Struct, frozen=True):
    """What a link negotiated: ``mbit`` 0 and ``duplex`` "Unknown" when there is nothing to say."""

    mbit: int = 0
    duplex: str = "Unknown"


def read_details(name: str, root: str = SYSFS) -> LinkDetails:
    """The device behind a link."""
    device = f"{root}/{name}/device"
    if not os.path.isdir(device):
        return LinkDetails()
    path = os.path.realpath(device)
    # a virtio device is a child of the PCI device that people know it by
    if os.path.basename(path).startswith("virtio"):
        parent = os.path.dirname(path)
        pci = parent if os.path.exists(f"{parent}/vendor") else path
    else:
        pci = path
    return LinkDetails(
        bus_path=os.path.basename(pci),
        driver=os.path.basename(os.path.realpath(f"{device}/driver")) if os.path.exists(f"{device}/driver") else "",
        vendor_id=read_attribute(f"{pci}/vendor"),
        product_id=read_attribute(f"{pci}/device"),
    )


def read_speed(name: str, root: str = SYSFS) -> Speed:
    """What a link negotiated; the kernel refuses to say for links that are down or have no such thing."""
    speed, duplex = read_attribute(f"{root}/{name}/speed"), read_attribute(f"{root}/{name}/duplex")
    return Speed(
        mbit=int(speed) if speed.isdecimal() and speed != "4294967295" else 0,
        duplex={"half": "Half", "full": "Full"}.get(duplex, "Unknown"),
    )
