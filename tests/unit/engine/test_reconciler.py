"""One controller upon the real engine: when it plans, how steps are taken, and how everything ends."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from dozen.engine.backoff import CAP, delay_after
from dozen.engine.reconciler import REST, Activity
from dozen.machinery.plan import Effect, Input, Output, Permanent, Put, Remove, Requeue, Step, Temporary, View
from dozen.machinery.resource import Phase
from dozen.testing.controllers import Bench
from dozen.testing.store import assert_gone, assert_resource
from unit.engine.things import DISK, FOLDER, MOUNT, Mount, ThingSpec, ids, planned, run


@dataclass(frozen=True, slots=True)
class Unmount(Effect):
    name: str


class Mounter:
    """Mounts each disk, and unmounts one that goes."""

    name = "mounter"
    inputs: tuple[Input, ...] = (Input(DISK, finalize=True),)
    outputs: tuple[Output, ...] = (MOUNT,)

    def plan(self, view: View) -> Iterable[Step]:
        for disk in view.list(DISK):
            if disk.metadata.phase is Phase.TEARING_DOWN:
                continue
            if view.get(MOUNT, disk.id) is None:
                yield Mount(disk.id)
            yield Put(MOUNT, disk.id, ThingSpec(size=disk.spec.size))
        for disk in view.list(DISK):
            if disk.metadata.phase is Phase.TEARING_DOWN:
                yield Remove(MOUNT, disk.id)
                yield Unmount(disk.id)


class Folders:
    """Makes a folder for each mount, and needs it."""

    name = "folders"
    inputs = (Input(MOUNT, finalize=True),)
    outputs = (FOLDER,)

    def plan(self, view: View) -> Iterable[Step]:
        for mount in view.list(MOUNT):
            if mount.metadata.phase is Phase.RUNNING:
                yield Put(FOLDER, mount.id, ThingSpec(size=mount.spec.size))


def test_plans_at_the_start_and_upon_changes() -> None:
    async def check() -> None:
        async with Bench(Mounter()) as bench:
            assert bench.effects == []
            bench.put(DISK, "a", ThingSpec(size=1))
            bench.put(DISK, "b", ThingSpec(size=2))
            rounds = bench.runtime.status("mounter").rounds
            await bench.settle()
            assert bench.effects == [Mount("a"), Mount("b")]
            assert bench.runtime.status("mounter").rounds == rounds + 1, "several changes, one plan"
            assert bench.store.get(MOUNT, "b").metadata.owner == "mounter"
            bench.put(DISK, "a", ThingSpec(size=9))
            found = await assert_resource(bench.store, MOUNT, "a", size=9)
            assert found.metadata.version == 2
            assert len(bench.effects) == 2

    run(check())


def test_everything_ends_in_order() -> None:
    """Disk goes → folder goes → mount goes → unmounted → disk is gone, each waiting for the one that needs it."""

    async def check() -> None:
        async with Bench(Mounter(), Folders()) as bench:
            bench.put(DISK, "a", ThingSpec())
            bench.put(DISK, "b", ThingSpec())
            await bench.settle()
            assert ids(bench, FOLDER) == ["a", "b"]
            order: list[str] = []
            for kind in (DISK, MOUNT, FOLDER):
                bench.store.listen(kind, lambda event, kind=kind: order.append(f"{kind.display} {event.type.name}"))
            bench.recorded.prepare(Unmount, lambda effect: order.append("Unmount"))
            bench.remove(DISK, "a")
            await bench.settle()
            assert [entry for entry in order if "DESTROYED" in entry or entry == "Unmount"] == [
                "Folder DESTROYED",
                "Mount DESTROYED",
                "Unmount",
                "Disk DESTROYED",
            ]
            assert bench.effects == [Mount("a"), Mount("b"), Unmount("a")]
            assert (ids(bench, DISK), ids(bench, MOUNT), ids(bench, FOLDER)) == (["b"], ["b"], ["b"])

    run(check())


def test_failed_effect_stops_the_plan() -> None:
    async def check() -> None:
        async with Bench(Mounter()) as bench:
            bench.recorded.prepare(Mount, None, Temporary("not yet", delay=3.0))
            for id in "abc":
                bench.put(DISK, id, ThingSpec())
            await bench.settle()
            assert bench.recorded.tried == [Mount("a"), Mount("b")]
            assert ids(bench, MOUNT) == ["a"], "what stands behind the failure is not put"
            status = bench.runtime.status("mounter")
            assert (status.activity, status.failures, status.last_error) == (Activity.BACKING_OFF, 1, "not yet")
            assert status.retry_at == 3.0
            await bench.advance(2.9)
            assert len(bench.recorded.tried) == 2
            await bench.advance(0.2)
            assert bench.effects == [Mount("a"), Mount("b"), Mount("c")]
            assert (status.activity, status.failures, status.last_error) == (Activity.IDLE, 0, "")

    run(check())


def test_failed_round_sweeps_nothing() -> None:
    async def check() -> None:
        wanted = ["a", "b"]
        controller = planned(lambda view: [*(Put(MOUNT, id, ThingSpec()) for id in wanted), Mount("x")])
        async with Bench(controller) as bench:
            assert ids(bench, MOUNT) == ["a", "b"]
            bench.recorded.prepare(Mount, OSError("broken"))
            wanted.remove("a")
            bench.put(DISK, "a", ThingSpec())
            await bench.settle()
            assert ids(bench, MOUNT) == ["a", "b"]
            await bench.advance(CAP)
            assert ids(bench, MOUNT) == ["b"]

    run(check())


def test_backs_off_longer_and_longer() -> None:
    async def check() -> None:
        async with Bench() as bench:
            bench.recorded.prepare(Mount, *[OSError("broken")] * 12)
            bench.runtime.add(planned(lambda view: [Mount("a")]))
            await bench.settle()
            delays = []
            while (delay := bench.clock.next_timer) is not None:
                delays.append(delay)
                await bench.advance(delay)
            assert delays == [0.25, 0.5, 1, 2, 4, 8, 16, 32, 60, 60, 60, 60]
            assert bench.effects == [Mount("a")]

    run(check())


def test_back_off_is_spread_at_random() -> None:
    assert {delay_after(3, lambda fraction=fraction: fraction) for fraction in (0.0, 0.5)} == {1.0, 0.75}
    assert all(CAP / 2 <= delay_after(1000) <= CAP for _ in range(100))
    assert len({delay_after(5) for _ in range(10)}) > 1


def test_permanent_failure_waits_for_a_change() -> None:
    async def check() -> None:
        async with Bench(planned(lambda view: [Mount("a")])) as bench:
            bench.recorded.prepare(Mount, Permanent("no such disk"))
            bench.put(DISK, "a", ThingSpec())
            await bench.settle()
            status = bench.runtime.status("planned")
            assert (status.activity, status.retry_at) == (Activity.FAILED, None)
            await bench.advance(1000)
            assert bench.recorded.tried == [Mount("a"), Mount("a")]
            bench.put(DISK, "a", ThingSpec(size=2))
            await bench.settle()
            assert bench.effects == [Mount("a"), Mount("a")]
            assert status.activity is Activity.IDLE

    run(check())


def test_change_cuts_a_back_off_short_but_not_to_nothing() -> None:
    async def check() -> None:
        async with Bench() as bench:
            bench.recorded.prepare(Mount, *[Temporary("busy", delay=100.0)] * 1000)
            bench.runtime.add(planned(lambda view: [Mount("a")]))
            await bench.settle()
            for size in range(10):
                bench.put(DISK, "a", ThingSpec(size=size))
                await bench.settle()
            assert len(bench.recorded.tried) == 1, "changes must not make a failing controller spin"
            await bench.advance(REST)
            assert len(bench.recorded.tried) == 2
            await bench.advance(99)
            assert len(bench.recorded.tried) == 2
            await bench.advance(1)
            assert len(bench.recorded.tried) == 3

    run(check())


def test_change_during_a_failing_round_is_not_lost() -> None:
    async def check() -> None:
        async with Bench() as bench:

            def fail(effect: Effect) -> None:
                bench.put(DISK, "a", ThingSpec(size=5))
                raise Permanent("no")

            bench.recorded.prepare(Mount, fail)
            bench.runtime.add(planned(lambda view: [Mount("a")]))
            await bench.settle()
            assert bench.effects == []
            await bench.advance(REST)
            assert bench.effects == [Mount("a")]

    run(check())


def test_requeue_takes_the_shortest() -> None:
    async def check() -> None:
        async with Bench(planned(lambda view: [Requeue(60), Mount("a"), Requeue(10)])) as bench:
            await bench.advance(9)
            assert len(bench.effects) == 1
            await bench.advance(1)
            assert len(bench.effects) == 2
            bench.put(DISK, "a", ThingSpec())
            await bench.settle()
            assert len(bench.effects) == 3
            await bench.advance(9)
            assert len(bench.effects) == 3, "the timer of an earlier round is gone"

    run(check())


def test_remove_waits_and_failing_effects_behind_it_keep_the_input() -> None:
    async def check() -> None:
        async with Bench(Mounter()) as bench:
            bench.put(DISK, "a", ThingSpec())
            await bench.settle()
            bench.store.add_finalizer(MOUNT, "a", "service")
            bench.recorded.prepare(Unmount, Temporary("busy", delay=1.0))
            bench.remove(DISK, "a")
            bench.put(DISK, "b", ThingSpec())
            await bench.settle()
            assert bench.effects == [Mount("a"), Mount("b")], "no unmount while a service uses it"
            assert bench.runtime.status("mounter").failures == 0, "waiting is no failure"
            bench.store.remove_finalizer(MOUNT, "a", "service")
            await bench.settle()
            assert bench.recorded.tried[-1] == Unmount("a")
            assert ids(bench, DISK) == ["a", "b"], "the disk stays until it is unmounted"
            await bench.advance(1)
            assert bench.effects == [Mount("a"), Mount("b"), Unmount("a")]
            assert (ids(bench, DISK), ids(bench, MOUNT)) == (["b"], ["b"])

    run(check())


def test_input_is_kept_until_outputs_are_gone() -> None:
    """Without any Remove in the plan: the sweep alone has to finish first."""

    async def check() -> None:
        async with Bench(Folders()) as bench:
            bench.put(MOUNT, "a", ThingSpec())
            await bench.settle()
            bench.store.add_finalizer(FOLDER, "a", "reader")
            bench.remove(MOUNT, "a")
            await bench.settle()
            assert bench.store.get(FOLDER, "a").metadata.phase is Phase.TEARING_DOWN
            assert bench.store.get(MOUNT, "a").metadata.finalizers == ("folders",)
            bench.store.remove_finalizer(FOLDER, "a", "reader")
            await bench.settle()
            assert (ids(bench, FOLDER), ids(bench, MOUNT)) == ([], [])

    run(check())


def test_input_that_begins_to_leave_during_a_round_is_not_let_go_unseen() -> None:
    async def check() -> None:
        async with Bench(Mounter()) as bench:
            bench.put(DISK, "a", ThingSpec())
            bench.put(DISK, "b", ThingSpec())
            await bench.settle()
            bench.recorded.prepare(Unmount, lambda effect: bench.remove(DISK, "b"))
            bench.remove(DISK, "a")
            await bench.settle()
            assert bench.effects == [Mount("a"), Mount("b"), Unmount("a"), Unmount("b")]
            assert ids(bench, DISK) == []

    run(check())


def test_own_resource_comes_back_after_its_end() -> None:
    """The plan wants it again while somebody still holds the old one."""

    async def check() -> None:
        wanted = {"a": 1}
        controller = planned(lambda view: [Put(MOUNT, id, ThingSpec(size=size)) for id, size in wanted.items()])
        async with Bench(controller) as bench:
            bench.store.add_finalizer(MOUNT, "a", "user")
            for sizes in ({}, {"a": 2}):
                wanted.clear()
                wanted.update(sizes)
                bench.put(DISK, "x", ThingSpec(size=len(wanted)))
                await bench.settle()
                assert bench.store.get(MOUNT, "a").metadata.phase is Phase.TEARING_DOWN
            bench.store.remove_finalizer(MOUNT, "a", "user")
            await bench.settle()
            found = bench.store.get(MOUNT, "a")
            assert (found.metadata.version, found.spec.size, found.metadata.phase) == (1, 2, Phase.RUNNING)
            wanted.clear()
            bench.put(DISK, "x", ThingSpec(size=7))
            await assert_gone(bench.store, MOUNT, "a")

    run(check())


def test_wish_can_be_taken_back() -> None:
    async def check() -> None:
        wanted = {"a": 1}
        controller = planned(lambda view: [Put(MOUNT, id, ThingSpec(size=size)) for id, size in wanted.items()])
        async with Bench(controller) as bench:
            bench.store.add_finalizer(MOUNT, "a", "user")
            for number, sizes in enumerate(({}, {"a": 2}, {})):
                wanted.clear()
                wanted.update(sizes)
                bench.put(DISK, "x", ThingSpec(size=number))
                await bench.settle()
            bench.store.remove_finalizer(MOUNT, "a", "user")
            await bench.settle()
            assert ids(bench, MOUNT) == []

    run(check())


def test_takes_over_what_an_earlier_one_of_its_name_left() -> None:
    async def check() -> None:
        async with Bench() as bench:
            for id in "abc":
                bench.store.put(MOUNT, id, ThingSpec(), owner="planned")
            bench.store.teardown(MOUNT, "c", owner="planned")
            bench.store.put(MOUNT, "d", ThingSpec(), owner="other")
            bench.runtime.add(planned(lambda view: [Put(MOUNT, "b", ThingSpec()), Put(MOUNT, "c", ThingSpec())]))
            await bench.settle()
            assert ids(bench, MOUNT) == ["b", "c", "d"]
            assert bench.store.get(MOUNT, "c").metadata.phase is Phase.RUNNING

    run(check())
