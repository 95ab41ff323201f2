"""Every effect that a plan may ask for finds somebody who carries it out."""

from __future__ import annotations

import asyncio
import importlib
import pkgutil
from types import SimpleNamespace
from typing import Any

import pytest

from dozen.linux import block, clock, generated, hostfiles, kernel, lvm, mounts, network, wipe
from dozen.machinery import effects
from dozen.machinery.plan import Effect
from dozen.node.effects import run

RUNNERS = {
    "block": (block, "run"),
    "files": (generated, "run"),
    "hostfiles": (hostfiles, "run"),
    "kernel": (kernel, "run"),
    "lvm": (lvm, "run"),
    "links": (network, "run"),
    "routing": (network, "run"),
    "firewall": (network, "run"),
    "mount": (mounts, "run"),
    "network": (network, "run"),
    "time": (clock, "run"),
    "wipe": (wipe, "run"),
    "services": (None, ""),
}
THEMES = [each.name for each in pkgutil.iter_modules(effects.__path__)]


@pytest.mark.parametrize("theme", THEMES)
def test_a_theme_has_a_runner(monkeypatch: pytest.MonkeyPatch, theme: str) -> None:
    done: list[object] = []

    async def run_later(effect: object, *_: object) -> None:
        done.append(effect)

    module, name = RUNNERS[theme]
    if module is not None:
        direct = theme in ("files", "hostfiles", "time")
        monkeypatch.setattr(module, name, done.append if direct else run_later)
    machine: Any = SimpleNamespace(run_program=None, services=SimpleNamespace(refresh=run_later))
    machine.clear_problem = lambda id: None
    kinds = [
        each
        for each in vars(importlib.import_module(f"dozen.machinery.effects.{theme}")).values()
        if isinstance(each, type) and issubclass(each, Effect) and each is not Effect
    ]
    assert kinds
    for kind in kinds:
        effect = kind.__new__(kind)
        if theme == "services":
            effect = kind("containerd", "why")
        asyncio.run(run(machine, effect))
    assert len(done) == len(kinds)


def test_what_is_no_effect_is_refused() -> None:
    with pytest.raises(TypeError, match="carries out"):
        asyncio.run(run(SimpleNamespace(), object()))  # type: ignore[arg-type]
