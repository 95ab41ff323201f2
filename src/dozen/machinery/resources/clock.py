"""How wrong the clock was when a time server was asked, and what was done about it."""

from __future__ import annotations

from dozen.machinery.resource import Kind
from dozen.machinery.resources.spec import Spec


class TimeMeasurement(Spec):
    """The last usable answer of a time server; id ``last``. Seconds: add ``offset`` and the clock is right.

    ``number`` counts the measurements of this boot, from one.
    """

    number: int = 0
    server: str = ""
    offset: float = 0.0
    error: float = 0.0
    stratum: int = 0

    WIRE = "1 number uint32, 2 server string, 3 offset double, 4 error double, 5 stratum uint32"


TIME_MEASUREMENT = Kind(
    "TimeMeasurements.time.dozen",
    "runtime",
    TimeMeasurement,
    "TimeMeasurement",
    aliases=("timemeasurement",),
    columns=(("Server", "{.server}"), ("Offset", "{.offset}"), ("Error", "{.error}")),
)


class ClockAdjustment(Spec):
    """What the measurement with this ``number`` led to; id ``last``. ``action``: step, slew or none."""

    number: int = 0
    action: str = "none"
    offset: float = 0.0
    steps: int = 0
    spikes: int = 0

    WIRE = "1 number uint32, 2 action string, 3 offset double, 4 steps uint32, 5 spikes uint32"


CLOCK_ADJUSTMENT = Kind(
    "ClockAdjustments.time.dozen",
    "runtime",
    ClockAdjustment,
    "ClockAdjustment",
    aliases=("clockadjustment",),
    columns=(("Action", "{.action}"), ("Offset", "{.offset}"), ("Steps", "{.steps}")),
)


class ClockPatience(Spec):
    """The time that others wait for a right clock is over; id ``boot``, there when that is so."""

    waited: int = 0

    WIRE = "1 waited duration"


CLOCK_PATIENCE = Kind(
    "ClockPatience.time.dozen",
    "runtime",
    ClockPatience,
    "ClockPatience",
    aliases=("clockpatience",),
    columns=(("Waited", "{.waited}"),),
)
