"""Effects on the clock."""

from __future__ import annotations

import msgspec

from dozen.machinery.plan import Effect


class StepClock(Effect, msgspec.Struct, frozen=True):
    """Jump the clock by ``offset`` seconds, at once. Right at boot and for errors too large to be worked off."""

    offset: float

    def __str__(self) -> str:
        return f"step clock by {self.offset:+.6f} s"


class SlewClock(Effect, msgspec.Struct, frozen=True):
    """Let the clock run a little faster or slower until ``offset`` seconds are worked off."""

    offset: float

    def __str__(self) -> str:
        return f"slew clock by {self.offset:+.6f} s"
