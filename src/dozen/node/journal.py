"""PID 1's own log: the kernel's ring, and with it console and dmesg, and the log "machined" of the API."""

from __future__ import annotations

import logging
import os
import sys
import time

from dozen.node.logs import LogBuffer

# syslog(3) priorities; facility 1 (user) shifted by three bits as in printk(9).
_PRIORITIES = ((logging.ERROR, 3), (logging.WARNING, 4), (logging.INFO, 6))
_FACILITY = 1 << 3
# The kernel cuts a record at 1024 - 48 bytes (LOG_LINE_MAX in kernel/printk).
RECORD_BYTES = 960


class JournalHandler(logging.Handler):
    """Writes each record to the kernel's log, when there is one to write to, and to a log buffer."""

    def __init__(self, buffer: LogBuffer, kernel: int | None) -> None:
        super().__init__()
        self._buffer = buffer
        self._kernel = kernel

    def emit(self, record: logging.LogRecord) -> None:
        text = f"{record.levelname.lower()} {record.name} {record.getMessage()}"
        if record.exc_info:
            text += "\n" + logging.Formatter().formatException(record.exc_info)
        stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(record.created))
        self._buffer.write(f"{stamp} {text}\n".encode(errors="replace"))
        if self._kernel is None:
            sys.stderr.write(f"[dozen] {text}\n")
            return
        priority = next((value for level, value in _PRIORITIES if record.levelno >= level), 7)
        for line in text.splitlines():
            data = f"<{_FACILITY | priority}>[dozen] {line}".encode(errors="replace")[:RECORD_BYTES]
            try:
                os.write(self._kernel, data)
            except OSError:
                return


def attach_journal(buffer: LogBuffer, *, to_kernel: bool) -> None:
    """Send all logging of this process to the journal."""
    kernel = os.open("/dev/kmsg", os.O_WRONLY | os.O_CLOEXEC) if to_kernel else None
    root = logging.getLogger("dozen")
    root.handlers[:] = [JournalHandler(buffer, kernel)]
    root.propagate = False
    root.setLevel(logging.INFO)
