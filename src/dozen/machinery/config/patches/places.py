"""Where in a configuration a patch is at work: the path that a person reads, and the one that rules are found by."""

from __future__ import annotations

from typing import NamedTuple


class Place(NamedTuple):
    """``kind`` of the document (empty: v1alpha1); ``path`` with indexes, as complaints show it."""

    kind: str
    path: str
    steps: tuple[str, ...] = ()

    def key(self, name: str) -> Place:
        return Place(self.kind, f"{self.path}.{name}" if self.path else name, (*self.steps, name))

    def member(self, at: int) -> Place:
        return Place(self.kind, f"{self.path}[{at}]", self.steps)

    @property
    def pattern(self) -> str:
        """Kind and path without indexes."""
        return f"{self.kind}:{'.'.join(self.steps)}"

    @property
    def is_argument(self) -> bool:
        """Whether this is a flag of a program: its values replace the ones that were there."""
        return len(self.steps) > 1 and self.steps[-2] == "extraArgs"
