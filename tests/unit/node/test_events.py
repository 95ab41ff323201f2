"""The history of events: order of ids, where a listener begins, actors."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from dozen.node import events as events_module
from dozen.node.events import Event, Events


async def _take(stream: AsyncIterator[Event], count: int) -> list[str]:
    return [(await anext(stream)).fields["n"] for _ in range(count)]


def _filled(count: int = 5) -> Events:
    history = Events()
    for number in range(count):
        history.publish("TaskEvent", {"n": number}, "even" if number % 2 == 0 else "odd")
    return history


def test_ids_have_the_form_of_an_xid_and_sort_in_order() -> None:
    new_id = events_module.XidSource()
    ids = [new_id() for _ in range(100)]
    assert ids == sorted(ids)
    assert len(set(ids)) == 100
    assert all(len(id) == 20 and set(id) <= set("0123456789abcdefghijklmnopqrstuv") for id in ids)


@pytest.mark.parametrize(("tail", "expected"), [(2, [3, 4]), (-1, [0, 1, 2, 3, 4]), (99, [0, 1, 2, 3, 4])])
def test_tail_says_how_many_past_events(tail: int, expected: list[int]) -> None:
    async def scenario() -> list[str]:
        return await _take(_filled().subscribe(tail=tail), len(expected))

    assert asyncio.run(scenario()) == expected


def test_a_listener_gets_what_comes_and_only_of_its_actor() -> None:
    async def scenario() -> list[str]:
        history = _filled()
        stream = history.subscribe(tail=-1, actor_id="odd")
        got = await _take(stream, 2)
        waiting = asyncio.ensure_future(anext(stream))
        await asyncio.sleep(0)
        history.publish("TaskEvent", {"n": 6}, "even")
        history.publish("TaskEvent", {"n": 7}, "odd")
        got.append((await waiting).fields["n"])
        return got

    assert asyncio.run(scenario()) == [1, 3, 7]


def test_since_an_id_leaves_that_one_out() -> None:
    async def scenario() -> list[str]:
        history = _filled()
        return await _take(history.subscribe(since_id=history.history()[2].id), 2)

    assert asyncio.run(scenario()) == [3, 4]


def test_history_is_bounded() -> None:
    assert len(_filled(events_module.HISTORY + 10).history()) == events_module.HISTORY


def test_payload_becomes_protobuf_when_it_is_read() -> None:
    history = Events()
    history.publish("PhaseEvent", {"phase": "unmount", "action": 1})
    event = history.history()[0]
    assert event.type_url == "talos/runtime/machine.PhaseEvent"
    assert event.data == b"\x0a\x07unmount\x10\x01"
