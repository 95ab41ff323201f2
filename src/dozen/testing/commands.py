"""dozenctl as a person runs it: a process of its own, with a home of its own."""

from __future__ import annotations

import fcntl
import os
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Sequence
from pathlib import Path

SOURCES = Path(__file__).resolve().parents[2]
ROWS, COLUMNS = 50, 120


def run_dozenctl(
    config: Path, words: Sequence[str], home: Path, seconds: float = 60.0
) -> subprocess.CompletedProcess[str]:
    """Runs it to its end, from the checkout's folder. ``config``: the client configuration; ``words``: all else that
    is typed."""
    return subprocess.run(
        _typed(config, words),
        cwd=SOURCES.parent,
        env=_environment(home),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=seconds,
        check=False,
    )


def run_at_terminal(
    config: Path, words: Sequence[str], home: Path, wanted: Sequence[str], keys: bytes, seconds: float = 60.0
) -> tuple[int, str]:
    """Runs it at a terminal of its own and presses ``keys`` once everything that is wanted has been shown.

    Gives the exit code and all that was shown. Raises AssertionError when something is still missing after ``seconds``.
    """
    ours, its = os.openpty()
    fcntl.ioctl(its, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
    with subprocess.Popen(
        _typed(config, words), cwd=SOURCES.parent, env=_environment(home), stdin=its, stdout=its, stderr=its
    ) as process:
        os.close(its)
        try:
            shown = _read_until(ours, wanted, seconds)
            os.write(ours, keys)
            return process.wait(10), shown
        finally:
            process.kill()
            os.close(ours)


def _read_until(terminal: int, wanted: Sequence[str], seconds: float) -> str:
    shown, end = b"", time.monotonic() + seconds
    while True:
        text = shown.decode(errors="replace")
        missing = [each for each in wanted if each not in text]
        if not missing:
            return text
        assert select.select([terminal], [], [], max(end - time.monotonic(), 0))[0], f"{missing} is not in {text!r}"
        shown += os.read(terminal, 65536)


def _typed(config: Path, words: Sequence[str]) -> list[str]:
    return [sys.executable, "-c", "from dozen.cli.main import main; main()", "--talosconfig", str(config), *words]


def _environment(home: Path) -> dict[str, str]:
    return {"PYTHONPATH": str(SOURCES), "HOME": str(home), "PATH": "/usr/bin:/bin", "TERM": "linux"}
