"""How long to wait before trying again."""

from __future__ import annotations

import os
from collections.abc import Callable

FIRST = 0.25
CAP = 60.0
FACTOR = 2.0


def random_fraction() -> float:
    """A number in [0, 1). From the kernel, because importing `random` costs more than everything here."""
    return int.from_bytes(os.urandom(4), "big") / 2**32


def delay_after(failures: int, fraction: Callable[[], float] = random_fraction) -> float:
    """Seconds to wait after so many failures in a row.

    Doubles from `FIRST` to `CAP`, and is then shortened at random by up to half, so that those that failed together do
    not try again together.
    """
    longest = min(CAP, FIRST * FACTOR ** min(failures - 1, 30))
    return longest * (1.0 - fraction() / 2)
