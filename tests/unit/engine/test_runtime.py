"""All controllers together: what they may see and claim, that they do not disturb each other, and how they stop."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Iterable

import pytest

from dozen.engine.errors import DeclarationError
from dozen.engine.reconciler import Activity
from dozen.engine.runtime import EdgeType, Runtime
from dozen.engine.store import Store
from dozen.machinery.plan import Effect, Input, Output, Put, Shared, Step, View
from dozen.machinery.resource import Kind, Phase
from dozen.testing.clock import drain
from dozen.testing.controllers import Bench
from unit.engine.things import DISK, FOLDER, MOUNT, Mount, ThingSpec, ids, planned, run


class Mounter:
    """Mounts each disk."""

    name = "mounter"
    inputs: tuple[Input, ...] = (Input(DISK, finalize=True),)
    outputs: tuple[Output, ...] = (MOUNT,)

    def plan(self, view: View) -> Iterable[Step]:
        for disk in view.list(DISK):
            yield Mount(disk.id)
            yield Put(MOUNT, disk.id, ThingSpec(size=disk.spec.size))


class TestView:
    def view(self, bench: Bench, inputs: tuple[Input, ...], outputs: tuple[Output, ...] = ()) -> View:
        seen: list[View] = []

        def look(view: View) -> Iterable[Step]:
            seen.append(view)
            return ()

        bench.runtime.add(planned(look, inputs, outputs))
        asyncio.run(self._once(bench))
        return seen[0]

    async def _once(self, bench: Bench) -> None:
        async with bench:
            pass

    def test_undeclared_kind(self) -> None:
        view = self.view(Bench(), (Input(DISK),))
        with pytest.raises(DeclarationError, match="planned lists Mount without"):
            view.list(MOUNT)
        with pytest.raises(DeclarationError, match="planned reads Mount 'a' without"):
            view.get(MOUNT, "a")

    def test_single_resource(self) -> None:
        bench = Bench()
        for id in "abc":
            bench.store.put(DISK, id, ThingSpec())
        view = self.view(bench, (Input(DISK, "a"), Input(DISK, "b"), Input(DISK, "z")))
        assert [disk.id for disk in view.list(DISK)] == ["a", "b"]
        assert view.get(DISK, "z") is None
        with pytest.raises(DeclarationError):
            view.get(DISK, "c")

    def test_of_outputs_only_the_own(self) -> None:
        bench = Bench()
        bench.store.put(MOUNT, "a", ThingSpec(), owner="other")
        view = self.view(bench, (Input(DISK),), (Shared(MOUNT),))
        bench.store.put(MOUNT, "b", ThingSpec(), owner="planned")
        assert [mount.id for mount in view.list(MOUNT)] == ["b"]
        assert view.get(MOUNT, "a") is None

    def test_single_resource_that_is_held_is_seen_to_its_end(self) -> None:
        bench = Bench()
        for id in "ab":
            bench.store.put(DISK, id, ThingSpec())
        view = self.view(bench, (Input(DISK, "a", finalize=True), Input(DISK, "b")))
        for id in "ab":
            bench.store.add_finalizer(DISK, id, "somebody")
            bench.store.teardown(DISK, id)
        assert [(disk.id, disk.metadata.phase) for disk in view.list(DISK)] == [("a", Phase.TEARING_DOWN)]
        bench.store.remove_finalizer(DISK, "a", "planned")
        assert view.list(DISK) == ()

    def test_what_is_on_its_way_out_is_hidden(self) -> None:
        bench = Bench()
        for id in "ab":
            bench.store.put(DISK, id, ThingSpec())
        bench.store.add_finalizer(DISK, "a", "somebody")
        view = self.view(bench, (Input(DISK),))
        bench.store.teardown(DISK, "a")
        assert [disk.id for disk in view.list(DISK)] == ["b"]
        assert view.get(DISK, "a") is None


def test_undeclared_output_is_refused() -> None:
    async def check() -> None:
        async with Bench(planned(lambda view: [Put(FOLDER, "a", ThingSpec())])) as bench:
            assert "puts a Folder without having declared it" in bench.runtime.status("planned").last_error
            assert ids(bench, FOLDER) == []

    run(check())


def test_shared_output_keeps_owners_apart() -> None:
    async def check() -> None:
        one = planned(lambda view: [Put(MOUNT, "one", ThingSpec())], outputs=(Shared(MOUNT),), name="one")
        two = planned(
            lambda view: [Put(MOUNT, "two", ThingSpec()), Put(MOUNT, "one", ThingSpec())],
            outputs=(Shared(MOUNT),),
            name="two",
        )
        async with Bench(one, two) as bench:
            assert ids(bench, MOUNT) == ["one", "two"]
            assert "belongs to 'one'" in bench.runtime.status("two").last_error

    run(check())


class TestDeclarations:
    @pytest.mark.parametrize(
        ("first", "second"),
        [((MOUNT,), (MOUNT,)), ((MOUNT,), (Shared(MOUNT),)), ((Shared(MOUNT),), (MOUNT,))],
    )
    def test_one_owner_of_a_kind(self, first: tuple[Output, ...], second: tuple[Output, ...]) -> None:
        bench = Bench(planned(lambda view: (), outputs=first, name="first"))
        with pytest.raises(DeclarationError, match="second and first both have Mount as output"):
            bench.runtime.add(planned(lambda view: (), outputs=second, name="second"))

    def test_names_are_unique(self) -> None:
        with pytest.raises(DeclarationError, match="already a controller or watcher named mounter"):
            Bench(Mounter(), planned(lambda view: (), outputs=(), name="mounter"))

    def test_no_circle_of_one(self) -> None:
        with pytest.raises(DeclarationError, match="Disk both as input and as output"):
            Bench(planned(lambda view: (), outputs=(DISK,)))


def test_output_kinds_become_known() -> None:
    bench = Bench(planned(lambda view: (), outputs=(FOLDER, Shared(MOUNT))))
    assert set(bench.store.kinds()) == {DISK, MOUNT, FOLDER}


def test_graph() -> None:
    graph = Bench(Mounter(), planned(lambda view: (), (Input(MOUNT, "a"),), (Shared(FOLDER),))).runtime.graph()
    assert graph.controllers == ("mounter", "planned")
    assert set(graph.kinds) == {DISK, MOUNT, FOLDER}
    assert [(edge.name, edge.type, edge.kind, edge.id) for edge in graph.edges] == [
        ("mounter", EdgeType.FINALIZED_INPUT, DISK, ""),
        ("mounter", EdgeType.EXCLUSIVE_OUTPUT, MOUNT, ""),
        ("planned", EdgeType.INPUT, MOUNT, "a"),
        ("planned", EdgeType.SHARED_OUTPUT, FOLDER, ""),
    ]


def test_last_plan_can_be_inspected() -> None:
    async def check() -> None:
        async with Bench(Mounter()) as bench:
            bench.put(DISK, "a", ThingSpec(size=1))
            await bench.settle()
            status = bench.runtime.statuses()["mounter"]
            assert status.last_plan == (Mount("a"), Put(MOUNT, "a", ThingSpec(size=1)))
            assert status.last_finished == bench.clock.time()

    run(check())


def test_effects_of_one_in_order_of_several_at_once() -> None:
    async def check() -> None:
        running: list[str] = []
        most: dict[str, int] = {}
        gate = asyncio.Event()

        async def run_effect(effect: Effect) -> None:
            assert isinstance(effect, Mount)
            running.append(effect.name[0])
            for name in running:
                most[name] = max(most.get(name, 0), running.count(name))
            most["all"] = max(most.get("all", 0), len(running))
            await gate.wait()
            running.remove(effect.name[0])

        runtime = Runtime(Store(), run_effect, logging.getLogger("test"))
        for name in "ab":
            effects = [Mount(f"{name}{number}") for number in range(3)]
            runtime.add(planned(lambda view, effects=effects: effects, outputs=(), name=name))
        task = asyncio.create_task(runtime.run())
        await drain()
        gate.set()
        await drain()
        assert most == {"a": 1, "b": 1, "all": 2}
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task

    run(check())


def test_shutdown_cancels_the_effect_that_runs() -> None:
    async def check() -> None:
        ended: list[str] = []

        async def run_effect(effect: Effect) -> None:
            try:
                await asyncio.Event().wait()
            finally:
                ended.append("cancelled")

        runtime = Runtime(Store(), run_effect, logging.getLogger("test"))
        runtime.add(planned(lambda view: [Mount("a")]))
        task = asyncio.create_task(runtime.run())
        await drain()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert ended == ["cancelled"]
        assert runtime.status("planned").activity is Activity.STOPPED
        assert [runtime.store.watchers(kind) for kind in (DISK, MOUNT)] == [0, 0]

    run(check())


def test_controller_may_be_added_while_running() -> None:
    async def check() -> None:
        async with Bench() as bench:
            bench.put(DISK, "a", ThingSpec())
            bench.runtime.add(Mounter())
            await bench.settle()
            assert bench.effects == [Mount("a")]

    run(check())


def test_a_failing_controller_does_not_disturb_others(caplog: pytest.LogCaptureFixture) -> None:
    def explode(view: View) -> Iterable[Step]:
        raise ZeroDivisionError

    async def check() -> None:
        async with Bench(planned(explode, outputs=()), Mounter()) as bench:
            bench.put(DISK, "a", ThingSpec())
            await bench.settle()
            assert bench.effects == [Mount("a")]
            assert bench.runtime.status("planned").last_error == "ZeroDivisionError"

    with caplog.at_level(logging.WARNING):
        run(check())
    assert any(record.exc_info for record in caplog.records), "a bug is logged with where it happened"


def test_two_that_keep_each_other_busy_do_not_block_the_loop() -> None:
    async def check() -> None:
        store = Store()

        async def run_effect(effect: Effect) -> None:
            raise AssertionError

        def count(source: Kind[ThingSpec], target: Kind[ThingSpec]) -> Callable[[View], Iterable[Step]]:
            def plan(view: View) -> Iterable[Step]:
                found = view.get(source, "n")
                yield Put(target, "n", ThingSpec(size=(found.spec.size if found else 0) + 1))

            return plan

        runtime = Runtime(store, run_effect, logging.getLogger("test"))
        runtime.add(planned(count(DISK, MOUNT), (Input(DISK),), (MOUNT,), "one"))
        runtime.add(planned(count(MOUNT, DISK), (Input(MOUNT),), (DISK,), "two"))
        task = asyncio.create_task(runtime.run())
        found = await store.wait_for(MOUNT, "n", lambda mount: mount.spec.size > 50, timeout=5)
        assert found.spec.size > 50
        task.cancel()
        await asyncio.wait([task])

    run(check())
