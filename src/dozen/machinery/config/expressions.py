"""Which variables expressions of a configuration have, and what they are where none is given.

Whoever evaluates one gives it these; here it is read once, so that a mistake is found when the configuration is given.
"""

from __future__ import annotations

LINK = ("link",)
PRESSURE = tuple(f"memory_{kind}_{span}" for kind in ("some", "full") for span in ("avg10", "avg60", "avg300", "total"))
TRIGGER = (*PRESSURE, "time_since_trigger")
# From the first to be ended to the last; in expressions these names are numbers.
CLASSES = ("Besteffort", "Burstable", "Guaranteed", "Podruntime", "System")
RANKING = ("memory_max", "memory_current", "memory_peak", "path", "class", *CLASSES)

# Processes stood still for want of memory, all of them, for more than an eighth of the last ten seconds.
DEFAULT_TRIGGER = 'memory_full_avg10 > 12.0 && time_since_trigger > duration("500ms")'
# Pods without a limit of their own: those that asked for nothing before those that asked for something.
DEFAULT_RANKING = (
    "memory_max.hasValue() ? 0.0 :"
    " {Besteffort: 1.0, Burstable: 0.5, Guaranteed: 0.0, Podruntime: 0.0, System: 0.0}[class]"
    " * double(memory_current.orValue(0u))"
)


def check(text: str, variables: tuple[str, ...]) -> str:
    """What is wrong with an expression; empty when nothing is."""
    from dozen.machinery.cel import CelError, parse

    try:
        parse(text, variables)
    except CelError as error:
        return f"is no expression that can be used: {error}"
    return ""
