"""Asks time servers, and publishes what they say about our clock.

The servers are asked in order until one answers, all addresses of each. While the clock is far off, or has just begun
to be kept, it is measured often; then more and more rarely. No answer is no harm: it is asked again, first after a
second, at last every minute or so, and the boot goes on meanwhile.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import TYPE_CHECKING

from dozen.machinery.resources.clock import CLOCK_ADJUSTMENT, TIME_MEASUREMENT, TimeMeasurement
from dozen.machinery.resources.network import NODE_ADDRESS, TIME_SERVER_STATUS
from dozen.machinery.resources.settings import TIME, TIME_SETTINGS
from dozen.machinery.resources.time import ADJTIME_STATUS, AdjtimeStatusSpec

if TYPE_CHECKING:
    from dozen.engine.publisher import Publisher
    from dozen.engine.store import Store
    from dozen.linux.ntp import Sample

FIRST_RETRY, LONGEST_RETRY = 1.0, 64.0  # seconds until a failed round is repeated, doubled each time
SHORTEST_POLL, LONGEST_POLL = 32.0, 1024.0  # seconds between measurements (RFC 5905: 16 s to 36 h)
GOOD_OFFSET = 0.010  # seconds: as long as it is less, ask more rarely; else more often
SETTLE = 5.0  # seconds after a change of the clock until its state is read
ADJTIME_PERIOD = 300.0
SPIKE = 0.5  # an offset above this needs a second opinion soon

LAST = "last"


class TimeWatcher:
    """TimeServerStatus + TimeSettings → TimeMeasurement."""

    name = "time-servers"
    outputs = (TIME_MEASUREMENT,)

    def __init__(self, store: Store, log: logging.Logger) -> None:
        self._store = store
        self._log = log
        self._number = 0
        self._silenced: set[str] = set()  # addresses of servers that do not want to be asked
        self._poll = SHORTEST_POLL

    async def run(self, publish: Publisher) -> None:
        changed = asyncio.Event()
        kinds = (TIME_SERVER_STATUS, TIME_SETTINGS, NODE_ADDRESS)
        stops = [self._store.listen(kind, lambda event: changed.set()) for kind in kinds]
        retry = FIRST_RETRY
        try:
            while True:
                servers = self._list_servers()
                if servers and await self._measure(servers, publish):
                    wait, retry = self._poll, FIRST_RETRY
                else:
                    wait, retry = retry, min(retry * 2, LONGEST_RETRY)
                if await self._change(servers, changed, wait if servers else None):
                    retry = FIRST_RETRY
        finally:
            for stop in stops:
                stop()

    async def _change(self, servers: tuple[str, ...], changed: asyncio.Event, wait: float | None) -> bool:
        """Wait for other servers to ask, at most so many seconds; whether there are."""
        try:
            async with asyncio.timeout(wait):
                while self._list_servers() == servers:
                    changed.clear()
                    await changed.wait()
        except TimeoutError:
            return False
        return True

    def _list_servers(self) -> tuple[str, ...]:
        """Whom to ask; nobody while that is switched off, or while there is no address to ask from."""
        settings, servers = self._store.find(TIME_SETTINGS, TIME), self._store.find(TIME_SERVER_STATUS, "timeservers")
        address = self._store.find(NODE_ADDRESS, "default")
        if settings is None or not settings.spec.enabled or servers is None or address is None:
            return ()
        return servers.spec.time_servers

    async def _measure(self, servers: tuple[str, ...], publish: Publisher) -> bool:
        """Ask until one answers; whether one did."""
        from dozen.linux.ntp import NoAnswer, resolve

        reasons = []
        for server in servers:
            try:
                addresses = await resolve(server)
            except NoAnswer as error:
                reasons.append(str(error))
                continue
            for address in addresses:
                sample = await self._ask(address, reasons)
                if sample is not None:
                    self._publish(publish, server, sample)
                    return True
        self._log.debug("no time server answered: %s", "; ".join(reasons))
        return False

    async def _ask(self, address: str, reasons: list[str]) -> Sample | None:
        from dozen.linux.ntp import KissOfDeath, NoAnswer, ask

        if address in self._silenced:
            return None
        try:
            return await ask(address)
        except NoAnswer as error:
            reasons.append(str(error))
        except KissOfDeath as error:
            self._log.warning("time server refuses address=%s code=%s", address, error.code)
            reasons.append(str(error))
            if error.code == "RATE":
                self._poll = min(self._poll * 2, LONGEST_POLL)
            else:
                self._silenced.add(address)
        return None

    def _publish(self, publish: Publisher, server: str, sample: Sample) -> None:
        self._poll = next_poll(self._poll, sample.offset)
        self._number += 1
        publish.put(
            TIME_MEASUREMENT,
            LAST,
            TimeMeasurement(
                number=self._number,
                server=server,
                offset=sample.offset,
                error=sample.delay / 2 + sample.distance,
                stratum=sample.stratum,
            ),
        )


class AdjtimeWatcher:
    """The kernel's clock discipline → AdjtimeStatus: soon, after each adjustment, and from time to time."""

    name = "time-adjtime"
    outputs = (ADJTIME_STATUS,)

    def __init__(self, store: Store) -> None:
        self._store = store

    async def run(self, publish: Publisher) -> None:
        from dozen.linux.clock import read_discipline

        changed = asyncio.Event()
        changed.set()  # once at the start
        stop = self._store.listen(CLOCK_ADJUSTMENT, lambda event: changed.set())
        try:
            while True:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(ADJTIME_PERIOD):
                        await changed.wait()
                        await asyncio.sleep(SETTLE)
                changed.clear()
                state = read_discipline()
                spec = AdjtimeStatusSpec(
                    offset=state.offset,
                    frequency_adjustment_ratio=state.frequency_ratio,
                    max_error=state.max_error,
                    est_error=state.estimated_error,
                    status=state.status,
                    constant=state.constant,
                    sync_status=state.synchronized,
                    state=state.state,
                )
                publish.put(ADJTIME_STATUS, "node", spec)
        finally:
            stop()


def next_poll(poll: float, offset: float) -> float:
    """Seconds until the next measurement, after one that found this offset."""
    if abs(offset) > SPIKE:
        return SHORTEST_POLL
    if abs(offset) > GOOD_OFFSET:
        return max(poll / 2, SHORTEST_POLL)
    return min(poll * 2, LONGEST_POLL)
