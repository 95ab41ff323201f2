"""Clusters of this computer as a table, and for programs."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from dozen.provider import cluster

NODE = SimpleNamespace(
    member=SimpleNamespace(name="pair-1", role="controlplane"),
    state="running",
    place=SimpleNamespace(address="10.5.0.2", api=50123),
)
FOUND = SimpleNamespace(name="pair", folder=Path("/state/pair"), kubernetes=True, profile="emulated", nodes=(NODE,))
BROKEN = SimpleNamespace(name="half", folder=Path("/state/half"), kubernetes=False, profile="", nodes=())


@pytest.fixture(autouse=True)
def clusters(monkeypatch: pytest.MonkeyPatch) -> None:
    there: dict[str, Any] = {"half": BROKEN, "pair": FOUND}
    found = SimpleNamespace(show=there.get, list=lambda: tuple(there.values()))
    monkeypatch.setattr(cluster, "Clusters", lambda: found)


def test_a_table_and_where_they_are_kept(run: Any) -> None:
    assert run("cluster", "show").stdout.splitlines() == [
        "CLUSTER   NODE     ROLE           STATE     ADDRESS    API",
        "pair      pair-1   controlplane   running   10.5.0.2   127.0.0.1:50123",
        "half: /state/half (incomplete: nothing runs)",
        "pair: /state/pair",
        "pair has the profile `emulated`: longer limits for machines without hardware virtualization",
    ]


def test_for_programs(run: Any) -> None:
    assert json.loads(run("cluster", "show", "--name", "pair", "-o", "json").stdout) == {
        "name": "pair",
        "folder": "/state/pair",
        "kubernetes": True,
        "profile": "emulated",
        "nodes": [
            {
                "name": "pair-1",
                "role": "controlplane",
                "state": "running",
                "address": "10.5.0.2",
                "api": "127.0.0.1:50123",
            }
        ],
    }
    assert "name: half\nfolder: /state/half\n" in run("cluster", "show", "-o", "yaml").stdout
