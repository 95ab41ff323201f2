"""Whether images come from a prepared disk is told once the ground for containers is laid."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any, cast

import pytest

from dozen.machinery.resources import block, cri
from dozen.node.tasks import containers
from dozen.testing.machine import FakeMachine


def tell(monkeypatch: pytest.MonkeyPatch, *volumes: block.DiscoveredVolumeSpec) -> cri.ImageCacheConfigSpec:
    prepared: list[str] = []
    monkeypatch.setattr(containers, "prepare", prepared.append)
    machine = FakeMachine()
    monkeypatch.setattr(machine, "mode", "metal", raising=False)
    monkeypatch.setattr(machine, "clear_problem", lambda id: None, raising=False)
    for volume in volumes:
        machine.store.put(block.DISCOVERED_VOLUME, Path(volume.dev_path).name, volume)
    asyncio.run(containers.prepare_containers(cast("Any", machine)))
    spec = machine.store.get(cri.IMAGE_CACHE_CONFIG, cri.IMAGE_CACHE).spec
    assert [tuple(filter(None, prepared))] == [spec.roots and (volumes[0].dev_path,)]
    return spec


def test_a_machine_without_the_disk_has_no_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    spec = tell(monkeypatch, block.DiscoveredVolumeSpec(dev_path="/dev/vdb", name="xfs", label="EPHEMERAL"))
    assert spec == cri.ImageCacheConfigSpec(status="disabled", copy_status="skipped")


def test_the_disk_is_known_by_what_is_on_it(monkeypatch: pytest.MonkeyPatch) -> None:
    disk = block.DiscoveredVolumeSpec(dev_path="/dev/vdc", name="erofs", label=containers.imagecache.LABEL)
    spec = tell(monkeypatch, disk)
    assert spec == cri.ImageCacheConfigSpec(status="ready", copy_status="ready", roots=(containers.CACHE,))
