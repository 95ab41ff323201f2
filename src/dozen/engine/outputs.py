"""The resources that one controller or watcher owns, and their orderly end.

A resource that is no longer wanted is torn down, and destroyed as soon as nobody holds a finalizer on it. Until then
it cannot be put again: such a wish is remembered and granted right after the destruction. Whoever uses this class
therefore only says what should be there, and never meets a resource on its way out.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping

import msgspec

from dozen.engine.errors import DeclarationError
from dozen.engine.store import Store
from dozen.engine.watch import DESTROYED, AnyEvent
from dozen.machinery.plan import Output, Shared
from dozen.machinery.resource import Kind, Phase

AnyKind = Kind[msgspec.Struct]
Place = tuple[AnyKind, str]


class Outputs:
    """What ``owner`` may put into the store: the kinds that it declared.

    ``gone`` is called whenever a resource on its way out is gone.
    """

    def __init__(
        self, store: Store, owner: str, declared: Iterable[Output], gone: Callable[[], None] = lambda: None
    ) -> None:
        self._store = store
        self._owner = owner
        self._gone = gone
        self._owned: set[Place] = set()
        self._leaving: set[Place] = set()
        self._wanted: dict[Place, tuple[msgspec.Struct, Mapping[str, str]]] = {}
        self._kinds = {kind_of(output) for output in declared}
        self._stop = [store.listen(kind, self._listener(kind)) for kind in self._kinds]
        for kind in self._kinds:
            for resource in store.list(kind):
                if resource.metadata.owner == owner:  # of an earlier holder of this name
                    self._owned.add((kind, resource.id))
                    if resource.metadata.phase is Phase.TEARING_DOWN:
                        self._leaving.add((kind, resource.id))
                        self._bury((kind, resource.id))

    @property
    def kinds(self) -> frozenset[AnyKind]:
        return frozenset(self._kinds)

    @property
    def leaving(self) -> bool:
        """Some resource still waits for finalizers."""
        return bool(self._leaving)

    def put(self, kind: AnyKind, id: str, spec: msgspec.Struct, labels: Mapping[str, str]) -> None:
        """See to it that the resource is there. Raises DeclarationError, OwnerConflict and KindConflict."""
        if kind not in self._kinds:
            raise DeclarationError(f"{self._owner} puts a {kind.display} without having declared it as output")
        place = (kind, id)
        if place in self._leaving:
            self._wanted[place] = (spec, labels)
            return
        self._store.put(kind, id, spec, owner=self._owner, labels=labels)
        self._owned.add(place)

    def remove(self, kind: AnyKind, id: str) -> bool:
        """See to it that the resource goes; True when it is gone."""
        place = (kind, id)
        self._wanted.pop(place, None)
        if place in self._owned and place not in self._leaving:
            self._leaving.add(place)
            self._store.teardown(kind, id, owner=self._owner)
            self._bury(place)
        return place not in self._leaving

    def sweep(self, keep: Iterable[Place], kinds: Iterable[AnyKind] | None = None) -> None:
        """Remove everything that is not to be kept, of these kinds or of all."""
        kept = set(keep)
        among = self._kinds if kinds is None else set(kinds)
        for place in [place for place in self._owned if place not in kept and place[0] in among]:
            self.remove(*place)

    def close(self) -> None:
        """Let go of the store; the resources stay."""
        for stop in self._stop:
            stop()
        self._stop = []

    def _listener(self, kind: AnyKind) -> Callable[[AnyEvent], None]:
        def listen(event: AnyEvent) -> None:
            place = (kind, event.id)
            if place not in self._leaving:
                if event.type is DESTROYED:
                    self._owned.discard(place)
            elif event.type is DESTROYED or (event.resource is not None and not event.resource.metadata.finalizers):
                # Not at once: a listener must not change the store while the change that it hears of is being told.
                asyncio.get_running_loop().call_soon(self._bury, place)

        return listen

    def _bury(self, place: Place) -> None:
        """Destroy what nobody holds any more, and put what was asked for meanwhile."""
        if place not in self._leaving:
            return
        kind, id = place
        present = self._store.find(kind, id)
        if present is not None:
            if present.metadata.finalizers:
                return
            self._store.destroy(kind, id, owner=self._owner)
        self._leaving.discard(place)
        self._owned.discard(place)
        wanted = self._wanted.pop(place, None)
        if wanted is not None:
            self.put(kind, id, *wanted)
        self._gone()


def kind_of(output: Output) -> AnyKind:
    """The kind of a declared output."""
    return output.kind if isinstance(output, Shared) else output
