"""Reads a guest's serial console: what the kernel died of, and the last things it said.

The console is for explaining, never for deciding that a node is well: that is asked over the API. The one decision made
from it is about the emulator. About four boots in 150 under multi-threaded TCG end in a kernel panic before the node's
own code runs, with the instruction pointer in a clock function; that is a race in the emulator, says nothing about the
image, and is answered by booting once more. A panic that our own code causes (PID 1 ended, no root file system) is not
answered that way, since a second try would only hide it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

PANIC = re.compile(r"Kernel panic - not syncing: (?P<why>.*)")
FAULT = re.compile(r"(?P<why>BUG: unable to handle .*|Oops: .*)")
OURS = re.compile(r"Attempted to kill init|Unable to mount root|No working init found|Requested init|dozen")
WHERE = re.compile(r"RIP: 0010:(?P<function>\S+)")
ESCAPE = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]"  # control sequences
    r"|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)?"  # titles and colours of a terminal
    r"|\x1b[@-Z\\^_c]|[\x00-\x08\x0b\x0c\x0e-\x1f]"
)
TAIL_BYTES = 256 * 1024


@dataclass(frozen=True, slots=True)
class Panic:
    """``emulator`` is true when nothing of ours can have caused it."""

    why: str
    where: str
    emulator: bool

    def __str__(self) -> str:
        return f"{self.why} in {self.where}" if self.where else self.why


def read_console(path: Path, start: int = 0) -> str:
    """The log from byte ``start`` (its end, when that is long) as text, without what only a terminal understands."""
    try:
        with path.open("rb") as file:
            file.seek(0, 2)
            file.seek(max(start, file.tell() - TAIL_BYTES))
            raw = file.read()
    except FileNotFoundError:
        return ""
    return ESCAPE.sub("", raw.decode(errors="replace")).replace("\r", "")


def find_panic(text: str) -> Panic | None:
    """The guest kernel's panic or fatal fault, if it had one."""
    panic, fault = PANIC.search(text), FAULT.search(text)
    first = min((match for match in (panic, fault) if match), key=lambda match: match.start(), default=None)
    if first is None:
        return None
    where = WHERE.search(text, first.start())
    why = first["why"].strip()
    ours = OURS.search(why) or (panic and OURS.search(panic["why"]) and not fault)
    return Panic(why, where["function"] if where else "", emulator=not ours)


def count_boots(text: str) -> int:
    """How often a kernel started."""
    return text.count("] Linux version ")


def before_last_boot(text: str) -> str:
    """What was said until the kernel started last."""
    return text.rpartition("] Linux version ")[0]


def last_lines(text: str, count: int = 12) -> str:
    """The last lines that say something."""
    lines = [line.rstrip() for line in text.splitlines() if line.strip()]
    return "\n".join(f"  console: {line}" for line in lines[-count:])
