"""Watchers: what they publish, and how they are started again."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import pytest

from dozen.engine.backoff import CAP
from dozen.engine.errors import DeclarationError
from dozen.engine.publisher import Publisher
from dozen.engine.reconciler import Activity
from dozen.engine.runtime import EdgeType
from dozen.machinery.plan import Output, Shared, Temporary
from dozen.machinery.resource import Kind, Phase
from dozen.machinery.resources.spec import Spec
from dozen.testing.clock import drain
from dozen.testing.controllers import Bench, Planned


class ThingSpec(Spec):
    size: int = 0


LINK = Kind("Links.test.dev", "test", ThingSpec, "Link")
ADDRESS = Kind("Addresses.test.dev", "test", ThingSpec, "Address")


class Scripted:
    """A watcher that does what the test says, one script a start, and then waits for ever."""

    name = "scripted"

    def __init__(
        self, *scripts: Callable[[Publisher], Awaitable[None] | None], outputs: tuple[Output, ...] = (LINK,)
    ) -> None:
        self.scripts = list(scripts)
        self.outputs = outputs
        self.starts = 0

    async def run(self, publish: Publisher) -> None:
        self.starts += 1
        if self.scripts:
            found = self.scripts.pop(0)(publish)
            if found is not None:
                await found
        await asyncio.Event().wait()


def run(coroutine: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(coroutine, 20))


def contents(bench: Bench) -> dict[str, int]:
    return {each.id: each.spec.size for each in bench.store.list(LINK)}


def test_put_remove_replace() -> None:
    async def check() -> None:
        publishers: list[Publisher] = []
        async with Bench(watchers=[Scripted(publishers.append, outputs=(LINK, ADDRESS))]) as bench:
            (publish,) = publishers
            publish.put(ADDRESS, "x", ThingSpec())
            publish.put(LINK, "a", ThingSpec(size=1), {"zone": "1"})
            publish.put(LINK, "a", ThingSpec(size=2), {"zone": "1"})
            assert bench.store.get(LINK, "a").metadata.labels == {"zone": "1"}
            assert bench.store.get(LINK, "a").metadata.owner == "scripted"
            publish.replace(LINK, {"b": ThingSpec(size=3), "c": ThingSpec(size=4)}, {"b": {"zone": "2"}})
            assert contents(bench) == {"b": 3, "c": 4}
            assert bench.store.get(LINK, "b").metadata.labels == {"zone": "2"}
            publish.remove(LINK, "b")
            publish.remove(LINK, "b")
            publish.remove(LINK, "never there")
            assert contents(bench) == {"c": 4}
            assert bench.store.find(ADDRESS, "x"), "replace is about one kind"

    run(check())


def test_removal_waits_for_finalizers_and_comes_back() -> None:
    async def check() -> None:
        publishers: list[Publisher] = []
        async with Bench(watchers=[Scripted(publishers.append)]) as bench:
            (publish,) = publishers
            publish.put(LINK, "a", ThingSpec(size=1))
            bench.store.add_finalizer(LINK, "a", "user")
            publish.remove(LINK, "a")
            assert bench.store.get(LINK, "a").metadata.phase is Phase.TEARING_DOWN
            publish.put(LINK, "a", ThingSpec(size=2))
            assert contents(bench) == {"a": 1}
            bench.store.remove_finalizer(LINK, "a", "user")
            await drain()
            assert contents(bench) == {"a": 2}
            assert bench.store.get(LINK, "a").metadata.version == 1

    run(check())


def test_starts_again_and_keeps_what_it_published() -> None:
    async def check() -> None:
        def begin(publish: Publisher) -> None:
            publish.put(LINK, "a", ThingSpec(size=1))
            raise OSError("no buffer space")

        def fail(publish: Publisher) -> None:
            raise Temporary("busy", delay=5.0)

        watcher = Scripted(begin, fail)
        async with Bench(watchers=[watcher]) as bench:
            await drain()
            status = bench.runtime.status("scripted")
            assert (status.activity, status.last_error) == (Activity.BACKING_OFF, "no buffer space")
            assert contents(bench) == {"a": 1}
            await bench.advance(0.25)
            assert (watcher.starts, status.last_error) == (2, "busy")
            await bench.advance(4.9)
            assert watcher.starts == 2
            await bench.advance(0.1)
            assert (watcher.starts, status.activity) == (3, Activity.WORKING)
            assert contents(bench) == {"a": 1}

    run(check())


def test_long_health_forgets_old_failures() -> None:
    async def check() -> None:
        async with Bench() as bench:

            async def live_then_fail(publish: Publisher) -> None:
                done = asyncio.get_running_loop().create_future()
                bench.clock.call_later(CAP + 1, lambda: done.set_result(None))
                await done
                raise OSError("late")

            def fail(publish: Publisher) -> None:
                raise OSError("early")

            bench.runtime.add_watcher(Scripted(fail, fail, fail, live_then_fail))
            await drain()
            await bench.advance(10)
            assert bench.runtime.status("scripted").failures == 3
            await bench.advance(CAP)
            assert bench.runtime.status("scripted").failures == 1

    run(check())


def test_may_be_done() -> None:
    class Once:
        name = "once"
        outputs = (LINK,)

        async def run(self, publish: Publisher) -> None:
            publish.put(LINK, "a", ThingSpec(size=1))

    async def check() -> None:
        async with Bench(watchers=[Once()]) as bench:
            await drain()
            assert bench.runtime.status("once").activity is Activity.STOPPED
            assert contents(bench) == {"a": 1}

    run(check())


def test_undeclared_kind_is_an_error() -> None:
    async def check() -> None:
        def wrong(publish: Publisher) -> None:
            publish.put(ADDRESS, "a", ThingSpec())

        async with Bench(watchers=[Scripted(wrong)]) as bench:
            await drain()
            assert "puts a Address without having declared it" in bench.runtime.status("scripted").last_error

    run(check())


def test_claims_its_outputs() -> None:
    bench = Bench(watchers=[Scripted()])
    with pytest.raises(DeclarationError, match="second and scripted both have Link as output"):
        bench.runtime.add(Planned("second", lambda view: (), outputs=(LINK,)))
    with pytest.raises(DeclarationError, match="already a controller or watcher named scripted"):
        bench.runtime.add_watcher(Scripted(outputs=()))


def test_is_in_the_graph() -> None:
    graph = Bench(watchers=[Scripted(outputs=(Shared(LINK),))]).runtime.graph()
    assert graph.watchers == ("scripted",)
    assert [(edge.name, edge.type, edge.kind) for edge in graph.edges] == [("scripted", EdgeType.SHARED_OUTPUT, LINK)]
