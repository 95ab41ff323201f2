"""Processes are ended for real, in control groups of this computer; only the kernel's words about pressure are ours."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from dozen.engine.runtime import Runtime
from dozen.engine.store import Store
from dozen.linux.cgroups import Hierarchy
from dozen.linux.mounts import read_mounts
from dozen.machinery.config.generating import generate
from dozen.machinery.resources import config
from dozen.machinery.resources.oom import OOM_ACTION
from dozen.node.controllers.host.oom import OomWatcher
from dozen.testing.controllers import RecordedEffects
from native.kubernetes.test_membership import LOG, Problems, until
from native.privileges import needs_root

pytestmark = needs_root
BUNDLE = generate("native", "https://127.0.0.1:6443")
DOCUMENT = """---
apiVersion: v1alpha1
kind: OOMConfig
triggerExpression: memory_full_avg10 > 50.0 && time_since_trigger > duration("200ms")
cgroupRankingExpression: 'path.endsWith("podA") ? 2.0 : class == Burstable ? 1.0 : 0.0'
sampleInterval: 50ms
"""
GROUPS = ("kubepods/besteffort/podA/one", "kubepods/burstable/podB/one", "kubepods/podC/one", "system/runtime")


@pytest.fixture
def hierarchy() -> Iterator[Hierarchy]:
    """A tree of control groups of our own."""
    mounted = [each.target for each in read_mounts() if each.fstype == "cgroup2"]
    if not mounted:
        pytest.skip("this computer has no cgroup2")
    root = Path(mounted[0]) / "dozen-test-oom"
    root.mkdir(exist_ok=True)
    tree = Hierarchy(str(root))
    if not (root / "cgroup.kill").exists():
        root.rmdir()
        pytest.skip("this kernel does not end whole control groups")
    try:
        yield tree
    finally:
        tree.kill("")
        for place in ("kubepods", "system"):
            for _ in range(50):
                with contextlib.suppress(OSError):
                    tree.remove(place)
                    break
        with contextlib.suppress(OSError):
            root.rmdir()


def words(full: float) -> str:
    return f"some avg10=90.0 avg60=0.0 avg300=0.0 total=1\nfull avg10={full} avg60=0.0 avg300=0.0 total=1\n"


def test_pods_end_one_after_another_while_memory_is_short(hierarchy: Hierarchy, tmp_path: Path) -> None:
    pressure = tmp_path / "memory"
    pressure.write_text(words(0.0))
    processes = {}
    for group in GROUPS:
        hierarchy.create(group, ())
        processes[group] = subprocess.Popen(["sleep", "600"])
        hierarchy.add(group, processes[group].pid)

    def running() -> list[str]:
        return [group for group, process in processes.items() if process.poll() is None]

    async def run() -> None:
        store, problems = Store(), Problems()
        runtime = Runtime(store, RecordedEffects().run, LOG)
        runtime.add_watcher(OomWatcher(store, problems, hierarchy, str(pressure)))
        put(store, BUNDLE.worker)
        task = asyncio.create_task(runtime.run())
        try:
            pressure.write_text(words(80.0))
            await asyncio.sleep(0.5)
            assert len(running()) == 4, "without the document nobody is ended"
            pressure.write_text(words(10.0))
            put(store, BUNDLE.worker + DOCUMENT)
            await asyncio.sleep(0.5)
            assert len(running()) == 4, "there is no want of memory yet"
            pressure.write_text(words(80.0))
            await until(lambda: len(running()) == 3)
            assert GROUPS[0] not in running(), "the one that asked for nothing comes first"
            await until(lambda: len(running()) == 2)
            await asyncio.sleep(0.5)
            assert running() == [GROUPS[2], GROUPS[3]], "who has no score stays"
            told = {each.id: each.spec for each in store.list(OOM_ACTION)}
            assert [told[id].score for id in ("1", "2")] == [2.0, 1.0]
            assert told["1"].processes == (f"{processes[GROUPS[0]].pid} sleep 600",)
            assert "podA" in told["1"].trigger_context
            assert "memory_full_avg10=80" in told["1"].trigger_context
            pressure.write_text("nothing of the kind\n")
            await until(lambda: "OOMConfig has no effect" in problems.open.get("oom", ""))
        finally:
            task.cancel()
            await asyncio.wait([task])

    try:
        asyncio.run(run())
    finally:
        for process in processes.values():
            process.kill()
            process.wait()


def put(store: Store, text: str) -> None:
    store.put(config.MACHINE_CONFIG, config.ACTIVE, config.MachineConfigSpec(text=text), owner="test")
