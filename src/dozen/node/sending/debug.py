"""With ``debug: true``: more is logged, and what services log is on the console too."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

from dozen.machinery.logrecords import JOURNAL
from dozen.machinery.resources import config
from dozen.node.configuration import parse
from dozen.node.journal import RECORD_BYTES

if TYPE_CHECKING:
    from dozen.engine.publisher import Publisher
    from dozen.engine.store import Store
    from dozen.node.logs import Logs

KERNEL = "/dev/kmsg"
# Facility daemon (3), severity info (6), as in syslog(3): a console shows it.
PRIORITY = b"<30>"


class DebugWatcher:
    """MachineConfig → how much is logged, and where."""

    name = "debug"
    outputs = ()

    def __init__(self, store: Store, logs: Logs, kernel: str = KERNEL) -> None:
        self._store = store
        self._logs = logs
        self._kernel = kernel

    async def run(self, publish: Publisher) -> None:
        changed = asyncio.Event()
        stop = self._store.listen(config.MACHINE_CONFIG, lambda _: changed.set())
        end: Callable[[], None] | None = None
        try:
            while True:
                changed.clear()
                wanted = self._wanted()
                logging.getLogger("dozen").setLevel(logging.DEBUG if wanted else logging.INFO)
                if wanted and end is None:
                    end = self._show()
                elif not wanted and end is not None:
                    end()
                    end = None
                await changed.wait()
        finally:
            stop()
            if end is not None:
                end()

    def _wanted(self) -> bool:
        active = self._store.find(config.MACHINE_CONFIG, config.ACTIVE)
        main = parse(active.spec.text).main if active is not None else None
        return bool(main and main.debug)

    def _show(self) -> Callable[[], None]:
        """Copy lines of services to the console; PID 1's own are there anyway. The result ends that."""
        try:
            kernel = os.open(self._kernel, os.O_WRONLY | os.O_CLOEXEC)
        except OSError:
            # A container has no kernel's log to write to; its console is this program's own.
            return self._logs.tap(lambda id, line: _print(id, line) if id != JOURNAL else None)

        def show(id: str, line: bytes) -> None:
            if id != JOURNAL:
                with contextlib.suppress(OSError):
                    os.write(kernel, (PRIORITY + f"[{id}] ".encode() + line.rstrip(b"\n"))[:RECORD_BYTES])

        untap = self._logs.tap(show)

        def end() -> None:
            untap()
            os.close(kernel)

        return end


def _print(id: str, line: bytes) -> None:
    sys.stderr.write(f"[{id}] {line.decode(errors='replace')}")
