"""Unused blocks are given back to disks, at times that differ from volume to volume."""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dozen.engine.outputs import Outputs
from dozen.engine.publisher import Publisher
from dozen.engine.store import Store
from dozen.machinery.config.generating import generate
from dozen.machinery.resources import block, config, runtime
from dozen.node.controllers.block import trim as module
from dozen.node.controllers.block.trim import TrimWatcher, next_time

WORKER = generate("c", "https://127.0.0.1:6443").worker
DOCUMENT = "---\napiVersion: v1alpha1\nkind: FilesystemTrimConfig\ninterval: 1h\n"


@given(st.text(max_size=8), st.floats(1, 1e6), st.floats(0, 4e9))
def test_the_next_time_is_within_an_interval_and_stays(identity: str, interval: float, now: float) -> None:
    found = next_time(identity, interval, now)
    assert now - 1e-3 <= found <= now + interval * 1.001 + 1e-3
    middle = next_time(identity, interval, (now + found) / 2)
    assert middle == pytest.approx(found, abs=1e-2) or found - now < 1e-2


class Problems:
    def __init__(self) -> None:
        self.told: dict[str, str] = {}

    def report_problem(self, id: str, text: str) -> None:
        self.told[id] = text

    def clear_problem(self, id: str) -> None:
        self.told.pop(id, None)


def run(monkeypatch: pytest.MonkeyPatch, trim: Callable[[str], int], met: Callable[[Store, Problems], bool]) -> Store:
    """A node with EPHEMERAL on /var, where the time to trim comes at once and then in an hour."""
    times = iter((0.01, 3600.0))
    monkeypatch.setattr(module, "next_time", lambda identity, interval, now: now + next(times, 3600.0))

    async def scenario() -> Store:
        store, problems = Store(), Problems()
        store.put(config.MACHINE_CONFIG, config.ACTIVE, config.MachineConfigSpec(text=WORKER + DOCUMENT), owner="t")
        ready = block.VolumeStatusSpec(phase="ready", location="/dev/vda3", filesystem="xfs")
        store.put(block.VOLUME_STATUS, "EPHEMERAL", ready, owner="t")
        store.put(block.VOLUME_STATUS, "META", block.VolumeStatusSpec(phase="ready", location="/dev/vda1"), owner="t")
        store.put(runtime.MOUNT_STATUS, "/var", runtime.MountStatusSpec(source="/dev/vda3", target="/var"), owner="t")
        publish = Publisher(Outputs(store, "volume-trim", TrimWatcher.outputs))
        running = asyncio.create_task(TrimWatcher(store, problems, trim).run(publish))
        async with asyncio.timeout(5):
            while not met(store, problems):
                await asyncio.sleep(0.005)
        running.cancel()
        await asyncio.wait([running])
        return store

    return asyncio.run(scenario())


def test_volumes_are_trimmed_when_their_time_has_come(monkeypatch: pytest.MonkeyPatch) -> None:
    trimmed: list[str] = []

    def trim(mountpoint: str) -> int:
        trimmed.append(mountpoint)
        return 1

    store = run(monkeypatch, trim, lambda store, problems: bool(trimmed))
    assert trimmed == ["/var"]
    (schedule,) = store.list(block.VOLUME_TRIM_SCHEDULE)
    assert (schedule.id, schedule.spec.filesystem, schedule.spec.interval) == ("EPHEMERAL", "xfs", 3600 * 10**9)


def test_what_fails_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def trim(mountpoint: str) -> int:
        raise OSError(errno.EIO, "Input/output error")

    def met(store: Store, problems: Problems) -> bool:
        return problems.told == {"trim-EPHEMERAL": "volume EPHEMERAL cannot be trimmed: Input/output error"}

    run(monkeypatch, trim, met)
