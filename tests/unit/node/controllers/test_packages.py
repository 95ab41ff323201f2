"""What an image is made of, from its manifest."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import msgspec
import pytest

from dozen.machinery.resources import runtime
from dozen.node.controllers.packages import PackageWatcher, describe_packages, read_packages
from dozen.node.stage import STAGE, StageSpec
from dozen.testing.controllers import Bench

FILES = [
    {"path": "/a", "package": "one", "version": "1", "licence": "MIT"},
    {"path": "/b", "package": "one", "version": "1", "licence": "GPL-2.0-only"},
    {"path": "/c", "package": "one", "version": "1", "licence": "MIT"},
    {"path": "/d", "package": "two", "version": "2"},
    {"path": "/e"},
]


def test_packages_have_all_licences_of_their_files() -> None:
    assert describe_packages(json.dumps({"format": 1, "files": FILES}).encode()) == {
        "one": runtime.SBOMItemSpec(name="one", version="1", license="(MIT) AND (GPL-2.0-only)"),
        "two": runtime.SBOMItemSpec(name="two", version="2"),
    }
    with pytest.raises(msgspec.DecodeError):
        describe_packages(b"{")


def test_a_tree_without_a_manifest_has_none(tmp_path: Path) -> None:
    assert read_packages(str(tmp_path / "absent")) == {}


def test_they_are_told_after_the_boot(tmp_path: Path) -> None:
    path = tmp_path / "manifest.json"
    path.write_text(json.dumps({"files": FILES}))

    async def run() -> None:
        bench = Bench()
        bench.runtime.add_watcher(PackageWatcher(bench.store, str(path)))
        async with bench:
            bench.put(STAGE, "machine", StageSpec(stage="booting"))
            await bench.settle()
            assert bench.store.list(runtime.SBOM_ITEM) == ()
            bench.put(STAGE, "machine", StageSpec(stage="maintenance"))
            await bench.store.wait_for(runtime.SBOM_ITEM, "two", lambda each: True)

    asyncio.run(run())
