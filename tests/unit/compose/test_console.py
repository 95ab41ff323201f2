"""What a person sees of a long download."""

from __future__ import annotations

import io
import os
import shutil

import pytest

from dozen.compose import console
from dozen.compose.console import Bar, Console

ERASE = "\r\x1b[K"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Seconds, to be moved by the test; the terminal is 60 columns wide."""
    now = [100.0]
    monkeypatch.setattr(console.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(shutil, "get_terminal_size", lambda: os.terminal_size((60, 24)))
    return now


def test_a_bar_grows_with_what_is_done(clock: list[float]) -> None:
    terminal = Terminal()
    bar = Bar(Console(terminal), "packages", 40_000_000)
    drawn = []
    for amount in (0, 10_000_000, 20_000_000, 10_000_000):
        clock[0] += 1
        bar.advance(amount)
        drawn.append(terminal.getvalue().rpartition(ERASE)[2])
    assert drawn == [
        f"packages [{'.' * 26}] 0.0 of 40.0 MB (0 %)",
        f"packages [{'#' * 6}{'.' * 18}] 10.0 of 40.0 MB (25 %)",
        f"packages [{'#' * 18}{'.' * 6}] 30.0 of 40.0 MB (75 %)",
        f"packages [{'#' * 23}] 40.0 of 40.0 MB (100 %)",
    ]
    assert all(len(line) < 60 for line in drawn)
    bar.finish()
    assert terminal.getvalue().endswith(ERASE)


def test_a_bar_is_not_drawn_more_often_than_can_be_seen(clock: list[float]) -> None:
    terminal = Terminal()
    bar = Bar(Console(terminal), "packages", 1_000_000)
    for _ in range(100):
        bar.advance(1000)
    assert terminal.getvalue().count(ERASE) == 1
    bar.advance(900_000)
    assert terminal.getvalue().endswith("(100 %)")


def test_a_line_goes_above_the_bar(clock: list[float]) -> None:
    terminal = Terminal()
    screen = Console(terminal)
    Bar(screen, "packages", 10).advance(5)
    screen.say("unpacking")
    assert terminal.getvalue().endswith(f"{ERASE}unpacking\n")


def test_without_a_terminal_each_tenth_is_a_line() -> None:
    log = io.StringIO()
    bar = Bar(Console(log), "packages", 1_000_000)
    for _ in range(4):
        bar.advance(60_000)
    assert log.getvalue() == "packages: 0.1 of 1.0 MB (12 %)\npackages: 0.2 of 1.0 MB (24 %)\n"
