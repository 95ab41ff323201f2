"""The clock: whether it is right and how it is kept right."""

from __future__ import annotations

from dozen.machinery.resource import Kind
from dozen.machinery.resources.spec import Spec


class TimeStatusSpec(Spec):
    """Whether the clock is right; id ``node``."""

    synced: bool = False
    epoch: int = 0
    sync_disabled: bool = False

    WIRE = "1 synced bool, 2 epoch int64, 3 syncDisabled bool"


TIME_STATUS = Kind(
    "TimeStatuses.v1alpha1.talos.dev",
    "runtime",
    TimeStatusSpec,
    "TimeStatus",
    aliases=("timestatus", "ts"),
    columns=(("Synced", "{.synced}"),),
)


class NTPStatusSpec(Spec):
    """What the time client thinks of its last samples."""

    spike_detected: bool = False
    consecutive_spikes: int = 0

    WIRE = "1 spikeDetected bool, 2 consecutiveSpikes int64"


NTP_STATUS = Kind(
    "NTPStatuses.v1alpha1.talos.dev",
    "runtime",
    NTPStatusSpec,
    "NTPStatus",
    aliases=("ntpstatus", "ntps"),
    columns=(("Spike Detected", "{.spikeDetected}"), ("Consecutive Spikes", "{.consecutiveSpikes}")),
)


class AdjtimeStatusSpec(Spec):
    """State of the kernel's clock discipline; durations are nanoseconds."""

    offset: int = 0
    frequency_adjustment_ratio: float = 0.0
    max_error: int = 0
    est_error: int = 0
    status: str = ""
    constant: int = 0
    sync_status: bool = False
    state: str = ""

    WIRE = """
        1 offset duration, 2 frequencyAdjustmentRatio double, 3 maxError duration, 4 estError duration,
        5 status string, 6 constant int64, 7 syncStatus bool, 8 state string
    """


ADJTIME_STATUS = Kind(
    "AdjtimeStatuses.v1alpha1.talos.dev",
    "runtime",
    AdjtimeStatusSpec,
    "AdjtimeStatus",
    aliases=("adjtimestatus", "as"),
    columns=(
        ("Offset", "{.offset}"),
        ("EstError", "{.estError}"),
        ("MaxError", "{.maxError}"),
        ("Status", "{.status}"),
        ("Sync", "{.syncStatus}"),
    ),
)
