"""What brings the node up waits for what it needs, and no longer."""

from __future__ import annotations

import asyncio
from contextlib import nullcontext
from pathlib import Path
from typing import Any, cast

import pytest

from dozen.linux import block_kinds
from dozen.machinery import imagecache
from dozen.machinery.resources import block
from dozen.node.tasks import running
from dozen.testing.machine import FakeMachine

IMAGES = block.DiscoveredVolumeSpec(dev_path="/dev/vdc", name="erofs", label=imagecache.LABEL)


@pytest.mark.parametrize(
    ("scanned", "volume", "prepared"),
    [
        # Its driver may still have to be loaded: a store that was begun from it must not be emptied meanwhile.
        (False, None, False),
        (False, IMAGES, True),
        (True, None, True),
    ],
)
def test_containers_wait_for_the_disk_with_their_images_while_it_may_come(
    monkeypatch: pytest.MonkeyPatch, scanned: bool, volume: block.DiscoveredVolumeSpec | None, prepared: bool
) -> None:
    machine = FakeMachine()
    done: list[object] = []

    async def prepare(machine: object) -> None:
        done.append(machine)

    monkeypatch.setattr(running, "prepare_containers", prepare)
    monkeypatch.setattr(running, "LOOK_EVERY", 0.001)
    monkeypatch.setattr(machine.logs, "keep_in", lambda folder: None)
    for name, value in {"mode": "metal", "var_is_ready": True, "clear_problem": lambda id: None}.items():
        monkeypatch.setattr(machine, name, value, raising=False)
    machine.store.put(block_kinds.SCAN, block_kinds.DEVICES, block_kinds.ScanSpec(settled=scanned))
    if volume is not None:
        machine.store.put(block.DISCOVERED_VOLUME, Path(volume.dev_path).name, volume)

    async def run() -> None:
        with nullcontext() if prepared else pytest.raises(TimeoutError):
            await asyncio.wait_for(running._use_ephemeral(cast("Any", machine)), 5 if prepared else 0.05)

    asyncio.run(run())
    assert len(done) == prepared
