"""Gives META its partition once there is one, and publishes its values."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING

from dozen.machinery.plan import Temporary
from dozen.machinery.resources import block, runtime

if TYPE_CHECKING:
    from dozen.engine.publisher import Publisher
    from dozen.engine.store import Store
    from dozen.linux.meta import MetaStore

VOLUME = "META"
LOADED = "meta-loaded"


class MetaWatcher:
    """VolumeStatus META → the partition of the values; the values → MetaKey."""

    name = "meta-values"
    outputs = (runtime.META_KEY, runtime.META_LOAD)

    def __init__(self, store: Store, meta: MetaStore) -> None:
        self._store = store
        self._meta = meta

    async def run(self, publish: Publisher) -> None:
        def show(values: Mapping[int, bytes]) -> None:
            publish.replace(runtime.META_KEY, {f"0x{key:02x}": describe_value(value) for key, value in values.items()})

        stop = self._meta.listen(show)
        try:
            volume = await self._store.wait_for(
                block.VOLUME_STATUS, VOLUME, lambda each: each.spec.phase == "ready" and each.spec.location != ""
            )
            try:
                await self._meta.attach(volume.spec.location)
            except OSError as error:
                raise Temporary(f"META on {volume.spec.location} cannot be read: {error.strerror or error}") from error
            publish.put(runtime.META_LOAD, LOADED, runtime.MetaLoadedSpec(done=True))
            await asyncio.get_running_loop().create_future()  # for ever: the listener does the rest
        finally:
            stop()


def describe_value(value: bytes) -> runtime.MetaKeySpec:
    """Values are bytes, and text nearly always; what is not stays readable."""
    return runtime.MetaKeySpec(value=value.decode("utf-8", "backslashreplace"))
