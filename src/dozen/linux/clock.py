"""The clock: jumping it, and letting the kernel work off a small error.

The kernel's clock discipline (adjtimex(2)) takes an *offset* and runs the clock a little faster or slower until it is
gone, learning the frequency error on the way. It takes half a second at most; more must be stepped. As long as somebody
says that the clock is in step (the STA_UNSYNC bit is off), the kernel also writes it to the hardware clock every 11
minutes.
"""

from __future__ import annotations

import time
from collections.abc import Mapping

import msgspec

from dozen.machinery.effects.time import SlewClock, StepClock
from dozen.machinery.plan import Effect

ADJ_OFFSET, ADJ_MAXERROR, ADJ_ESTERROR, ADJ_STATUS = 0x1, 0x4, 0x8, 0x10
ADJ_TIMECONST, ADJ_NANO = 0x20, 0x2000
STA_PLL, STA_UNSYNC, STA_NANO = 0x1, 0x40, 0x2000
STATUS_NAMES = (
    (0x1, "PLL"),
    (0x2, "PPSFREQ"),
    (0x4, "PPSTIME"),
    (0x8, "FLL"),
    (0x10, "INS"),
    (0x20, "DEL"),
    (0x40, "UNSYNC"),
    (0x80, "FREQHOLD"),
    (0x100, "PPSSIGNAL"),
    (0x200, "PPSJITTER"),
    (0x400, "PPSWANDER"),
    (0x800, "PPSERROR"),
    (0x1000, "CLOCKERR"),
    (0x2000, "NANO"),
    (0x4000, "MODE"),
    (0x8000, "CLK"),
)
STATE_NAMES = ("OK", "INS", "DEL", "OOP", "WAIT", "ERROR")

SLEW_LIMIT = 0.5  # seconds; the kernel clamps larger offsets (MAXPHASE in include/linux/timex.h)
NANOSECONDS = 1_000_000_000
TIME_CONSTANT = 7  # a loop that settles within some ten minutes, for polls between 32 s and 17 min


class Discipline(msgspec.Struct, frozen=True):
    """State of the kernel's clock discipline; offset and errors are nanoseconds."""

    offset: int
    frequency_ratio: float
    max_error: int
    estimated_error: int
    status: str
    constant: int
    synchronized: bool
    state: str


def step(offset: float) -> None:
    """Jump by ``offset`` seconds; raises OSError."""
    time.clock_settime_ns(time.CLOCK_REALTIME, time.time_ns() + round(offset * NANOSECONDS))
    _mark_synchronized()


def slew(offset: float) -> None:
    """Have the kernel work off ``offset`` seconds, at most `SLEW_LIMIT`; raises ValueError or OSError."""
    if abs(offset) > SLEW_LIMIT:
        raise ValueError(f"{offset} s cannot be slewed, only stepped")
    _adjust(
        modes=ADJ_OFFSET | ADJ_STATUS | ADJ_NANO | ADJ_TIMECONST | ADJ_MAXERROR | ADJ_ESTERROR,
        offset=round(offset * NANOSECONDS),
        status=STA_PLL,
        constant=TIME_CONSTANT,
        maxerror=0,
        esterror=0,
    )


def run(effect: Effect) -> None:
    """Carry out one effect of `dozen.machinery.effects.time`; raises OSError."""
    if isinstance(effect, StepClock):
        step(effect.offset)
    elif isinstance(effect, SlewClock):
        slew(effect.offset)
    else:
        raise TypeError(f"{effect!r} is no effect on the clock")


def read_discipline() -> Discipline:
    """Ask the kernel; raises OSError."""
    return describe_discipline(_adjust(modes=0))


def describe_discipline(values: Mapping[str, int]) -> Discipline:
    """Translate what adjtimex(2) returned. Offsets are nanoseconds if STA_NANO is set, else microseconds."""
    status = values["status"]
    return Discipline(
        offset=values["offset"] * (1 if status & STA_NANO else 1000),
        # the frequency is in parts per million, scaled by 2**16
        frequency_ratio=1 + values["freq"] / 65536 / 1_000_000,
        max_error=values["maxerror"] * 1000,
        estimated_error=values["esterror"] * 1000,
        status=" | ".join(f"STA_{name}" for bit, name in STATUS_NAMES if status & bit),
        constant=values["constant"],
        synchronized=not status & STA_UNSYNC,
        state=STATE_NAMES[values["state"]] if values["state"] < len(STATE_NAMES) else str(values["state"]),
    )


def _mark_synchronized() -> None:
    _adjust(modes=ADJ_STATUS | ADJ_MAXERROR | ADJ_ESTERROR, status=STA_PLL, maxerror=0, esterror=0)


def _adjust(**fields: int) -> Mapping[str, int]:
    from dozen.linux import sys as kernel

    return kernel.adjtimex(**fields)
