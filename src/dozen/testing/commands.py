"""dozenctl as a person runs it: a process of its own, with a home of its own."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

SOURCES = Path(__file__).resolve().parents[2]


def run_dozenctl(
    config: Path, words: Sequence[str], home: Path, seconds: float = 60.0
) -> subprocess.CompletedProcess[str]:
    """Runs it to its end, from the checkout's folder. ``config``: the client configuration; ``words``: all else that
    is typed."""
    return subprocess.run(
        [sys.executable, "-c", "from dozen.cli.main import main; main()", "--talosconfig", str(config), *words],
        cwd=SOURCES.parent,
        env={"PYTHONPATH": str(SOURCES), "HOME": str(home), "PATH": "/usr/bin:/bin"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=seconds,
        check=False,
    )
