"""The effect on LVM's volumes."""

from __future__ import annotations

from typing import Literal

import msgspec

from dozen.machinery.plan import Effect


class RemoveVolume(Effect, msgspec.Struct, frozen=True):
    """Remove what LVM knows by ``name``: a logical volume (``group/volume``), a group, or a device's label (its path).

    Never more than that: a group that still has volumes, or a device that a group still uses, is refused.
    """

    kind: Literal["lv", "vg", "pv"]
    name: str

    def __str__(self) -> str:
        return f"{self.kind}remove {self.name}"
