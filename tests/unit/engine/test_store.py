"""The conformance suite of stores: what anything that calls itself one must do."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from itertools import count

import pytest

from dozen.engine.errors import (
    BookmarkExpired,
    FinalizersPending,
    KindConflict,
    NotFound,
    OwnerConflict,
    PhaseConflict,
    VersionConflict,
)
from dozen.engine.store import Store
from dozen.engine.watch import BOOTSTRAPPED, CREATED, DESTROYED, UPDATED, AnyEvent
from dozen.machinery.resource import Kind, Phase
from dozen.machinery.resources.spec import Spec


class ThingSpec(Spec):
    size: int = 0


class OtherSpec(Spec):
    size: int = 0


THING = Kind("Things.test.dev", "test", ThingSpec, "Thing")
OTHER = Kind("Others.test.dev", "test", OtherSpec, "Other")

STORES: dict[str, Callable[[], Store]] = {"in memory": lambda: Store(clock=map(float, count(100)).__next__, history=8)}


@pytest.fixture(params=sorted(STORES))
def store(request: pytest.FixtureRequest) -> Store:
    return STORES[request.param]()


def sizes(events: list[AnyEvent]) -> list[tuple[object, ...]]:
    return [(event.type, event.id, event.resource.spec.size if event.resource else None) for event in events]  # type: ignore[attr-defined]


class TestPut:
    def test_creates(self, store: Store) -> None:
        made = store.put(THING, "a", ThingSpec(size=1), owner="me", labels={"zone": "x"})
        metadata = made.metadata
        assert (metadata.namespace, metadata.type, metadata.id) == ("test", "Things.test.dev", "a")
        assert (metadata.version, metadata.owner, metadata.phase) == (1, "me", Phase.RUNNING)
        assert (metadata.created, metadata.updated) == (100.0, 100.0)
        assert store.get(THING, "a") is made

    def test_changes(self, store: Store) -> None:
        store.put(THING, "a", ThingSpec(size=1), owner="me", labels={"zone": "x"})
        changed = store.put(THING, "a", ThingSpec(size=2), owner="me")
        assert (changed.metadata.version, changed.metadata.created, changed.metadata.updated) == (2, 100.0, 101.0)
        assert changed.metadata.labels == {"zone": "x"}
        assert changed.spec == ThingSpec(size=2)

    def test_of_the_same_changes_nothing(self, store: Store) -> None:
        made = store.put(THING, "a", ThingSpec(size=1), labels={"zone": "x"})
        with store.watch(THING, bootstrap=False) as watch:
            assert store.put(THING, "a", ThingSpec(size=1)) is made
            assert store.put(THING, "a", ThingSpec(size=1), labels={"zone": "x"}) is made
            assert watch.take() == []

    def test_of_other_labels_is_a_change(self, store: Store) -> None:
        store.put(THING, "a", ThingSpec(size=1), labels={"zone": "x"})
        assert store.put(THING, "a", ThingSpec(size=1), labels={"zone": "y"}).metadata.version == 2
        assert store.put(THING, "a", ThingSpec(size=1), labels={}).metadata.labels == {}

    def test_is_the_owners(self, store: Store) -> None:
        store.put(THING, "a", ThingSpec(size=1), owner="me")
        for thief in ("you", ""):
            with pytest.raises(OwnerConflict, match="belongs to 'me'"):
                store.put(THING, "a", ThingSpec(size=1), owner=thief)
        assert store.get(THING, "a").metadata.version == 1

    def test_is_refused_during_teardown(self, store: Store) -> None:
        store.put(THING, "a", ThingSpec())
        store.teardown(THING, "a")
        with pytest.raises(PhaseConflict):
            store.put(THING, "a", ThingSpec(size=2))

    def test_expects_a_version(self, store: Store) -> None:
        store.put(THING, "a", ThingSpec(size=1), expected_version=0)
        with pytest.raises(VersionConflict):
            store.put(THING, "a", ThingSpec(size=2), expected_version=0)
        store.put(THING, "a", ThingSpec(size=2), expected_version=1)
        with pytest.raises(VersionConflict):
            store.put(THING, "b", ThingSpec(size=2), expected_version=1)

    def test_wants_the_kinds_own_spec(self, store: Store) -> None:
        with pytest.raises(KindConflict, match="holds a ThingSpec, not a OtherSpec"):
            store.put(THING, "a", OtherSpec())  # type: ignore[misc]

    def test_labels_are_copied(self, store: Store) -> None:
        labels = {"zone": "x"}
        store.put(THING, "a", ThingSpec(), labels=labels)
        labels["zone"] = "y"
        assert store.get(THING, "a").metadata.labels == {"zone": "x"}

    def test_modify_sees_the_present_spec(self, store: Store) -> None:
        def grow(spec: ThingSpec | None) -> ThingSpec:
            return ThingSpec(size=spec.size + 1 if spec else 1)

        assert store.modify(THING, "a", grow).spec.size == 1
        assert store.modify(THING, "a", grow).spec.size == 2


class TestKinds:
    def test_become_known(self, store: Store) -> None:
        store.register(THING)
        store.put(OTHER, "a", OtherSpec())
        assert store.kinds() == (THING, OTHER)
        assert store.kind_named("Others.test.dev") is OTHER
        assert store.kind_named("Nothing") is None

    def test_have_one_name_each(self, store: Store) -> None:
        store.put(THING, "a", ThingSpec())
        twin = Kind("Things.test.dev", "test", ThingSpec, "Twin")
        with pytest.raises(KindConflict):
            store.register(twin)
        with pytest.raises(KindConflict):
            store.put(twin, "a", ThingSpec())
        with pytest.raises(KindConflict):
            store.watch(twin)

    def test_namespaces_are_apart(self, store: Store) -> None:
        store.put(THING, "a", ThingSpec(size=1))
        store.put(THING, "a", ThingSpec(size=2), namespace="elsewhere")
        assert store.get(THING, "a").spec.size == 1
        assert store.get(THING, "a", "elsewhere").spec.size == 2
        assert [each.spec.size for each in store.list(THING, "elsewhere")] == [2]
        assert store.namespaces(THING) == ("test", "elsewhere")
        assert store.namespaces(OTHER) == ("test",)


class TestReading:
    def test_of_nothing(self, store: Store) -> None:
        assert store.find(THING, "a") is None
        assert store.list(THING) == ()
        with pytest.raises(NotFound, match="no Thing 'a' in namespace 'test'"):
            store.get(THING, "a")

    def test_list_is_sorted_and_filtered(self, store: Store) -> None:
        for id, zone in (("b", "x"), ("c", "y"), ("a", "x")):
            store.put(THING, id, ThingSpec(), labels={"zone": zone, "all": "1"})
        assert [each.id for each in store.list(THING)] == ["a", "b", "c"]
        assert [each.id for each in store.list(THING, labels={"zone": "x"})] == ["a", "b"]
        assert store.list(THING, labels={"zone": "x", "none": ""}) == ()

    def test_what_was_read_does_not_change(self, store: Store) -> None:
        store.put(THING, "a", ThingSpec(size=1))
        before, listed = store.get(THING, "a"), store.list(THING)
        store.put(THING, "a", ThingSpec(size=2))
        assert before.spec.size == 1
        assert [each.spec.size for each in listed] == [1]
        with pytest.raises(AttributeError):
            before.spec.size = 3  # type: ignore[misc]


class TestEnding:
    def test_teardown_then_destroy(self, store: Store) -> None:
        store.put(THING, "a", ThingSpec(), owner="me")
        assert store.teardown(THING, "a", owner="me") is True
        assert store.get(THING, "a").metadata.phase is Phase.TEARING_DOWN
        version = store.get(THING, "a").metadata.version
        assert store.teardown(THING, "a", owner="me") is True
        assert store.get(THING, "a").metadata.version == version
        store.destroy(THING, "a", owner="me")
        assert store.find(THING, "a") is None
        assert store.put(THING, "a", ThingSpec(), owner="you").metadata.version == 1

    def test_is_the_owners(self, store: Store) -> None:
        store.put(THING, "a", ThingSpec(), owner="me")
        with pytest.raises(OwnerConflict):
            store.teardown(THING, "a", owner="you")
        with pytest.raises(OwnerConflict):
            store.destroy(THING, "a")

    def test_of_nothing(self, store: Store) -> None:
        for end in (store.teardown, store.destroy):
            with pytest.raises(NotFound):
                end(THING, "a")

    def test_waits_for_finalizers(self, store: Store) -> None:
        store.put(THING, "a", ThingSpec(), owner="me")
        store.add_finalizer(THING, "a", "user")
        store.add_finalizer(THING, "a", "user")
        store.add_finalizer(THING, "a", "other")
        assert store.get(THING, "a").metadata.finalizers == ("user", "other")
        assert store.teardown(THING, "a", owner="me") is False
        with pytest.raises(PhaseConflict):
            store.add_finalizer(THING, "a", "late")
        with pytest.raises(FinalizersPending, match="user, other"):
            store.destroy(THING, "a", owner="me")
        store.remove_finalizer(THING, "a", "user")
        store.remove_finalizer(THING, "a", "user")
        store.remove_finalizer(THING, "a", "other")
        store.destroy(THING, "a", owner="me")
        store.remove_finalizer(THING, "a", "other")
        with pytest.raises(NotFound):
            store.add_finalizer(THING, "a", "user")

    def test_finalizers_survive_changes(self, store: Store) -> None:
        store.put(THING, "a", ThingSpec())
        store.add_finalizer(THING, "a", "user")
        assert store.put(THING, "a", ThingSpec(size=2)).metadata.finalizers == ("user",)


class TestWatch:
    def test_tells_contents_then_changes(self, store: Store) -> None:
        store.put(THING, "b", ThingSpec(size=1))
        store.put(THING, "a", ThingSpec(size=2))
        with store.watch(THING) as watch:
            store.put(THING, "a", ThingSpec(size=3))
            store.teardown(THING, "a")
            store.destroy(THING, "a")
            events = watch.take()
        assert sizes(events) == [  # type: ignore[arg-type]
            (CREATED, "a", 2),
            (CREATED, "b", 1),
            (BOOTSTRAPPED, "", None),
            (UPDATED, "a", 3),
            (UPDATED, "a", 3),
            (DESTROYED, "a", 3),
        ]
        assert events[3].old is not None
        assert events[3].old.spec.size == 2
        assert [event.bookmark is None for event in events] == [True, True, False, False, False, False]

    def test_without_contents(self, store: Store) -> None:
        store.put(THING, "a", ThingSpec(size=1))
        with store.watch(THING, bootstrap=False) as watch:
            assert watch.take() == []
            store.put(THING, "b", ThingSpec(size=2))
            store.put(OTHER, "b", OtherSpec(size=2))
            store.put(THING, "c", ThingSpec(size=2), namespace="elsewhere")
            assert sizes(watch.take()) == [(CREATED, "b", 2)]  # type: ignore[arg-type]

    def test_of_one(self, store: Store) -> None:
        with store.watch(THING, "a") as watch:
            store.put(THING, "b", ThingSpec())
            store.put(THING, "a", ThingSpec(size=1))
            assert sizes(watch.take()) == [(DESTROYED, "a", None), (CREATED, "a", 1)]  # type: ignore[arg-type]
        with store.watch(THING, "a") as watch:
            assert sizes(watch.take()) == [(CREATED, "a", 1)]  # type: ignore[arg-type]

    def test_resumes_after_any_bookmark(self, store: Store) -> None:
        with store.watch(THING) as watch:
            for size in range(1, 6):
                store.put(THING, "ab"[size % 2], ThingSpec(size=size))
            events = watch.take()
        for number, event in enumerate(events):
            assert event.bookmark is not None
            with store.watch(THING, start_from=event.bookmark) as again:
                assert sizes(again.take()) == sizes(events[number + 1 :])  # type: ignore[arg-type]
            with store.watch(THING, "a", start_from=event.bookmark) as again:
                expected = [each for each in events[number + 1 :] if each.id == "a"]
                assert sizes(again.take()) == sizes(expected)  # type: ignore[arg-type]
        assert store.bookmark(THING) == events[-1].bookmark

    def test_refuses_old_and_foreign_bookmarks(self, store: Store) -> None:
        start, foreign = store.bookmark(THING), store.bookmark(OTHER)
        for size in range(9):  # one more than the history holds
            store.put(THING, "a", ThingSpec(size=size))
        future = store.bookmark(THING)[:-1] + b"\xff"
        for bookmark in (start, foreign, future, b"", b"x" * 16, STORES["in memory"]().bookmark(THING)):
            with pytest.raises(BookmarkExpired):
                store.watch(THING, start_from=bookmark)

    def test_tail(self, store: Store) -> None:
        for size in range(1, 4):
            store.put(THING, "a", ThingSpec(size=size))
            store.put(THING, "b", ThingSpec(size=size))
        with store.watch(THING, tail=2) as watch:
            assert sizes(watch.take()) == [(UPDATED, "a", 3), (UPDATED, "b", 3)]  # type: ignore[arg-type]
        with store.watch(THING, "a", tail=2) as watch:
            assert sizes(watch.take()) == [(UPDATED, "a", 2), (UPDATED, "a", 3)]  # type: ignore[arg-type]
        with store.watch(THING, tail=-1) as watch:
            assert len(watch.take()) == 6

    def test_closed_hears_nothing(self, store: Store) -> None:
        for id in (None, "a"):
            watch = store.watch(THING, id, bootstrap=False)
            watch.take()
            watch.close()
            watch.close()
            store.put(THING, "a", ThingSpec(size=7 if id else 6))
            assert watch.take() == []
        assert store.watchers(THING) == 0

    def test_iterates_and_ends_when_closed(self, store: Store) -> None:
        async def follow() -> list[AnyEvent]:
            watch = store.watch(THING, bootstrap=False)
            loop = asyncio.get_running_loop()
            loop.call_soon(lambda: store.put(THING, "a", ThingSpec()))
            loop.call_later(0.0, watch.close)
            return [event async for event in watch]

        assert sizes(asyncio.run(follow())) == [(CREATED, "a", 0)]


class TestWaiting:
    def test_for_a_state(self, store: Store) -> None:
        async def wait() -> int:
            loop = asyncio.get_running_loop()
            for size in (1, 2, 3):
                loop.call_soon(lambda size=size: store.put(THING, "a", ThingSpec(size=size)))
            found = await store.wait_for(THING, "a", lambda thing: thing.spec.size == 2, timeout=2)
            return found.spec.size

        assert asyncio.run(wait()) == 2
        assert store.watchers(THING) == 0

    def test_does_not_take_what_is_on_its_way_out(self, store: Store) -> None:
        store.put(THING, "a", ThingSpec())
        store.teardown(THING, "a")
        with pytest.raises(TimeoutError):
            asyncio.run(store.wait_for(THING, "a", timeout=0))

    def test_for_the_end(self, store: Store) -> None:
        async def wait() -> None:
            asyncio.get_running_loop().call_soon(lambda: store.destroy(THING, "a"))
            await store.wait_gone(THING, "a", timeout=2)

        store.put(THING, "a", ThingSpec())
        asyncio.run(wait())
        asyncio.run(store.wait_gone(THING, "a", timeout=0))


def test_little_is_remembered_of_what_changes_without_end(store: Store) -> None:
    fleeting = Kind("Figures.test.dev", "test", ThingSpec, "Figure", fleeting=True)
    marks = {kind: store.bookmark(kind) for kind in (THING, fleeting)}
    for kind in (THING, fleeting):
        for size in range(6):
            store.put(kind, "a", ThingSpec(size=size))
    with store.watch(THING, start_from=marks[THING]) as watch:
        assert len(watch.take()) == 6
    with pytest.raises(BookmarkExpired):
        store.watch(fleeting, start_from=marks[fleeting])
