"""Answers that were got before, for as long as they say that they hold, and bounded in number and size."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import NamedTuple

from dozen.machinery import dns

ENTRIES = 4096
# Bytes of all answers together.
SIZE = 2 << 20
# Seconds: a wrong answer that says that it holds for days is not believed so long.
LONGEST, LONGEST_ABSENCE = 3600, 300


class _Entry(NamedTuple):
    packet: bytes
    places: tuple[int, ...]
    since: float
    until: float


class Cache:
    """Answers by what was asked (`dozen.machinery.dns.key_of`); the one that was not used for longest goes first."""

    def __init__(self, clock: Callable[[], float], entries: int = ENTRIES, size: int = SIZE) -> None:
        self._clock = clock
        self._entries, self._size = entries, size
        self._used = 0
        self._known: OrderedDict[bytes, _Entry] = OrderedDict()

    def __len__(self) -> int:
        return len(self._known)

    def find(self, key: bytes) -> bytes | None:
        """The answer, with the times to live that are left of it."""
        entry = self._known.get(key)
        if entry is None:
            return None
        now = self._clock()
        if now >= entry.until:
            self._forget(key)
            return None
        self._known.move_to_end(key)
        return dns.aged(entry.packet, entry.places, int(now - entry.since))

    def keep(self, key: bytes, packet: bytes, answer: dns.Answer) -> None:
        """Remember an answer, if it is one that holds for a while."""
        if answer.truncated or answer.rcode not in (dns.NO_ERROR, dns.NO_SUCH_NAME) or not answer.ttl:
            return
        positive = answer.rcode == dns.NO_ERROR
        life = min(answer.ttl, LONGEST if positive else LONGEST_ABSENCE)
        if len(packet) + len(key) > self._size // 16:
            return
        if key in self._known:
            self._forget(key)
        now = self._clock()
        self._known[key] = _Entry(packet, answer.places, now, now + life)
        self._used += len(packet) + len(key)
        while len(self._known) > self._entries or self._used > self._size:
            self._forget(next(iter(self._known)))

    def clear(self) -> None:
        self._known.clear()
        self._used = 0

    def _forget(self, key: bytes) -> None:
        self._used -= len(self._known.pop(key).packet) + len(key)
