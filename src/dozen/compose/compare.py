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
from dozen.compose.manifest import Manifest

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


def compare_systems(manifest: Manifest, baseline: Baseline | None) -> list[Row]:
    """All rows, the largest first, ours last."""
    rows = [Row(name, names, unique, "reference") for name, names, unique in REFERENCES]
    if baseline is not None:
        where = f"counted here, {baseline.packages} packages"
        rows.append(Row(f"Debian {baseline.release} minimal", baseline.listed, None, where))
    rows.sort(key=lambda row: -row.names)
    where = "counted in the image's manifest"
    return [*rows, Row(f"Dozen Linux {manifest.version}", manifest.names, manifest.binaries, where)]
