"""Effects on the clock."""

from __future__ import annotations

from dataclasses import dataclass

from dozen.machinery.plan import Effect


@dataclass(frozen=True, slots=True)
class StepClock(Effect):
    """Jump the clock by ``offset`` seconds, at once. Right at boot and for errors too large to be worked off."""

    offset: float

    def __str__(self) -> str:
        return f"step clock by {self.offset:+.6f} s"


@dataclass(frozen=True, slots=True)
class SlewClock(Effect):
    """Let the clock run a little faster or slower until ``offset`` seconds are worked off."""

    offset: float

    def __str__(self) -> str:
        return f"slew clock by {self.offset:+.6f} s"
