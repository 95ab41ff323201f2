"""The screen asks nothing of the machine for a terminal that nobody looks at."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from dozen.node import dashboard


@pytest.mark.parametrize(("shown", "in_front"), [("tty2\n", True), ("tty1\n", False), ("tty20\n", False)])
def test_the_terminal_that_is_shown(tmp_path: Path, shown: str, in_front: bool) -> None:
    active = tmp_path / "active"
    active.write_text(shown)
    assert dashboard.is_in_front(active) is in_front


def test_without_terminals_to_switch_between_it_is_in_front(tmp_path: Path) -> None:
    assert dashboard.is_in_front(tmp_path / "absent")


@pytest.mark.parametrize(("in_front", "looks"), [([True], 1), ([False, False, True], 3), ([False] * 61, 58)])
def test_the_next_picture_is_due(monkeypatch: pytest.MonkeyPatch, in_front: list[bool], looks: int) -> None:
    now = 1000.0
    asked: list[float] = []

    async def sleep(seconds: float) -> None:
        nonlocal now
        now += seconds

    def look() -> bool:
        asked.append(now)
        return in_front[len(asked) - 1]

    monkeypatch.setattr(dashboard.asyncio, "sleep", sleep)
    monkeypatch.setattr(dashboard.time, "monotonic", lambda: now)
    monkeypatch.setattr(dashboard, "is_in_front", look)
    asyncio.run(dashboard._until_due(1000.0))
    assert asked[0] == 1000.0 + dashboard.PERIOD
    assert len(asked) == min(looks, len(in_front))
    assert asked[-1] <= 1000.0 + dashboard.UNWATCHED_PERIOD
