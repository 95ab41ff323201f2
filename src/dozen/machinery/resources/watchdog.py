"""The watchdog timer that resets a machine which hangs."""

from __future__ import annotations

from dozen.machinery.resource import Kind
from dozen.machinery.resources.spec import Spec


class WatchdogTimerConfigSpec(Spec):
    """The timer that is to be fed, and after how long it resets the machine; id ``timer``."""

    device: str = ""
    timeout: int = 0

    WIRE = "1 device string, 2 timeout duration"


WATCHDOG_TIMER_CONFIG = Kind(
    "WatchdogTimerConfigs.runtime.talos.dev",
    "runtime",
    WatchdogTimerConfigSpec,
    "WatchdogTimerConfig",
    aliases=("watchdogtimerconfig", "wtc", "wtcs"),
    columns=(("Device", "{.device}"), ("Timeout", "{.timeout}")),
)


class WatchdogTimerStatusSpec(Spec):
    """The timer that is armed, what it counts, and how often it is fed; id ``timer``."""

    device: str = ""
    timeout: int = 0
    feed_interval: int = 0

    WIRE = "1 device string, 2 timeout duration, 3 feedInterval duration"


WATCHDOG_TIMER_STATUS = Kind(
    "WatchdogTimerStatuses.runtime.talos.dev",
    "runtime",
    WatchdogTimerStatusSpec,
    "WatchdogTimerStatus",
    aliases=("watchdogtimerstatus", "wts"),
    columns=(("Device", "{.device}"), ("Timeout", "{.timeout}")),
)
