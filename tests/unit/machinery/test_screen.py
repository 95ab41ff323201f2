"""The one screen about a node: it fits, it shows what matters, and nothing from outside steers the terminal."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dozen.machinery.screen import Figures, ProcessLine, ServiceLine, clean, draw, duration, fit, human, visible

FULL = Figures(
    hostname="node-1",
    version="v0.1.0",
    stage="running",
    ready=True,
    uptime=93784,
    machine_type="controlplane",
    addresses=("10.0.2.15/24",),
    gateway="10.0.2.2",
    resolvers=("10.0.2.3",),
    time_synced=True,
    processors=2,
    cpu=0.5,
    load=(0.1, 0.2, 0.3),
    memory_total=2 << 30,
    memory_available=1 << 30,
    received=1024.0,
    sent=0.0,
    disk_read=0.0,
    disk_written=5e6,
    process_count=7,
    services=(ServiceLine("apid", "Running", True), ServiceLine("containerd", "Failed", False)),
    processes=(ProcessLine(1, 0.01, 37 << 20, "/sbin/init"),),
    log=tuple(f"line {number}" for number in range(50)),
    note="q quits",
)


@pytest.mark.parametrize("figures", [FULL, Figures()])
@given(width=st.integers(1, 300), height=st.integers(1, 100))
def test_it_fits(figures: Figures, width: int, height: int) -> None:
    lines = draw(figures, width, height)
    assert len(lines) == height
    assert all(visible(line) <= max(width, 40) for line in lines)


def test_it_shows_what_matters() -> None:
    text = "\n".join(draw(FULL, 120, 40))
    for words in ("node-1", "v0.1.0", "controlplane", "1d 02:03:04", "running, ready", "10.0.2.15/24", "10.0.2.2"):
        assert words in text
    for words in ("apid", "Fail", "/sbin/init", "line 49", "1.0G of 2.0G", "50%", "4.8M/s", "in sync", "q quits"):
        assert words in text
    assert "line 0\n" not in text


def test_what_is_not_known_is_not_invented() -> None:
    text = "\n".join(draw(Figures(), 100, 30))
    assert "(no name yet)" in text
    assert "none yet" in text
    assert "unknown" in text


def test_waiting_is_shown() -> None:
    assert "time, network" in "\n".join(draw(Figures(unmet=("time", "network")), 120, 30))


@given(st.text(max_size=30))
def test_nothing_from_outside_steers_the_terminal(text: str) -> None:
    figures = Figures(
        hostname=text,
        version=text,
        addresses=(text,),
        unmet=(text,),
        services=(ServiceLine(text, "Running"),),
        processes=(ProcessLine(1, 0.0, 1, text),),
        log=(text,),
        note=text,
    )
    ours = {"\x1b"}
    for line in draw(figures, 100, 30):
        assert {char for char in line if not char.isprintable()} <= ours
        assert line.count("\x1b") == line.count("\x1b[")


def test_clean() -> None:
    assert clean("a\x1b[2Jb\tc\n") == "a [2Jb c "


def test_fit_counts_columns_not_attributes() -> None:
    assert fit("\x1b[1mabc\x1b[0m", 3) == "\x1b[1mabc\x1b[0m"
    assert fit("\x1b[1mabcd\x1b[0m", 3) == "\x1b[1mab\x1b[0m…"


@pytest.mark.parametrize(
    ("count", "text"), [(0, "0B"), (999, "999B"), (1000, "1.0K"), (1536, "1.5K"), (1 << 30, "1.0G"), (5e15, "4547T")]
)
def test_human(count: float, text: str) -> None:
    assert human(count) == text


def test_duration() -> None:
    assert (duration(59.9), duration(3661), duration(90061)) == ("00:00:59", "01:01:01", "1d 01:01:01")
