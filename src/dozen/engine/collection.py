"""The resources of one kind in one namespace, their recent history, and who listens."""

from __future__ import annotations

from collections import deque
from itertools import islice

import msgspec

from dozen.engine.errors import BookmarkExpired
from dozen.engine.watch import BOOTSTRAPPED, CREATED, DESTROYED, AnyEvent, Event, EventType, Listener, Watch
from dozen.engine.watch import read_bookmark as read_position
from dozen.machinery.resource import Kind, Resource

AnyResource = Resource[msgspec.Struct]


class Collection:
    """Holds what a store keeps of one kind in one namespace. Only `dozen.engine.store.Store` changes it."""

    __slots__ = ("_listeners", "_of_one", "_sorted", "history", "items", "kind", "namespace", "nonce", "position")

    def __init__(self, kind: Kind[msgspec.Struct], namespace: str, nonce: bytes, history: int) -> None:
        self.kind = kind
        self.namespace = namespace
        self.items: dict[str, AnyResource] = {}
        self.history: deque[AnyEvent] = deque(maxlen=history)
        self.position = 0
        self.nonce = nonce
        self._listeners: tuple[Listener, ...] = ()
        self._of_one: dict[str, tuple[Listener, ...]] = {}
        self._sorted: tuple[AnyResource, ...] | None = ()

    @property
    def bookmark(self) -> bytes:
        """The bookmark of the newest event, even if nothing has happened yet."""
        return self.nonce + self.position.to_bytes(8, "big")

    @property
    def listeners(self) -> int:
        """How many listen."""
        return len(self._listeners) + sum(len(each) for each in self._of_one.values())

    def sorted(self) -> tuple[AnyResource, ...]:
        """All resources in the order of their ids."""
        if self._sorted is None:
            self._sorted = tuple([self.items[id] for id in sorted(self.items)])
        return self._sorted

    def change(self, type: EventType, resource: AnyResource, old: AnyResource | None) -> None:
        """Take over a new state and tell everyone."""
        id = resource.metadata.id
        if type is DESTROYED:
            del self.items[id]
        else:
            self.items[id] = resource
        self._sorted = None
        self.position += 1
        event = Event(type, id, resource, old, self.position, self.nonce)
        self.history.append(event)
        for listen in self._listeners:
            listen(event)
        if self._of_one:
            for listen in self._of_one.get(id, ()):
                listen(event)

    def listen(self, listener: Listener, id: str | None) -> None:
        """Call ``listener`` with every event, or those of one resource. It must neither change the store nor raise."""
        if id is None:
            self._listeners = (*self._listeners, listener)
        else:
            self._of_one[id] = (*self._of_one.get(id, ()), listener)

    def unlisten(self, listener: Listener, id: str | None) -> None:
        """Undo `listen`."""
        if id is None:
            self._listeners = tuple([each for each in self._listeners if each != listener])
            return
        left = tuple([each for each in self._of_one.get(id, ()) if each != listener])
        if left:
            self._of_one[id] = left
        else:
            self._of_one.pop(id, None)

    def watch(self, id: str | None, bootstrap: bool, tail: int, start_from: bytes | None) -> Watch[msgspec.Struct]:
        """See `dozen.engine.store.Store.watch`."""
        if start_from is not None:
            initial = self._since(read_position(start_from, self.nonce), id)
        elif tail:
            initial = self._last(tail, id)
        elif id is not None:
            initial = [self._present(id)]
        elif bootstrap:
            initial = [Event(CREATED, each.metadata.id, each) for each in self.sorted()]
            initial.append(Event(BOOTSTRAPPED, "", None, None, self.position, self.nonce))
        else:
            initial = []
        watch = Watch(initial)
        push = watch.push
        self.listen(push, id)
        watch.attach(lambda: self.unlisten(push, id))
        return watch

    def _present(self, id: str) -> AnyEvent:
        resource = self.items.get(id)
        return Event(DESTROYED if resource is None else CREATED, id, resource, None, self.position, self.nonce)

    def _since(self, position: int, id: str | None) -> list[AnyEvent]:
        missed = self.position - position
        if missed < 0 or missed > len(self.history):
            raise BookmarkExpired("the history no longer reaches back to the bookmark; start a new watch")
        events = islice(self.history, len(self.history) - missed, None)
        return [event for event in events if id is None or event.id == id]

    def _last(self, count: int, id: str | None) -> list[AnyEvent]:
        events = [event for event in self.history if id is None or event.id == id]
        return events[-count:] if count > 0 else events
