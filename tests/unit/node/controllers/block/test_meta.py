"""META gets its partition, and its values can be seen."""

from __future__ import annotations

import asyncio
from pathlib import Path

from dozen.linux.meta import PARTITION_SIZE, MetaStore
from dozen.machinery.resources import block, runtime
from dozen.node.controllers.block.meta import MetaWatcher, describe_value
from dozen.testing.clock import drain
from dozen.testing.controllers import Bench
from dozen.testing.store import assert_gone, assert_resource


def test_values_are_shown_from_memory_and_then_from_the_partition(tmp_path: Path) -> None:
    path = tmp_path / "vdb1"
    path.write_bytes(bytes(PARTITION_SIZE))

    async def scenario() -> None:
        earlier = MetaStore()
        await earlier.attach(str(path))
        await earlier.set(10, b"kept")
        meta = MetaStore()
        async with Bench() as bench:
            bench.runtime.add_watcher(MetaWatcher(bench.store, meta))
            await meta.set(6, b"early")
            await assert_resource(bench.store, runtime.META_KEY, "0x06", value="early")
            bench.put(block.VOLUME_STATUS, "META", block.VolumeStatusSpec(phase="missing"))
            await drain()
            assert meta.path is None
            bench.put(block.VOLUME_STATUS, "META", block.VolumeStatusSpec(phase="ready", location=str(path)))
            await assert_resource(bench.store, runtime.META_KEY, "0x0a", value="kept")
            await assert_resource(bench.store, runtime.META_LOAD, "meta-loaded", done=True)
            await meta.delete(10)
            await assert_gone(bench.store, runtime.META_KEY, "0x0a")

    asyncio.run(asyncio.wait_for(scenario(), 20))


def test_a_partition_that_cannot_be_read_is_tried_again(tmp_path: Path) -> None:
    async def scenario() -> None:
        meta = MetaStore()
        async with Bench() as bench:
            bench.runtime.add_watcher(MetaWatcher(bench.store, meta))
            location = str(tmp_path / "nothing")
            bench.put(block.VOLUME_STATUS, "META", block.VolumeStatusSpec(phase="ready", location=location))
            while not bench.runtime.status("meta-values").last_error:
                await asyncio.sleep(0)
            error = bench.runtime.status("meta-values").last_error
            assert error == f"META on {location} cannot be read: No such file or directory"
            await meta.set(6, b"in memory all the same")

    asyncio.run(asyncio.wait_for(scenario(), 20))


def test_values_that_are_no_text_can_still_be_read() -> None:
    assert describe_value(b"a\xffb").value == "a\\xffb"
