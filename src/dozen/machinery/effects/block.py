"""Effects on block devices: partition tables, file systems and their repair.

Each names what the plan believed to be on the device (``over``). The runner looks again right before it writes and
refuses when that is no longer so: what was read a moment ago may be somebody's data by now.
"""

from __future__ import annotations

import msgspec

from dozen.machinery.plan import Effect


class WritePartitionTable(Effect, msgspec.Struct, frozen=True):
    """Write a GPT with these partitions (label, bytes; 0 for all that is left) to a disk, and blank their edges."""

    device: str
    generation: int
    partitions: tuple[tuple[str, int], ...]
    over: str

    def __str__(self) -> str:
        parts = ", ".join(
            f"{label} {size >> 20} MiB" if size else f"{label} the rest" for label, size in self.partitions
        )
        return f"partition {self.device} ({self.over}): {parts}"


class FormatXFS(Effect, msgspec.Struct, frozen=True):
    """Make an XFS file system; ``small`` when it is smaller than mkfs.xfs makes without being told twice."""

    device: str
    generation: int
    label: str
    over: str
    small: bool = False

    def __str__(self) -> str:
        return f"format {self.device} ({self.over}) as xfs, label {self.label}"


class RepairXFS(Effect, msgspec.Struct, frozen=True):
    """Repair an XFS file system that is not mounted. ``zero_log`` gives up the changes that only the log holds."""

    device: str
    generation: int
    zero_log: bool = False

    def __str__(self) -> str:
        return f"repair {self.device}" + (", giving up its log" if self.zero_log else "")
