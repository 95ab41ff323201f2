"""What a slow watcher gets: merged events that lead to the same state, in bounded memory."""

from __future__ import annotations

import asyncio
from collections import deque

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dozen.engine.store import Store
from dozen.engine.watch import BACKLOG, BOOTSTRAPPED, CREATED, DESTROYED, UPDATED, AnyEvent, Event, EventType, coalesce
from dozen.machinery.resource import Kind
from dozen.machinery.resources.spec import Spec


class ThingSpec(Spec):
    size: int = 0


THING = Kind("Things.test.dev", "test", ThingSpec, "Thing")


def apply(events: list[AnyEvent], known: dict[str, int]) -> dict[str, int]:
    """What a client makes of events; checks that each makes sense to it."""
    known = dict(known)
    for event in events:
        if event.type is BOOTSTRAPPED:
            continue
        if event.type is DESTROYED:
            assert event.id in known, f"{event} of something that the client never saw"
            del known[event.id]
            continue
        assert event.resource is not None
        assert (event.id in known) is (event.type is UPDATED), f"{event} does not follow from {known}"
        if event.type is UPDATED:
            assert event.old is not None
            assert event.old.spec.size == known[event.id]  # type: ignore[attr-defined]
        known[event.id] = event.resource.spec.size  # type: ignore[attr-defined]
    return known


changes = st.lists(st.tuples(st.sampled_from("abcd"), st.integers(0, 3)), max_size=40)


def carry_out(store: Store, id: str, size: int) -> None:
    """Size 0 destroys, the others put."""
    if size:
        store.put(THING, id, ThingSpec(size=size))
    elif store.find(THING, id):
        store.destroy(THING, id)


@settings(max_examples=300, deadline=None)
@given(before=changes, after=changes, later=changes)
def test_merged_events_lead_to_the_same_state(
    before: list[tuple[str, int]], after: list[tuple[str, int]], later: list[tuple[str, int]]
) -> None:
    store = Store(history=200)
    for change in before:
        carry_out(store, *change)
    known = {each.id: each.spec.size for each in store.list(THING)}
    with store.watch(THING, bootstrap=False) as watch:
        for change in after:
            carry_out(store, *change)
        merged = list(coalesce(deque(watch.take())))
        for change in later:
            carry_out(store, *change)
        twice = list(coalesce(deque([*merged, *watch.take()])))
    now = {each.id: each.spec.size for each in store.list(THING)}
    assert apply(twice, known) == now
    assert len({event.id for event in twice}) == len(twice), "more than one event of a resource"
    positions = [event.position or 0 for event in twice]
    assert positions == sorted(positions)
    # Whoever resumes after any of the merged events still ends up with the present state.
    for number, event in enumerate(twice):
        with store.watch(THING, start_from=event.bookmark) as again:
            seen = apply(twice[: number + 1], known)
            for each in again.take():
                if each.type is DESTROYED:
                    seen.pop(each.id, None)
                else:
                    assert each.resource is not None
                    seen[each.id] = each.resource.spec.size
            assert seen == now


def test_contents_stay_as_they_are() -> None:
    store = Store()
    store.put(THING, "a", ThingSpec(size=1))
    with store.watch(THING) as watch:
        store.put(THING, "a", ThingSpec(size=2))
        store.put(THING, "a", ThingSpec(size=3))
        merged = list(coalesce(deque(watch.take())))
    assert [event.type for event in merged] == [CREATED, BOOTSTRAPPED, UPDATED]
    assert apply(merged, {}) == {"a": 3}  # type: ignore[arg-type]


def test_absence_then_changes_of_one() -> None:
    store = Store()
    with store.watch(THING, "a") as watch:
        store.put(THING, "a", ThingSpec(size=1))
        store.put(THING, "a", ThingSpec(size=2))
        (merged,) = coalesce(deque(watch.take()))
    assert (merged.type, merged.resource is not None and merged.resource.spec.size) == (CREATED, 2)


@pytest.mark.parametrize("resources", [1, 100, 3 * BACKLOG])
def test_what_waits_is_bounded(resources: int) -> None:
    store = Store(history=4)
    with store.watch(THING, bootstrap=False) as watch:
        most = 0
        for number in range(20 * max(resources, BACKLOG)):
            carry_out(store, f"id{number % resources}", 1 + number)
            if number % 7 == 0:
                carry_out(store, f"id{number % resources}", 0)
            most = max(most, watch.pending)
        assert most <= 2 * max(resources, BACKLOG) + 1
        assert apply(watch.take(), {}) == {each.id: each.spec.size for each in store.list(THING)}  # type: ignore[arg-type]


def test_events_that_fit_are_not_merged() -> None:
    store = Store()
    with store.watch(THING, bootstrap=False) as watch:
        for size in range(1, BACKLOG + 1):
            store.put(THING, "a", ThingSpec(size=size))
        assert watch.pending == BACKLOG


def test_a_reader_that_keeps_up_sees_everything() -> None:
    store = Store()
    seen: list[int] = []

    async def follow() -> None:
        with store.watch(THING, bootstrap=False) as watch:
            async for event in watch:
                assert event.resource is not None
                seen.append(event.resource.spec.size)
                if len(seen) == 3 * BACKLOG:
                    return

    async def main() -> None:
        task = asyncio.create_task(follow())
        await asyncio.sleep(0)
        for size in range(1, 3 * BACKLOG + 1):
            store.put(THING, "a", ThingSpec(size=size))
            await asyncio.sleep(0)
        await asyncio.wait_for(task, 5)

    asyncio.run(main())
    assert seen == list(range(1, 3 * BACKLOG + 1))


def test_cancelled_reader_can_go_on() -> None:
    store = Store()

    async def main() -> EventType:
        with store.watch(THING, bootstrap=False) as watch:
            for _ in range(2):
                with pytest.raises(TimeoutError):
                    await asyncio.wait_for(anext(watch), 0.001)
            store.put(THING, "a", ThingSpec(size=1))
            return (await asyncio.wait_for(anext(watch), 2)).type

    assert asyncio.run(main()) is CREATED


def test_closing_ends_a_reader_that_waits() -> None:
    store = Store()

    async def main() -> list[AnyEvent]:
        watch = store.watch(THING, bootstrap=False)

        async def read() -> list[AnyEvent]:
            return [event async for event in watch]  # type: ignore[misc]

        task = asyncio.create_task(read())
        for _ in range(3):
            await asyncio.sleep(0)
        watch.close()
        return await asyncio.wait_for(task, 2)

    assert asyncio.run(main()) == []


def test_events_show_themselves() -> None:
    assert repr(Event(BOOTSTRAPPED, "", None, None, 4)) == "<BOOTSTRAPPED  position=4>"
