"""What a controller's plan may look at."""

from __future__ import annotations

import msgspec

from dozen.engine.errors import DeclarationError
from dozen.engine.outputs import kind_of
from dozen.engine.store import Store
from dozen.machinery.plan import Controller
from dozen.machinery.resource import Kind, Phase, Resource, SpecT


class StoreView:
    """The store as one controller sees it: its declared inputs and its own outputs, nothing else.

    A resource on its way out is hidden, because what is about to go should not be planned with; except among inputs
    that the controller holds a finalizer on, where the phase tells it to clean up.
    """

    def __init__(self, store: Store, controller: Controller) -> None:
        self._store = store
        self._name = controller.name
        self._whole = {each.kind for each in controller.inputs if each.id is None}
        self._single = {(each.kind, each.id) for each in controller.inputs if each.id is not None}
        self._single_kinds = {kind for kind, _ in self._single}
        self._finalized = {(each.kind, each.id) for each in controller.inputs if each.finalize}
        self._outputs = {kind_of(output) for output in controller.outputs}

    def get(self, kind: Kind[SpecT], id: str) -> Resource[SpecT] | None:
        """A resource, or None. Raises DeclarationError for what was not declared."""
        found = self._store.find(kind, id)
        if kind in self._whole or (kind, id) in self._single:
            return found if found is not None and self._visible(kind, found) else None
        if kind not in self._outputs:
            raise DeclarationError(f"{self._name} reads {kind.display} {id!r} without having declared it as input")
        return found if found is not None and self._is_own(found) else None

    def list(self, kind: Kind[SpecT]) -> tuple[Resource[SpecT], ...]:
        """All resources of a kind that are visible, by id. Raises DeclarationError for what was not declared."""
        found = self._store.list(kind)
        if kind in self._whole:
            return tuple([each for each in found if self._visible(kind, each)])
        if kind in self._single_kinds:
            return tuple([each for each in found if (kind, each.id) in self._single and self._visible(kind, each)])
        if kind not in self._outputs:
            raise DeclarationError(f"{self._name} lists {kind.display} without having declared it as input")
        return tuple([each for each in found if self._is_own(each)])

    def _visible(self, kind: Kind[SpecT], resource: Resource[SpecT]) -> bool:
        if resource.metadata.phase is Phase.RUNNING:
            return True
        held = (kind, None) in self._finalized or (kind, resource.id) in self._finalized
        return held and self._name in resource.metadata.finalizers

    def _is_own(self, resource: Resource[SpecT]) -> bool:
        return resource.metadata.owner == self._name and resource.metadata.phase is Phase.RUNNING


class Finalizers:
    """The finalizers that a controller holds on its inputs (those declared with ``finalize``)."""

    def __init__(self, store: Store, controller: Controller) -> None:
        self._store = store
        self._name = controller.name
        self._inputs = [each for each in controller.inputs if each.finalize]

    def take(self) -> list[Resource[msgspec.Struct]]:
        """Hold everything that is running, and return what is held and on its way out."""
        leaving = []
        for each in self._inputs:
            for resource in self._matching(each.kind, each.id):
                if resource.metadata.phase is Phase.RUNNING:
                    self._store.add_finalizer(each.kind, resource.id, self._name)
                elif self._name in resource.metadata.finalizers:
                    leaving.append(resource)
        return leaving

    def release(self, seen: list[Resource[msgspec.Struct]]) -> None:
        """Let go of what `take` returned."""
        names = {resource.metadata.key for resource in seen}
        for each in self._inputs:
            for resource in self._matching(each.kind, each.id):
                if resource.metadata.key in names and resource.metadata.phase is Phase.TEARING_DOWN:
                    self._store.remove_finalizer(each.kind, resource.id, self._name)

    def _matching(self, kind: Kind[msgspec.Struct], id: str | None) -> tuple[Resource[msgspec.Struct], ...]:
        if id is None:
            return self._store.list(kind)
        found = self._store.find(kind, id)
        return () if found is None else (found,)
