"""What a person sees while an image is composed: lines, and on a terminal one moving bar.

The only module of this room that writes to a terminal. All of it goes to standard error; standard output belongs to
results.
"""

from __future__ import annotations

import shutil
import sys
import threading
import time
from typing import TextIO

MEGA = 1_000_000


class Console:
    """Prints lines; `Bar` draws under them. Safe to call from the download threads."""

    def __init__(self, stream: TextIO | None = None, *, quiet: bool = False) -> None:
        self.stream = stream or sys.stderr
        self.quiet = quiet
        self.lock = threading.RLock()
        self.interactive = self.stream.isatty() and not quiet

    def say(self, line: str) -> None:
        """One line of progress; nothing when quiet."""
        if not self.quiet:
            self.warn(line)

    def warn(self, line: str) -> None:
        """One line that is shown even when quiet."""
        with self.lock:
            lead = "\r\x1b[K" if self.interactive else ""
            self.stream.write(f"{lead}{line}\n")
            self.stream.flush()


class Bar:
    """How far a set of downloads is: a bar on a terminal, elsewhere a plain line for each tenth."""

    def __init__(self, console: Console, title: str, total: int) -> None:
        self.console, self.title, self.total = console, title, max(total, 1)
        self.done = 0
        self.tenth = 0
        self.drawn = 0.0

    def advance(self, amount: int) -> None:
        with self.console.lock:
            self.done += amount
            if self.console.interactive:
                self._draw()
            elif self.done * 10 // self.total > self.tenth:
                self.tenth = self.done * 10 // self.total
                self.console.say(f"{self.title}: {self._figures()}")

    def finish(self) -> None:
        if self.console.interactive:
            with self.console.lock:
                self.console.stream.write("\r\x1b[K")
                self.console.stream.flush()

    def _figures(self) -> str:
        return f"{self.done / MEGA:.1f} of {self.total / MEGA:.1f} MB ({min(100, self.done * 100 // self.total)} %)"

    def _draw(self) -> None:
        now = time.monotonic()
        if now - self.drawn < 0.1 and self.done < self.total:
            return
        self.drawn = now
        figures = self._figures()
        width = max(10, min(40, shutil.get_terminal_size().columns - len(self.title) - len(figures) - 6))
        full = min(width, self.done * width // self.total)
        self.console.stream.write(f"\r\x1b[K{self.title} [{'#' * full}{'.' * (width - full)}] {figures}")
        self.console.stream.flush()
