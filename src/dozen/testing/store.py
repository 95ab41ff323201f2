"""Assertions on resources that wait instead of sleeping."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from dozen.engine.store import Store
from dozen.machinery.resource import Kind, Resource, SpecT

PATIENCE = 5.0  # seconds of real time that an assertion waits at most; only a failing test ever waits that long


async def assert_resource(
    store: Store,
    kind: Kind[SpecT],
    id: str,
    predicate: Callable[[Resource[SpecT]], bool] = lambda resource: True,
    **fields: Any,
) -> Resource[SpecT]:
    """Wait until the resource exists with these values of its spec; fail with what is there instead."""

    def fits(resource: Resource[SpecT]) -> bool:
        return predicate(resource) and all(getattr(resource.spec, name) == value for name, value in fields.items())

    try:
        return await store.wait_for(kind, id, fits, timeout=PATIENCE)
    except TimeoutError:
        found = store.find(kind, id)
        shown = found if found is not None else [each.id for each in store.list(kind)]
        raise AssertionError(
            f"{kind.display} {id!r} did not become {fields or 'as expected'}; there is {shown}"
        ) from None


async def assert_gone(store: Store, kind: Kind[msgspec.Struct], id: str) -> None:
    """Wait until there is no such resource."""
    try:
        await store.wait_gone(kind, id, timeout=PATIENCE)
    except TimeoutError:
        raise AssertionError(f"{kind.display} {id!r} is still there: {store.find(kind, id)}") from None
