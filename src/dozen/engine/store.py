"""Keeps all resources of a node in memory, and makes sure that everyone keeps to the rules.

The store is synchronous and belongs to one event loop: a call is one atomic change, no locks, and whoever reads between
two awaits sees one consistent state. Its rules:

* A resource has one *owner*, who created it; nobody else may change, tear down or destroy it (`OwnerConflict`).
* Each change gives a new object with the next *version*. Putting what is already there changes nothing, so that a
  controller may put its whole plan again and again without waking anybody.
* *Teardown* announces the end: from then on the spec is frozen (`PhaseConflict`), and those who depend on the resource
  see the phase and take their *finalizers* off when they have cleaned up. *Destroy* succeeds when none is left.
* A finalizer may be put by anyone on a resource that is running.

Changes are told to watches (`dozen.engine.watch`). Values read from the store are immutable and may be kept.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Mapping
from typing import Any, cast

import msgspec

from dozen.engine.collection import AnyResource, Collection
from dozen.engine.errors import (
    FinalizersPending,
    KindConflict,
    NotFound,
    OwnerConflict,
    PhaseConflict,
    VersionConflict,
)
from dozen.engine.watch import CREATED, DESTROYED, UPDATED, Event, Listener, Watch
from dozen.machinery.resource import NO_LABELS, Kind, Metadata, Phase, Resource, SpecT

HISTORY = 128  # events that each kind in each namespace remembers for resumed watches
FLEETING_HISTORY = 4  # the same for kinds that change without end

_RUNNING = Phase.RUNNING
_TEARING_DOWN = Phase.TEARING_DOWN


class Store:
    """The resources of a node. ``clock`` gives seconds since the epoch, ``history`` events are kept per collection."""

    def __init__(self, clock: Callable[[], float] = time.time, history: int = HISTORY) -> None:
        self._clock = clock
        self._history = history
        self._kinds: dict[str, Kind[msgspec.Struct]] = {}
        self._collections: dict[tuple[str, str], Collection] = {}

    # Kinds

    def register(self, kind: Kind[msgspec.Struct]) -> None:
        """Make a kind known. Putting or watching does it as well. Raises KindConflict if another has its name."""
        if self._kinds.setdefault(kind.name, kind) is not kind:
            raise KindConflict(f"there is already another kind named {kind.name}")

    def kinds(self) -> tuple[Kind[msgspec.Struct], ...]:
        """Every known kind, in the order in which they became known."""
        return tuple(self._kinds.values())

    def kind_named(self, name: str) -> Kind[msgspec.Struct] | None:
        """The kind with this wire name."""
        return self._kinds.get(name)

    def namespaces(self, kind: Kind[msgspec.Struct]) -> tuple[str, ...]:
        """The namespaces that have or had resources or watches of a kind; its default one is always among them."""
        used = [namespace for name, namespace in self._collections if name == kind.name]
        return tuple(used) if kind.namespace in used else (kind.namespace, *used)

    # Reading

    def find(self, kind: Kind[SpecT], id: str, namespace: str | None = None) -> Resource[SpecT] | None:
        """A resource, or None."""
        collection = self._collections.get((kind.name, namespace or kind.namespace))
        return None if collection is None else cast("Resource[SpecT] | None", collection.items.get(id))

    def get(self, kind: Kind[SpecT], id: str, namespace: str | None = None) -> Resource[SpecT]:
        """A resource. Raises NotFound."""
        found = self.find(kind, id, namespace)
        if found is None:
            raise NotFound(f"there is no {kind.display} {id!r} in namespace {namespace or kind.namespace!r}")
        return found

    def list(
        self, kind: Kind[SpecT], namespace: str | None = None, labels: Mapping[str, str] = NO_LABELS
    ) -> tuple[Resource[SpecT], ...]:
        """All resources of a kind that have these labels, in the order of their ids."""
        collection = self._collections.get((kind.name, namespace or kind.namespace))
        if collection is None:
            return ()
        found = cast("tuple[Resource[SpecT], ...]", collection.sorted())
        if labels:
            wanted = labels.items()
            found = tuple([each for each in found if wanted <= each.metadata.labels.items()])
        return found

    # Changing

    def put(
        self,
        kind: Kind[SpecT],
        id: str,
        spec: SpecT,
        *,
        owner: str = "",
        labels: Mapping[str, str] | None = None,
        namespace: str | None = None,
        expected_version: int | None = None,
    ) -> Resource[SpecT]:
        """Create a resource or replace its spec; ``labels`` None leaves the present ones.

        ``expected_version`` 0 means that there must be none yet. Raises OwnerConflict, PhaseConflict, VersionConflict,
        and KindConflict for a spec of another type.
        """
        if type(spec) is not kind.spec:
            raise KindConflict(f"a {kind.display} holds a {kind.spec.__name__}, not a {type(spec).__name__}")
        collection = self._collections.get((kind.name, namespace or kind.namespace))
        if collection is None or collection.kind is not kind:
            collection = self._collection(kind, namespace)
        old = collection.items.get(id)
        if expected_version is not None and expected_version != (old.metadata.version if old else 0):
            raise VersionConflict(f"{kind.display} {id!r} is not at version {expected_version}")
        if old is None:
            return cast("Resource[SpecT]", self._create(collection, id, spec, owner, labels))
        metadata = old.metadata
        if metadata.owner != owner:
            raise _owner_conflict(old, owner)
        if metadata.phase is not _RUNNING:
            raise PhaseConflict(f"{metadata.key} is being torn down")
        if labels is None:
            labels = metadata.labels
        elif labels != metadata.labels:
            return cast("Resource[SpecT]", self._replace(collection, old, spec=spec, labels=_frozen(labels)))
        if old.spec == spec:
            return cast("Resource[SpecT]", old)
        # The common case written out: this is the path that decides how many updates a second the engine does.
        version, place, keep = metadata.version + 1, (metadata.namespace, metadata.type, id), metadata.finalizers
        times = (metadata.created, self._clock())
        changed = Resource(Metadata(*place, version, owner, _RUNNING, *times, keep, labels, metadata.annotations), spec)
        collection.change(UPDATED, cast(AnyResource, changed), old)
        return changed

    def modify(
        self,
        kind: Kind[SpecT],
        id: str,
        change: Callable[[SpecT | None], SpecT],
        *,
        owner: str = "",
        namespace: str | None = None,
    ) -> Resource[SpecT]:
        """Put what ``change`` makes of the present spec (None if there is none yet). Raises as `put` does."""
        present = self.find(kind, id, namespace)
        return self.put(
            kind, id, change(present.spec if present is not None else None), owner=owner, namespace=namespace
        )

    def teardown(self, kind: Kind[msgspec.Struct], id: str, *, owner: str = "", namespace: str | None = None) -> bool:
        """Announce the end of a resource; True if no finalizer keeps it. Raises NotFound and OwnerConflict."""
        collection, old = self._owned(kind, id, owner, namespace)
        if old.metadata.phase is not _TEARING_DOWN:
            self._replace(collection, old, phase=_TEARING_DOWN)
        return not old.metadata.finalizers

    def destroy(self, kind: Kind[msgspec.Struct], id: str, *, owner: str = "", namespace: str | None = None) -> None:
        """Remove a resource. Raises NotFound, OwnerConflict, and FinalizersPending while somebody still needs it."""
        collection, old = self._owned(kind, id, owner, namespace)
        if old.metadata.finalizers:
            raise FinalizersPending(f"{old.metadata.key} is still needed by {', '.join(old.metadata.finalizers)}")
        collection.change(DESTROYED, old, None)

    def add_finalizer(
        self, kind: Kind[msgspec.Struct], id: str, finalizer: str, namespace: str | None = None
    ) -> AnyResource:
        """Keep a running resource from being destroyed. Raises NotFound and PhaseConflict."""
        old = self.get(kind, id, namespace)
        if finalizer in old.metadata.finalizers:
            return old
        if old.metadata.phase is not _RUNNING:
            raise PhaseConflict(f"{old.metadata.key} is being torn down")
        collection = self._collection(kind, namespace)
        return self._replace(collection, old, finalizers=(*old.metadata.finalizers, finalizer))

    def remove_finalizer(
        self, kind: Kind[msgspec.Struct], id: str, finalizer: str, namespace: str | None = None
    ) -> None:
        """Let a resource go; nothing happens if it is gone or the finalizer is not there."""
        old = self.find(kind, id, namespace)
        if old is not None and finalizer in old.metadata.finalizers:
            left = tuple([each for each in old.metadata.finalizers if each != finalizer])
            self._replace(self._collection(kind, namespace), old, finalizers=left)

    # Following

    def watch(
        self,
        kind: Kind[SpecT],
        id: str | None = None,
        *,
        namespace: str | None = None,
        bootstrap: bool = True,
        tail: int = 0,
        start_from: bytes | None = None,
    ) -> Watch[SpecT]:
        """Follow a kind, or one resource of it. The watch is in place when this returns.

        ``start_from`` a bookmark: first what happened since. Raises BookmarkExpired.
        ``tail`` n: first the last n events that are remembered (negative: all of them).
        With ``id``: first its present state, CREATED, or DESTROYED without a resource when it does not exist.
        ``bootstrap``: first a CREATED for each present resource, then BOOTSTRAPPED.
        """
        return cast("Watch[SpecT]", self._collection(kind, namespace).watch(id, bootstrap, tail, start_from))

    def bookmark(self, kind: Kind[msgspec.Struct], namespace: str | None = None) -> bytes:
        """Where a watch that starts now would go on from."""
        return self._collection(kind, namespace).bookmark

    def watchers(self, kind: Kind[msgspec.Struct], namespace: str | None = None) -> int:
        """How many follow a kind or a resource of it, the engine's own controllers included."""
        return self._collection(kind, namespace).listeners

    def listen(
        self, kind: Kind[msgspec.Struct], listener: Listener, id: str | None = None, namespace: str | None = None
    ) -> Callable[[], None]:
        """Call ``listener`` within each change, and return how to stop. It must not change the store, nor raise."""
        collection = self._collection(kind, namespace)
        collection.listen(listener, id)
        return lambda: collection.unlisten(listener, id)

    async def wait_for(
        self,
        kind: Kind[SpecT],
        id: str,
        predicate: Callable[[Resource[SpecT]], bool] = lambda resource: True,
        timeout: float | None = None,
        namespace: str | None = None,
    ) -> Resource[SpecT]:
        """Wait until the resource exists, is not being torn down, and satisfies the predicate. Raises TimeoutError."""
        with self.watch(kind, id, namespace=namespace) as watch:
            async with asyncio.timeout(timeout):
                async for event in watch:
                    found = event.resource
                    if event.type is DESTROYED or found is None or found.metadata.phase is not _RUNNING:
                        continue
                    if predicate(found):
                        return found
        raise NotFound(f"the watch of {kind.display} {id!r} ended")

    async def wait_gone(
        self, kind: Kind[msgspec.Struct], id: str, timeout: float | None = None, namespace: str | None = None
    ) -> None:
        """Wait until there is no such resource. Raises TimeoutError."""
        with self.watch(kind, id, namespace=namespace) as watch:
            async with asyncio.timeout(timeout):
                async for event in watch:
                    if event.type is DESTROYED:
                        return

    # Inside

    def _collection(self, kind: Kind[Any], namespace: str | None) -> Collection:
        key = (kind.name, namespace or kind.namespace)
        collection = self._collections.get(key)
        if collection is None:
            self.register(kind)
            history = min(self._history, FLEETING_HISTORY) if kind.fleeting else self._history
            collection = Collection(kind, key[1], os.urandom(8), history)
            self._collections[key] = collection
        elif collection.kind is not kind:
            raise KindConflict(f"there is already another kind named {kind.name}")
        return collection

    def _owned(
        self, kind: Kind[msgspec.Struct], id: str, owner: str, namespace: str | None
    ) -> tuple[Collection, AnyResource]:
        old = self.get(kind, id, namespace)
        if old.metadata.owner != owner:
            raise _owner_conflict(old, owner)
        return self._collection(kind, namespace), old

    def _create(
        self, collection: Collection, id: str, spec: msgspec.Struct, owner: str, labels: Mapping[str, str] | None
    ) -> AnyResource:
        now = self._clock()
        metadata = Metadata(
            collection.namespace, collection.kind.name, id, 1, owner, _RUNNING, now, now, (), _frozen(labels)
        )
        resource: AnyResource = Resource(metadata, spec)
        collection.change(CREATED, resource, None)
        return resource

    def _replace(
        self,
        collection: Collection,
        old: AnyResource,
        *,
        spec: msgspec.Struct | None = None,
        phase: Phase | None = None,
        finalizers: tuple[str, ...] | None = None,
        labels: Mapping[str, str] | None = None,
    ) -> AnyResource:
        before = old.metadata
        metadata = Metadata(
            before.namespace,
            before.type,
            before.id,
            before.version + 1,
            before.owner,
            phase or before.phase,
            before.created,
            self._clock(),
            before.finalizers if finalizers is None else finalizers,
            before.labels if labels is None else labels,
            before.annotations,
        )
        resource = Resource(metadata, old.spec if spec is None else spec)
        collection.change(UPDATED, resource, old)
        return resource


def _owner_conflict(resource: AnyResource, owner: str) -> OwnerConflict:
    return OwnerConflict(f"{resource.metadata.key} belongs to {resource.metadata.owner!r}, not to {owner!r}")


def _frozen(labels: Mapping[str, str] | None) -> Mapping[str, str]:
    """A copy that the giver cannot change any more."""
    return dict(labels) if labels else NO_LABELS


__all__ = ["HISTORY", "Event", "Store", "Watch"]
