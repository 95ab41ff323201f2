"""Kinds of things, and what is done with them, for tests of the engine: nothing of a real machine."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass
from typing import Any

from dozen.machinery.plan import Effect, Input, Output, Step, View
from dozen.machinery.resource import Kind
from dozen.machinery.resources.spec import Spec
from dozen.testing.controllers import Bench, Planned


class ThingSpec(Spec):
    size: int = 0


DISK = Kind("Disks.test.dev", "test", ThingSpec, "Disk")
MOUNT = Kind("Mounts.test.dev", "test", ThingSpec, "Mount")
FOLDER = Kind("Folders.test.dev", "test", ThingSpec, "Folder")


@dataclass(frozen=True, slots=True)
class Mount(Effect):
    name: str


def planned(
    plan: Callable[[View], Iterable[Step]],
    inputs: tuple[Input, ...] = (Input(DISK),),
    outputs: tuple[Output, ...] = (MOUNT,),
    name: str = "planned",
) -> Planned:
    return Planned(name, plan, inputs, outputs)


def run(coroutine: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(coroutine, 20))


def ids(bench: Bench, kind: Kind[ThingSpec]) -> list[str]:
    return [each.id for each in bench.store.list(kind)]
