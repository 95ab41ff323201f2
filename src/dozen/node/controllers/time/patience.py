"""Tells when nobody is to wait for a right clock any longer: ``bootTimeout`` after the machine's start."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from dozen.machinery.resources.clock import CLOCK_PATIENCE, ClockPatience
from dozen.machinery.resources.settings import TIME, TIME_SETTINGS

if TYPE_CHECKING:
    from dozen.engine.publisher import Publisher
    from dozen.engine.store import Store

BOOT = "boot"


class PatienceWatcher:
    """TimeSettings → ClockPatience. ``uptime``: seconds since the machine's start, as Linux' monotonic clock has it."""

    name = "time-patience"
    outputs = (CLOCK_PATIENCE,)

    def __init__(self, store: Store, uptime: Callable[[], float] = time.monotonic) -> None:
        self._store = store
        self._uptime = uptime

    async def run(self, publish: Publisher) -> None:
        changed = asyncio.Event()
        stop = self._store.listen(TIME_SETTINGS, lambda _: changed.set())
        try:
            while True:
                changed.clear()
                left = self._look(publish)
                try:
                    await asyncio.wait_for(changed.wait(), left)
                except TimeoutError:
                    continue
        finally:
            stop()

    def _look(self, publish: Publisher) -> float | None:
        """Say whether it is over; seconds until it is, None when nothing but another configuration changes that."""
        settings = self._store.find(TIME_SETTINGS, TIME)
        limit = settings.spec.boot_timeout if settings is not None else 0
        left = limit / 1e9 - self._uptime()
        if limit and left <= 0:
            publish.put(CLOCK_PATIENCE, BOOT, ClockPatience(waited=limit))
        else:
            publish.remove(CLOCK_PATIENCE, BOOT)
        return left if limit and left > 0 else None
