"""Effects that make devices forget what they hold."""

from __future__ import annotations

import msgspec

from dozen.machinery.plan import Effect


class WipeDevice(Effect, msgspec.Struct, frozen=True):
    """Make a disk or partition look blank: the marks of formats and partition tables alone, or every byte (``zeroes``).

    ``exclusive``: not while anything else uses the device, as the kernel knows it.
    """

    device: str
    generation: int = 0
    zeroes: bool = False
    exclusive: bool = True

    def __str__(self) -> str:
        return f"wipe {self.device}" + (" with zeroes" if self.zeroes else "")


class DropPartition(Effect, msgspec.Struct, frozen=True):
    """Take a partition out of its disk's GPT; the others keep their numbers and places."""

    device: str
    number: int
    generation: int = 0

    def __str__(self) -> str:
        return f"drop partition {self.number} of {self.device}"
