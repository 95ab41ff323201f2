"""When memory is so short that processes stand still: whether somebody has to end, and who.

The kernel tells for which part of the last 10, 60 and 300 seconds some, or all, processes stood still for want of
memory (*pressure*, Documentation/accounting/psi.rst). Its own answer comes only when there is nothing left at all, and
chooses single processes. Here an expression says when it is enough, and another one gives each *group* of processes a
score; the one with the highest is ended as a whole. Groups are pods, the programs that run pods, and the node's own.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from dozen.machinery.celvalues import CelError, Duration, Maybe
from dozen.machinery.config.expressions import CLASSES, PRESSURE

if TYPE_CHECKING:
    from dozen.machinery.cel import Expression

PODS, RUNTIME, SYSTEM = "kubepods", "podruntime", "system"
# Never ended: without these a node neither runs pods nor can be asked what happened.
SPARED = frozenset(("system/runtime", "system/apid", "podruntime/kubelet", "podruntime/etcd"))


class Group(NamedTuple):
    """A control group that may be ended; ``path`` is relative to the root, numbers are bytes, None where unlimited."""

    path: str
    memory_max: int | None = None
    memory_current: int | None = None
    memory_peak: int | None = None


class Victim(NamedTuple):
    path: str
    score: float


def parse_pressure(text: str) -> dict[str, float]:
    """The variables ``memory_some_avg10`` and so on from the kernel's file. Raises ValueError."""
    found: dict[str, float] = {}
    for line in text.splitlines():
        kind, *pairs = line.split()
        for pair in pairs:
            name, _, value = pair.partition("=")
            if (variable := f"memory_{kind}_{name}") in PRESSURE:
                found[variable] = float(value)
    if len(found) != len(PRESSURE):
        raise ValueError("the kernel's file about pressure is of another form")
    return found


def is_enough(trigger: Expression, pressure: dict[str, float], since: float) -> bool:
    """Whether somebody has to end; ``since`` are the seconds since the last time. Raises CelError."""
    return trigger.truth({**pressure, "time_since_trigger": Duration(since)})


def class_of(path: str) -> str:
    """How important a group is, empty for one that is none to be ended."""
    place, _, rest = path.partition("/")
    if path in SPARED or not rest:
        return ""
    if place in (RUNTIME, SYSTEM):
        return "Podruntime" if place == RUNTIME else "System"
    if place != PODS:
        return ""
    quality, _, pod = rest.partition("/")
    if quality in ("besteffort", "burstable"):
        return quality.capitalize() if pod.startswith("pod") and "/" not in pod else ""
    return "Guaranteed" if quality.startswith("pod") and not pod else ""


def choose(ranking: Expression, groups: Iterable[Group], *, strict: bool) -> Victim | None:
    """Who has to end: the highest score, if it is more than nothing; None for nobody. Raises CelError.

    ``strict``: somebody of a less important class always comes first.
    """
    ranked = [(place, score, group.path) for place, score, group in _rank(ranking, groups) if score > 0]
    if not ranked:
        return None
    _, score, path = min(ranked, key=lambda each: (each[0] if strict else 0, -each[1], each[2]))
    return Victim(path, score)


def _rank(ranking: Expression, groups: Iterable[Group]) -> Iterator[tuple[int, float, Group]]:
    names: dict[str, Any] = {name: number for number, name in enumerate(CLASSES)}
    for group in groups:
        if not (kind := class_of(group.path)):
            continue
        place = CLASSES.index(kind)
        scope = {
            **names,
            "memory_max": Maybe(group.memory_max),
            "memory_current": Maybe(group.memory_current),
            "memory_peak": Maybe(group.memory_peak),
            "path": f"/{group.path}",
            "class": place,
        }
        score = ranking.number(scope)
        if score != score:  # not a number, as 0/0 is
            raise CelError(f"{ranking.text}: is not a number for {group.path}")
        yield place, score, group
