"""What is wrong with a configuration, said so that the reader can fix it: where, on which line, what was expected."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec


class Problem(msgspec.Struct, frozen=True):
    """``path`` is the field (``machine.network.interfaces[0].mtu``), ``line`` counts from 1, 0 when there is none."""

    path: str
    line: int
    message: str

    def __str__(self) -> str:
        place = f"line {self.line}" if self.line else ""
        where = f"{self.path} ({place})" if self.path and place else self.path or place
        return f"{where}: {self.message}" if where else self.message


class ConfigError(ValueError):
    """A configuration that is refused; ``problems`` lists all that is wrong with it, in the order of the text."""

    def __init__(self, source: str, problems: Sequence[Problem]) -> None:
        self.source = source
        self.problems = tuple(sorted(problems, key=lambda problem: problem.line))
        super().__init__("\n".join(f"{source}: {problem}" for problem in self.problems))


def suggest(word: str, known: Sequence[str]) -> str:
    """``; did you mean "…"?`` when one of the known words is near, else nothing."""
    import difflib

    lowered = {name.lower(): name for name in known}
    near = difflib.get_close_matches(word.lower(), lowered, n=1, cutoff=0.7)
    return f'; did you mean "{lowered[near[0]]}"?' if near else ""
