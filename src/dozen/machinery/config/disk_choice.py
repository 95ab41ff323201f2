"""Disks by what they are: what machine.install.diskSelector asks for, and whether a disk is that.

Texts are shell patterns. A size is compared: ``> 100GB``, ``<= 2TB``, or without a sign to be exactly that; units are
those of `check_size`, of powers of 1000 and, with an i, of 1024.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dozen.machinery.config.disks import InstallDiskSelector
    from dozen.machinery.resources.block import DiskSpec

# The longer ones first: they begin with the others.
COMPARISONS: dict[str, Callable[[int, int], bool]] = {
    ">=": operator.ge,
    "<=": operator.le,
    "==": operator.eq,
    ">": operator.gt,
    "<": operator.lt,
    "": operator.eq,
}
PATTERNS = ("model", "serial", "modalias", "uuid", "wwid", "bus_path")
TYPES: dict[str, Callable[[DiskSpec], bool]] = {
    "ssd": lambda disk: not disk.rotational,
    "hdd": lambda disk: disk.rotational,
    "nvme": lambda disk: disk.transport == "nvme",
    "sd": lambda disk: disk.transport == "mmc",
}


def read_size(text: str) -> tuple[Callable[[int, int], bool], int]:
    """How a disk's bytes are compared, and with how many. Raises ValueError."""
    from dozen.machinery.config.scalars import check_size

    sign = next(sign for sign in COMPARISONS if text.strip().startswith(sign))
    said = text.strip()[len(sign) :].strip()
    if check_size(said) is not None or said.startswith("-") or "%" in said:
        raise ValueError(f'expected a size to compare with like "> 100GB", found "{text}"')
    number = said.rstrip("kKMGTPEiBb ")
    unit = said[len(number) :].strip().lower()
    power = " kmgtpe".index(unit[0]) if unit not in ("", "b") else 0
    return COMPARISONS[sign], round(float(number) * (1024 if "i" in unit else 1000) ** power)


def complaints(said: InstallDiskSelector) -> Iterator[tuple[str, str]]:
    """What is wrong with a selector, by field."""
    if said.size:
        try:
            read_size(said.size)
        except (ValueError, OverflowError) as error:
            yield "size", str(error)
    if said.name:
        yield "name", "is not known of disks here; choose by model, serial, wwid or busPath"
    if not (said.size or said.type or said.name or any(getattr(said, name) for name in PATTERNS)):
        yield "", "chooses no disk: give it a size, a type or a pattern"


def selects(said: InstallDiskSelector, disk: DiskSpec) -> bool:
    """Whether a disk is all that a selector asks for."""
    from fnmatch import fnmatchcase

    if said.size:
        compare, size = read_size(said.size)
        if not compare(disk.size, size):
            return False
    if said.type and not TYPES[said.type](disk):
        return False
    wanted = ((getattr(said, name), getattr(disk, name)) for name in PATTERNS)
    return all(fnmatchcase(value, pattern) for pattern, value in wanted if pattern)
