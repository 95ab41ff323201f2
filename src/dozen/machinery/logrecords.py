"""Log lines as JSON, one object for each: what receivers of logs are sent.

The names are those that receivers know from the field. Lines of services have ``msg``, ``talos-level``,
``talos-service`` and ``talos-time``; those of the kernel have ``msg``, ``facility``, ``priority``, ``seq``, ``clock``
(microseconds since boot), ``talos-level`` and ``talos-time``. Tags of the configuration stand beside them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import msgspec

# What PID 1 writes (`dozen.node.journal`): a time, a level, the rest.
_JOURNAL = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ) (debug|info|warning|error|critical) (.*)", re.DOTALL)
LEVELS = {"debug": "debug", "info": "info", "warning": "warn", "error": "error", "critical": "error"}
# The kernel's levels, in the words of the others.
KERNEL_LEVELS = {"emerg": "panic", "alert": "fatal", "crit": "error", "err": "error", "warning": "warn"}
JOURNAL = "machined"


def service_record(id: str, line: bytes, now: str, tags: Mapping[str, str]) -> bytes:
    """A line of a service's log. ``now`` is the time for one that says none itself, RFC 3339."""
    text, level = line.decode(errors="replace").rstrip("\n"), "info"
    if id == JOURNAL and (found := _JOURNAL.fullmatch(text)):
        now, level, text = found[1], LEVELS[found[2]], found[3]
    fields = {"msg": text, "talos-level": level, "talos-service": id, "talos-time": now}
    return msgspec.json.encode({**tags, **fields})


def kernel_record(
    text: str, facility: str, priority: str, sequence: int, clock: int, time: str, tags: Mapping[str, str]
) -> bytes:
    """A record of the kernel's log."""
    fields: dict[str, str | int] = {
        "clock": clock,
        "facility": facility,
        "msg": text,
        "priority": priority,
        "seq": sequence,
        "talos-level": KERNEL_LEVELS.get(priority, priority),
        "talos-time": time,
    }
    return msgspec.json.encode({**tags, **fields})
