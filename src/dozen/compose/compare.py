"""Counts programs: ours against other systems (`dozenctl image compare`).

The reference figures were counted on default installs with ``ls -1 $(echo $PATH | tr ':' '\\n') | wc -l``. Ours come
from the manifest; those of a Debian minimal system from the benchmark, which builds one and leaves its count in the
cache.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import msgspec

from dozen.compose.cache import cache_dir

# Name, names on PATH, unique files where they were counted.
REFERENCES: tuple[tuple[str, int, int | None], ...] = (
    ("Ubuntu Server 22.04", 2780, None),
    ("Flatcar", 2391, None),
    ("Amazon Linux 2", 1382, None),
    ("Talos Linux 1.7", 29, 12),
)


@dataclass(frozen=True, slots=True)
class Row:
    """A system: how many names its PATH has, how many files these are (None: not counted), and where that is from."""

    system: str
    names: int
    binaries: int | None
    source: str


class Baseline(msgspec.Struct, frozen=True):
    """What the benchmark counted on a Debian minimal system; ``listed`` as the command above counts."""

    release: str
    packages: int
    names: int
    listed: int


def baseline_path() -> Path:
    return cache_dir() / "baseline.json"


def read_baseline() -> Baseline | None:
    """None when the benchmark has not run on this machine."""
    try:
        return msgspec.json.decode(baseline_path().read_bytes(), type=Baseline)
    except (FileNotFoundError, msgspec.DecodeError):
        return None


def compare_systems(names: int, binaries: int, source: str, baseline: Baseline | None) -> list[Row]:
    """All rows, the largest first. ``source`` says where our own figures were counted."""
    rows = [Row("Dozen Linux", names, binaries, source)]
    rows += [Row(system, count, unique, "published figure") for system, count, unique in REFERENCES]
    if baseline is not None:
        where = f"minimal, systemd and containerd, {baseline.packages} packages; counted here"
        rows.append(Row(f"Debian {baseline.release}", baseline.listed, None, where))
    return sorted(rows, key=lambda row: -row.names)
