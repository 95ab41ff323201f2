"""Disks by what they are."""

from __future__ import annotations

from typing import Any

import pytest

from dozen.machinery.config.disk_choice import read_size, selects
from dozen.machinery.config.disks import InstallDiskSelector
from dozen.machinery.resources.block import DiskSpec

GB = 10**9
DISK = DiskSpec(size=500 * GB, model="WDC WD5000", serial="S1", wwid="naa.5", bus_path="/pci0/ata1/", transport="sata")


@pytest.mark.parametrize(
    ("selector", "fits"),
    [
        ({"size": "> 100GB"}, True),
        ({"size": ">=500GB"}, True),
        ({"size": "500GB"}, True),
        ({"size": "== 500 GB"}, True),
        ({"size": "< 0.5TB"}, False),
        ({"size": "<= 465GiB"}, False),
        ({"size": "> 1"}, True),
        ({"model": "WDC*"}, True),
        ({"model": "WDC"}, False),
        ({"model": "WDC*", "serial": "S2"}, False),
        ({"wwid": "naa.?", "busPath": "/pci0/*"}, True),
        ({"type": "ssd"}, True),
        ({"type": "hdd"}, False),
        ({"type": "nvme"}, False),
        ({"type": "sd"}, False),
    ],
)
def test_what_a_disk_is(selector: dict[str, Any], fits: bool) -> None:
    fields = {"bus_path" if name == "busPath" else name: value for name, value in selector.items()}
    assert selects(InstallDiskSelector(**fields), DISK) is fits


@pytest.mark.parametrize("text", ["", ">", "> much", "=> 1GB", "10%", "> -1GB", "nan", "1e999"])
def test_sizes_that_are_none(text: str) -> None:
    with pytest.raises((ValueError, OverflowError)):
        read_size(text)
