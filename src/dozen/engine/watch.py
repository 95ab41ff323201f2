"""Following changes: events, bookmarks, and what happens to a watcher that is slower than the changes.

A *watch* is an async iterator over events of one kind, or of one resource of it. Every change of a collection (a kind
in a namespace) has a *position*, a number that grows by one; the *bookmark* of an event is that position together with
the collection's own nonce, as opaque bytes. A client that lost its connection hands the last bookmark in and gets what
it missed, as long as the collection's bounded history still holds it.

A slow watcher costs bounded memory and is never cut off. Up to `BACKLOG` events wait for it one by one. When there are
more, the waiting events are *coalesced*: of each resource only the newest state is kept, and what was created and
destroyed in between is left out. So what waits is bounded by the number of resources, a watcher always ends up with the
present state, and a bookmark stays valid because events remain in the order of their newest position.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from enum import IntEnum
from typing import Generic

import msgspec

from dozen.engine.errors import BookmarkExpired
from dozen.machinery.resource import Resource, SpecT_co

BACKLOG = 256  # events that wait for one watcher before they are coalesced


class EventType(IntEnum):
    """What happened; the numbers are those of the wire."""

    CREATED = 0
    UPDATED = 1
    DESTROYED = 2
    BOOTSTRAPPED = 3


CREATED, UPDATED, DESTROYED, BOOTSTRAPPED = EventType


class Event(Generic[SpecT_co]):
    """One change. Shared between watchers: never change one.

    ``resource`` is the new state (of a DESTROYED event the last one); it is None for BOOTSTRAPPED and when a watch of a
    single resource starts with its absence. ``old`` is the state that the watcher knew before: given with UPDATED, and
    with a DESTROYED that stands for several events. ``position`` is None for the events that tell the present contents,
    which cannot be resumed from.
    """

    __slots__ = ("id", "nonce", "old", "position", "resource", "type")

    def __init__(
        self,
        type: EventType,
        id: str,
        resource: Resource[SpecT_co] | None,
        old: Resource[SpecT_co] | None = None,
        position: int | None = None,
        nonce: bytes = b"",
    ) -> None:
        self.type = type
        self.id = id
        self.resource = resource
        self.old = old
        self.position = position
        self.nonce = nonce

    @property
    def bookmark(self) -> bytes | None:
        """Where to resume after this event, or None."""
        return None if self.position is None else self.nonce + self.position.to_bytes(8, "big")

    def __repr__(self) -> str:
        version = f" version={self.resource.metadata.version}" if self.resource is not None else ""
        return f"<{self.type.name} {self.id}{version} position={self.position}>"


def read_bookmark(bookmark: bytes, nonce: bytes) -> int:
    """The position in a bookmark. Raises BookmarkExpired for one of another collection or before a reboot."""
    if len(bookmark) != len(nonce) + 8 or not bookmark.startswith(nonce):
        raise BookmarkExpired(
            "the bookmark is not one of this watch's, or is older than the last boot; start a new watch"
        )
    return int.from_bytes(bookmark[len(nonce) :], "big")


class Watch(Generic[SpecT_co]):
    """An async iterator over events. Use it in ``with``, or close it; ``pending`` says how many events wait."""

    __slots__ = ("_detach", "_limit", "_pending", "_waiter", "closed")

    def __init__(self, initial: list[Event[SpecT_co]]) -> None:
        self._pending = deque(initial)
        self._limit = max(BACKLOG, 2 * len(initial))
        self._waiter: asyncio.Future[None] | None = None
        self._detach: Callable[[], None] | None = None
        self.closed = False

    def attach(self, detach: Callable[[], None]) -> None:
        """Take over what to call when the watch is closed."""
        self._detach = detach

    def push(self, event: Event[SpecT_co]) -> None:
        """Add an event; called by the store."""
        pending = self._pending
        pending.append(event)
        waiter = self._waiter
        if waiter is not None:
            self._waiter = None
            if not waiter.done():
                waiter.set_result(None)
        elif len(pending) > self._limit:
            self._pending = coalesce(pending)
            self._limit = max(BACKLOG, 2 * len(self._pending))

    @property
    def pending(self) -> int:
        return len(self._pending)

    def take(self) -> list[Event[SpecT_co]]:
        """All events that wait, without waiting for more."""
        events = list(self._pending)
        self._pending.clear()
        return events

    async def wait(self) -> None:
        """Return when there is an event to take, or the watch is closed."""
        while not self._pending and not self.closed:
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter

    def __aiter__(self) -> Watch[SpecT_co]:
        return self

    async def __anext__(self) -> Event[SpecT_co]:
        if not self._pending:
            await self.wait()
            if not self._pending:
                raise StopAsyncIteration
        return self._pending.popleft()

    def close(self) -> None:
        """Stop following; an iteration ends after the events that wait."""
        self.closed = True
        if self._detach is not None:
            self._detach()
            self._detach = None
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
        self._waiter = None

    def __enter__(self) -> Watch[SpecT_co]:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def coalesce(events: deque[Event[SpecT_co]]) -> deque[Event[SpecT_co]]:
    """Merge the events of each resource into one, or none; those up to BOOTSTRAPPED stay as they are."""
    kept: deque[Event[SpecT_co]] = deque()
    if any(event.type is BOOTSTRAPPED for event in events):
        while True:
            event = events.popleft()
            kept.append(event)
            if event.type is BOOTSTRAPPED:
                break
    merged: dict[str, Event[SpecT_co]] = {}
    for event in events:
        before = merged.pop(event.id, None)
        after = event if before is None else _merge(before, event)
        if after is not None:
            merged[event.id] = after  # at the end: the order is that of the newest positions
    kept.extend(merged.values())
    return kept


def _merge(first: Event[SpecT_co], second: Event[SpecT_co]) -> Event[SpecT_co] | None:
    """What two successive events of one resource come to, or None when they cancel each other out."""
    if second.type is DESTROYED:
        if first.type is CREATED:
            return None
        return Event(DESTROYED, second.id, second.resource, first.old, second.position, second.nonce)
    if first.type is CREATED or first.resource is None:  # None: a watch that started with the absence
        return Event(CREATED, second.id, second.resource, None, second.position, second.nonce)
    seen = first.old or first.resource if first.type is DESTROYED else first.old
    return Event(UPDATED, second.id, second.resource, seen, second.position, second.nonce)


AnyEvent = Event[msgspec.Struct]
Listener = Callable[[AnyEvent], None]
