"""The kernel's log: records of /dev/kmsg, one for each read, and how they look to an operator.

A record is ``<priority>,<sequence>,<microseconds>,<flags>;<text>`` followed by lines of properties, which begin with
a space (Documentation/ABI/testing/dev-kmsg). The priority holds a syslog level in its low three bits and a facility
above. Time counts from boot and stands still while the machine sleeps. Bytes that are not printable ASCII are escaped
as ``\\xNN``.
"""

from __future__ import annotations

import errno
import os
import re
import time
from typing import NamedTuple

DEVICE = "/dev/kmsg"

# A record is at most CONSOLE_EXT_LOG_MAX bytes (kernel/printk/internal.h), 8 KiB; a shorter buffer gets EINVAL.
_RECORD_BYTES = 8192

LEVELS = ("emerg", "alert", "crit", "err", "warning", "notice", "info", "debug")
FACILITIES = (
    *("kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv", "ftp"),
    *("ntp", "audit", "alert", "clock", "local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7"),
)

_ESCAPE = re.compile(rb"\\x([0-9a-f]{2})")


class Record(NamedTuple):
    """One message of the kernel, or of a program that wrote to its log. ``microseconds`` since boot."""

    facility: str
    level: str
    sequence: int
    microseconds: int
    text: str


def parse_record(data: bytes) -> Record:
    """What one read of /dev/kmsg gave. Raises ValueError."""
    head, separator, rest = data.partition(b";")
    fields = head.split(b",")
    if not separator or len(fields) < 3:
        raise ValueError(f"not a record of the kernel's log: {data[:80]!r}")
    priority, sequence, microseconds = (int(field) for field in fields[:3])
    if max(priority, sequence, microseconds) >= 1 << 64 or min(priority, sequence, microseconds) < 0:
        raise ValueError("a record of the kernel's log with numbers that no kernel has")
    facility = priority >> 3
    return Record(
        FACILITIES[facility] if facility < len(FACILITIES) else str(facility),
        LEVELS[priority & 7],
        sequence,
        microseconds,
        _ESCAPE.sub(_unescape, rest.partition(b"\n")[0]).decode(errors="replace"),
    )


def _unescape(found: re.Match[bytes]) -> bytes:
    """Backslashes and text beyond ASCII; control characters stay escaped, as they would command a reader's terminal."""
    code = int(found[1], 16)
    return bytes((code,)) if code >= 0x80 or code == 0x5C else found[0]


def format_record(record: Record, booted: float) -> str:
    """One line: ``kern:    info: [2024-05-01T10:00:00.5Z]: text``; ``booted`` in seconds since the epoch, UTC."""
    stamp = format_time(round(booted * 1_000_000) + record.microseconds)
    return f"{record.facility}: {record.level:>7}: [{stamp}]: {record.text}\n"


def format_time(microseconds: int) -> str:
    """Microseconds since the epoch as RFC 3339 in UTC, without the zeros at the end of the fraction."""
    seconds, fraction = divmod(microseconds, 1_000_000)
    stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))
    return f"{stamp}.{fraction:06d}".rstrip("0").rstrip(".") + "Z"


def read_boot_time() -> float:
    """When the kernel's log began to count, in seconds since the epoch by the clock as it is now."""
    return time.time() - time.monotonic()


class LogReader:
    """An open /dev/kmsg: never blocks; may be waited for like a socket, by its ``fileno``."""

    def __init__(self, *, new_only: bool = False, device: str = DEVICE) -> None:
        """``new_only`` skips what has been logged so far. Raises OSError where the log cannot be read."""
        self._descriptor = os.open(device, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        if new_only:
            os.lseek(self._descriptor, 0, os.SEEK_END)

    def fileno(self) -> int:
        return self._descriptor

    def read(self) -> Record | None:
        """The next record; None when there is none yet. Records that were overwritten unread are passed over."""
        while True:
            try:
                data = os.read(self._descriptor, _RECORD_BYTES)
            except BlockingIOError:
                return None
            except OSError as error:
                if error.errno == errno.EPIPE:
                    continue
                raise
            return parse_record(data) if data else None

    def close(self) -> None:
        os.close(self._descriptor)
