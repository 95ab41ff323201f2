"""How many resource updates a second the engine does.

1,000 resources of 10 kinds, 50 watchers spread over them (5 on each kind, each a task that takes every event off its
watch), all on one event loop as in PID 1. An update is a `put` of a changed spec; it counts when every watcher of its
kind has taken the event. The first figure is with bursts of 100 updates between two turns of the loop, as when a
watcher publishes what it found; the second with one turn for each update. The third is the way through a controller:
an input changes, the plan is made and carried out, and the output is seen by a watch. Prints one JSON object; `make
bench` collects it. No thresholds: it reports.

    PYTHONPATH=src python -m bench.engine [--updates N] [--rounds N] [--profile]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import platform
import statistics
import sys
import time
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "src"))

from dozen.engine.runtime import Runtime
from dozen.engine.store import Store
from dozen.machinery.plan import Effect, Input, Put, Step, View
from dozen.machinery.resource import Kind
from dozen.machinery.resources.network import ADDRESS_STATUS, HOSTNAME_STATUS, AddressStatusSpec, HostnameStatusSpec

KINDS, RESOURCES, WATCHERS, BURST = 10, 1000, 50, 100


async def measure(updates: int, burst: int = BURST) -> tuple[float, int]:
    """Seconds for all updates to be done and seen, and how many events were taken."""
    store = Store()
    kinds = [Kind(f"Kind{number}.bench.dev", "bench", AddressStatusSpec, f"Kind{number}") for number in range(KINDS)]
    ids = [f"resource-{number:04}" for number in range(RESOURCES // KINDS)]
    specs = [AddressStatusSpec(address=f"10.0.{number}.1/24", link_name="eth0") for number in range(256)]
    for kind in kinds:
        for id in ids:
            store.put(kind, id, specs[0], owner="bench")
    seen = [0] * WATCHERS

    async def follow(number: int) -> None:
        with store.watch(kinds[number % KINDS], bootstrap=False) as watch:
            async for _ in watch:
                seen[number] += 1

    tasks = [asyncio.create_task(follow(number)) for number in range(WATCHERS)]
    await asyncio.sleep(0)
    started = time.perf_counter()
    for number in range(updates):
        kind = kinds[number % KINDS]
        id = ids[number // KINDS % len(ids)]
        store.put(kind, id, specs[1 + number // RESOURCES % 255], owner="bench")
        if number % burst == burst - 1:
            await asyncio.sleep(0)  # the watchers take their events
    expected = [updates // KINDS] * WATCHERS
    while seen != expected:  # noqa: ASYNC110 - an event set by each watcher would be measured as well
        await asyncio.sleep(0)
    seconds = time.perf_counter() - started
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
    return seconds, sum(seen)


class Copier:
    """A controller as small as one can be: the name of each address's link."""

    name = "copier"
    inputs = (Input(ADDRESS_STATUS),)
    outputs = (HOSTNAME_STATUS,)

    def plan(self, view: View) -> Iterator[Step]:
        for address in view.list(ADDRESS_STATUS):
            yield Put(HOSTNAME_STATUS, address.id, HostnameStatusSpec(hostname=address.spec.link_name))


async def run_nothing(effect: Effect) -> None:
    """The copier has no effects."""


async def measure_controller(changes: int) -> float:
    """Changes of an input a second that went all the way to a watch of the output."""
    store = Store()
    runtime = Runtime(store, run_nothing, logging.getLogger("bench"))
    runtime.add(Copier())
    running = asyncio.create_task(runtime.run())
    with store.watch(HOSTNAME_STATUS, "a") as watch:
        await anext(watch)
        started = time.perf_counter()
        for number in range(changes):
            store.put(ADDRESS_STATUS, "a", AddressStatusSpec(link_name=f"eth{number}"))
            await anext(watch)
        seconds = time.perf_counter() - started
    running.cancel()
    await asyncio.wait([running])
    return changes / seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--updates", type=int, default=50_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--profile", action="store_true", help="print where the time goes instead")
    arguments = parser.parse_args()
    updates = arguments.updates // RESOURCES * RESOURCES
    if arguments.profile:
        import cProfile

        cProfile.run(f"asyncio.run(measure({updates}))", sort="tottime")
        return
    found = [asyncio.run(measure(updates)) for _ in range(arguments.rounds)]
    rates = sorted(updates / seconds for seconds, _ in found)
    singly = [updates / asyncio.run(measure(updates, 1))[0] for _ in range(arguments.rounds)]
    reconciled = [asyncio.run(measure_controller(updates // 10)) for _ in range(arguments.rounds)]
    report = {
        "name": "engine",
        "updates_per_s": round(statistics.median(rates)),
        "updates_per_s_best": round(rates[-1]),
        "updates_per_s_singly": round(statistics.median(singly)),
        "reconciliations_per_s": round(statistics.median(reconciled)),
        "events_per_s": round(statistics.median(events / seconds for seconds, events in found)),
        "resources": RESOURCES,
        "kinds": KINDS,
        "watchers": WATCHERS,
        "updates": updates,
        "python": platform.python_version(),
    }
    json.dump(report, sys.stdout)
    sys.stdout.write("\n")


if __name__ == "__main__":
    main()
