"""What happened on the machine, in order: the history behind ``dozenctl events``.

An event has an id that sorts by time (the xid format: 4 bytes seconds, 5 bytes of this boot, 3 bytes counter, in base
32), the id of the request that caused it (its *actor*), and a payload. The payload is kept as field values and becomes
protobuf only when somebody reads it, so that a boot, which publishes dozens, does not wait for that library.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections import deque
from collections.abc import AsyncIterator, Mapping
from typing import Any

HISTORY = 1000
TYPE_PREFIX = "talos/runtime/machine."
_XID_ALPHABET = "0123456789abcdefghijklmnopqrstuv"


class XidSource:
    """Makes ids of 20 characters that sort in the order they were made."""

    def __init__(self) -> None:
        self._boot = os.urandom(5)
        self._counter = int.from_bytes(os.urandom(2), "big")

    def __call__(self) -> str:
        self._counter = (self._counter + 1) & 0xFFFFFF
        raw = int(time.time()).to_bytes(4, "big") + self._boot + self._counter.to_bytes(3, "big")
        # 96 bits in groups of five from the top: the last character carries one bit and four zeros.
        number = int.from_bytes(raw, "big") << 4
        return "".join(_XID_ALPHABET[number >> shift & 31] for shift in range(95, -1, -5))


class Event:
    """One thing that happened; ``timestamp`` in seconds since the epoch."""

    __slots__ = ("actor_id", "fields", "id", "name", "timestamp")

    def __init__(self, id: str, name: str, fields: Mapping[str, Any], actor_id: str) -> None:
        self.id = id
        self.name = name
        self.fields = fields
        self.actor_id = actor_id
        self.timestamp = time.time()

    @property
    def type_url(self) -> str:
        return TYPE_PREFIX + self.name

    @property
    def data(self) -> bytes:
        """The payload as protobuf."""
        from dozen.machinery.messages import message

        encoded: bytes = message(f"machine.{self.name}")(**self.fields).SerializeToString()
        return encoded


class Events:
    """A bounded history of events, and those who listen for more."""

    def __init__(self) -> None:
        self._history: deque[Event] = deque(maxlen=HISTORY)
        self._new_id = XidSource()
        self._published = 0
        self._changed: asyncio.Event = asyncio.Event()

    def new_id(self) -> str:
        """An id for something about to happen, for example a request that will be the actor of many events."""
        return self._new_id()

    def publish(self, name: str, fields: Mapping[str, Any], actor_id: str = "") -> None:
        """Record an event; ``name`` is a message of the machine package and ``fields`` are its field values."""
        self._history.append(Event(self._new_id(), name, fields, actor_id))
        self._published += 1
        self._changed.set()
        self._changed = asyncio.Event()

    def history(self) -> list[Event]:
        """What is remembered, oldest first."""
        return list(self._history)

    async def subscribe(
        self, *, tail: int = 0, since_id: str = "", since_seconds: float = 0.0, actor_id: str = ""
    ) -> AsyncIterator[Event]:
        """Past events (the last ``tail``, all when negative; or those after ``since_id``; or of the last
        ``since_seconds``), then each new one. Who falls more than the history behind misses the difference."""
        past = [event for event in self._history if not actor_id or event.actor_id == actor_id]
        seen = self._published
        if since_id:
            past = [event for event in past if event.id > since_id]
        elif since_seconds:
            past = [event for event in past if event.timestamp >= time.time() - since_seconds]
        elif tail >= 0:
            past = past[len(past) - min(tail, len(past)) :]
        for event in past:
            yield event
        while True:
            if seen == self._published:
                await self._changed.wait()
            missed = min(self._published - seen, len(self._history))
            seen = self._published
            for event in list(self._history)[len(self._history) - missed :]:
                if not actor_id or event.actor_id == actor_id:
                    yield event
