"""The store against a model: any sequence of calls, each with the outcome that simple rules predict."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from dozen.engine.errors import (
    BookmarkExpired,
    EngineError,
    FinalizersPending,
    NotFound,
    OwnerConflict,
    PhaseConflict,
)
from dozen.engine.store import Store
from dozen.engine.watch import BOOTSTRAPPED, DESTROYED, UPDATED, Watch
from dozen.machinery.resource import Kind, Phase, Resource
from dozen.machinery.resources.spec import Spec

HISTORY = 12


class ThingSpec(Spec):
    size: int = 0


THING = Kind("Things.test.dev", "test", ThingSpec, "Thing")

ids = st.sampled_from("abc")
owners = st.sampled_from(["me", "you"])
sizes = st.integers(0, 3)
finalizers = st.sampled_from(["f", "g"])


@dataclass
class Record:
    """What the model knows of a resource."""

    owner: str
    size: int
    labels: dict[str, str]
    version: int = 1
    leaving: bool = False
    finalizers: list[str] = field(default_factory=list)


class Follower:
    """A watch, and what its events add up to."""

    def __init__(self, watch: Watch[ThingSpec]) -> None:
        self.watch = watch
        self.known: dict[str, Resource[ThingSpec]] = {}
        self.bookmark: bytes | None = None
        self.position = -1

    def read(self) -> None:
        for event in self.watch.take():
            self.bookmark = event.bookmark or self.bookmark
            if event.position is not None:
                assert event.position >= self.position
                self.position = event.position
            if event.type is DESTROYED:
                self.known.pop(event.id)
            elif event.type is not BOOTSTRAPPED:
                assert event.resource is not None
                before = self.known.get(event.id)
                assert (before is not None) is (event.type is UPDATED)
                assert event.old is before
                if before is not None:
                    assert event.resource.metadata.version > before.metadata.version
                self.known[event.id] = event.resource


class StoreModel(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.store = Store(lambda: self.now, history=HISTORY)
        self.model: dict[str, Record] = {}
        self.follower = Follower(self.store.watch(THING))
        self.changes = 0

    def attempt(self, error: type[EngineError] | None, call: object, *args: object, **keywords: object) -> object:
        """Call, and see that exactly the predicted error comes."""
        self.now += 1
        if error is not None:
            with pytest.raises(EngineError) as caught:
                call(*args, **keywords)  # type: ignore[operator]
            assert caught.type is error
            return None
        return call(*args, **keywords)  # type: ignore[operator]

    @rule(id=ids, owner=owners, size=sizes, labels=st.none() | st.dictionaries(st.just("zone"), st.sampled_from("xy")))
    def put(self, id: str, owner: str, size: int, labels: dict[str, str] | None) -> None:
        record = self.model.get(id)
        error: type[EngineError] | None = None
        if record is not None and record.owner != owner:
            error = OwnerConflict
        elif record is not None and record.leaving:
            error = PhaseConflict
        self.attempt(error, self.store.put, THING, id, ThingSpec(size=size), owner=owner, labels=labels)
        if error:
            return
        if record is None:
            self.model[id] = Record(owner, size, labels or {})
            self.changes += 1
        elif record.size != size or (labels is not None and labels != record.labels):
            record.size, record.version = size, record.version + 1
            record.labels = record.labels if labels is None else labels
            self.changes += 1

    @rule(id=ids, owner=owners)
    def tear_down(self, id: str, owner: str) -> None:
        record = self.model.get(id)
        error = NotFound if record is None else OwnerConflict if record.owner != owner else None
        ready = self.attempt(error, self.store.teardown, THING, id, owner=owner)
        if record is not None and error is None:
            assert ready is (not record.finalizers)
            if not record.leaving:
                record.leaving, record.version = True, record.version + 1
                self.changes += 1

    @rule(id=ids, owner=owners)
    def destroy(self, id: str, owner: str) -> None:
        record = self.model.get(id)
        error: type[EngineError] | None = None
        if record is None:
            error = NotFound
        elif record.owner != owner:
            error = OwnerConflict
        elif record.finalizers:
            error = FinalizersPending
        self.attempt(error, self.store.destroy, THING, id, owner=owner)
        if error is None:
            del self.model[id]
            self.changes += 1

    @rule(id=ids, finalizer=finalizers)
    def add_finalizer(self, id: str, finalizer: str) -> None:
        record = self.model.get(id)
        error: type[EngineError] | None = None
        if record is None:
            error = NotFound
        elif record.leaving and finalizer not in record.finalizers:
            error = PhaseConflict
        self.attempt(error, self.store.add_finalizer, THING, id, finalizer)
        if record is not None and error is None and finalizer not in record.finalizers:
            record.finalizers.append(finalizer)
            record.version += 1
            self.changes += 1

    @rule(id=ids, finalizer=finalizers)
    def remove_finalizer(self, id: str, finalizer: str) -> None:
        self.attempt(None, self.store.remove_finalizer, THING, id, finalizer)
        record = self.model.get(id)
        if record is not None and finalizer in record.finalizers:
            record.finalizers.remove(finalizer)
            record.version += 1
            self.changes += 1

    @rule()
    def read(self) -> None:
        self.follower.read()

    @precondition(lambda self: self.follower.bookmark is not None)
    @rule()
    def reconnect(self) -> None:
        """The connection breaks before what waits was read; the watch goes on from the last bookmark."""
        missed = self.changes - self.follower.position
        self.follower.watch.close()
        try:
            self.follower.watch = self.store.watch(THING, start_from=self.follower.bookmark)
        except BookmarkExpired:
            assert missed > HISTORY
            self.follower = Follower(self.store.watch(THING))
        else:
            assert missed <= HISTORY

    @invariant()
    def agrees(self) -> None:
        listed = self.store.list(THING)
        assert [each.id for each in listed] == sorted(self.model)
        for resource in listed:
            record, metadata = self.model[resource.id], resource.metadata
            assert (metadata.owner, metadata.version, resource.spec.size) == (record.owner, record.version, record.size)
            assert (metadata.phase is Phase.TEARING_DOWN) is record.leaving
            assert list(metadata.finalizers) == record.finalizers
            assert metadata.labels == record.labels
            assert metadata.created <= metadata.updated

    def teardown(self) -> None:
        self.follower.read()
        assert self.follower.known == {each.id: each for each in self.store.list(THING)}

    @rule()
    def follower_catches_up(self) -> None:
        self.teardown()


TestStoreModel = StoreModel.TestCase
TestStoreModel.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
