"""Which disk a configuration wants the system's volumes on."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from dozen.linux import block_kinds as words
from dozen.linux.block_devices import VIRTUAL, natural
from dozen.machinery.plan import View
from dozen.machinery.resources import block, config
from dozen.node.configuration import parse

if TYPE_CHECKING:
    from dozen.machinery.config.disks import Install, InstallDiskSelector

META, STATE, EPHEMERAL = "META", "STATE", "EPHEMERAL"


def owners(view: View) -> list[str]:
    """The names of the disks that have the system's volumes already, in natural order."""
    return sorted({each.spec.parent for each in view.list(block.DISCOVERED_VOLUME) if _is_ours(each.spec)}, key=natural)


def _is_ours(spec: block.DiscoveredVolumeSpec) -> bool:
    """Whether a partition is the one that no other system calls so."""
    return spec.partition_label == EPHEMERAL and spec.parent != ""


def is_settled(view: View) -> bool:
    """Whether all disks that were there at the boot are known."""
    scan = view.get(words.SCAN, words.DEVICES)
    return scan is not None and scan.spec.settled


def setting(view: View) -> str:
    """Where the configuration says which disk it is."""
    install = _install(view)
    chosen = install is not None and install.disk_selector is not None and not install.disk
    return "machine.install.diskSelector" if chosen else "machine.install.disk"


def wanted_disk(view: View) -> str | None:
    """The name of the disk that the configuration means; "" when it means none, None when there is no such disk.

    Of several that a selector fits it is the one that has the volumes already, whatever was plugged in since; else the
    first, once all disks are known.
    """
    install = _install(view)
    if install is None or not (install.disk or install.disk_selector):
        return ""
    if install.disk:
        fit = [
            disk.id
            for disk in view.list(block.DISK)
            if install.disk == disk.spec.dev_path or install.disk in disk.spec.symlinks
        ]
        return fit[0] if fit else None
    assert install.disk_selector is not None
    chosen = sorted(_selected(view, install.disk_selector), key=natural)
    owning = owners(view)
    for disk in chosen:
        if disk in owning:
            return disk
    return chosen[0] if chosen and is_settled(view) else None


def _selected(view: View, selector: InstallDiskSelector) -> Iterator[str]:
    from dozen.machinery.config.disk_choice import selects

    for disk in view.list(block.DISK):
        if not (disk.spec.cdrom or disk.spec.readonly or VIRTUAL.match(disk.id)) and selects(selector, disk.spec):
            yield disk.id


def _install(view: View) -> Install | None:
    resource = view.get(config.MACHINE_CONFIG, config.ACTIVE)
    machine = parse(resource.spec.text).machine if resource is not None else None
    return machine.install if machine is not None else None
