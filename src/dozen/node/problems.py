"""Who tells operators what is wrong."""

from __future__ import annotations

from typing import Protocol


class Problems(Protocol):
    """The machine: a problem is on the console and a Diagnostic resource until it is over."""

    def report_problem(self, id: str, text: str) -> None: ...
    def clear_problem(self, id: str) -> None: ...
