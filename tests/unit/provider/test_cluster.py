"""What is kept of a cluster while it is made, and how many machines start together."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from dozen.provider import cluster, layout
from dozen.provider.cluster import Creation, Options, at_a_time, describe
from dozen.provider.machines import Machine, report_nothing
from dozen.provider.network import Place


@pytest.mark.parametrize(("cores", "cpus", "together"), [(2, 2, 1), (8, 2, 4), (8, 3, 2), (1, 2, 1), (4, 1, 4)])
def test_as_many_machines_start_together_as_there_are_cores_for(cores: int, cpus: int, together: int) -> None:
    assert at_a_time(cores, cpus) == together


class Provider:
    """Makes machines in no time, and counts how many are made at once."""

    def __init__(self, accelerator: str = "kvm") -> None:
        self.name, self.now, self.most = accelerator, 0, 0

    def show(self, folder: Path) -> Machine | None:
        return None

    def accelerator(self, kernel: Path) -> Any:
        return SimpleNamespace(name=self.name)

    async def create(self, spec: Any, folder: Path, report: Any) -> Machine:
        self.now += 1
        self.most = max(self.most, self.now)
        await asyncio.sleep(0.01)
        return Machine(spec.name, folder, "127.0.0.1:1", "", 1)


def make(tmp_path: Path, provider: Provider, monkeypatch: pytest.MonkeyPatch, **options: Any) -> Creation:
    """A cluster in the making, whose machines answer as soon as they are made."""

    async def answer(*_: Any) -> Any:
        provider.now -= 1
        return SimpleNamespace(version=SimpleNamespace(tag="v1"))

    monkeypatch.setattr(cluster, "await_answer", answer)
    monkeypatch.setattr(cluster, "ask_version", lambda *_: answer())
    monkeypatch.setattr(cluster, "find_port", lambda: 40000)
    monkeypatch.setattr(os, "cpu_count", lambda: 4)
    provider.now = 0
    image = SimpleNamespace(identity="i", kernel=tmp_path, images=None)
    made = Creation(cast("Any", provider), "c", tmp_path / "c", cast("Any", image), Options(**options), report_nothing)
    places = {
        member.name: Place(member.name, f"10.0.2.{15 + at}", 41000 + at, 42000 + at, 43000 + at)
        for at, member in enumerate(made.plan.members)
    }
    monkeypatch.setattr(made, "_connect", lambda: places)
    return made


def test_starts_are_limited_by_the_cores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    provider = Provider()
    made = make(tmp_path, provider, monkeypatch, workers=5, cpus=2)

    async def answer(*_: Any) -> Any:
        await asyncio.sleep(0.01)
        provider.now -= 1
        return SimpleNamespace(version=SimpleNamespace(tag="v1"))

    monkeypatch.setattr(cluster, "await_answer", answer)
    asyncio.run(made.run())
    assert provider.most == 2


@pytest.mark.parametrize(("accelerator", "profile"), [("tcg", "emulated"), ("kvm", "")])
def test_a_profile_is_kept_with_the_plan(
    accelerator: str, profile: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    provider = Provider(accelerator)
    assert asyncio.run(make(tmp_path, provider, monkeypatch).run()).profile == profile
    plan = layout.read_plan(tmp_path / "c")
    assert plan is not None
    assert plan.profile == profile
    # It stays when the configuration is only read, and is known without asking anybody.
    assert asyncio.run(make(tmp_path, provider, monkeypatch).run()).profile == profile
    assert describe(cast("Any", provider), "c", tmp_path / "c").profile == profile


def test_a_plan_of_before_has_no_profile(tmp_path: Path) -> None:
    (tmp_path / "cluster.json").write_text('{"members": [{"name": "c-controlplane-1", "role": "controlplane"}]}')
    plan = layout.read_plan(tmp_path)
    assert plan is not None
    assert plan.profile == ""
