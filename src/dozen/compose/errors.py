"""What can go wrong while an image is composed: one small hierarchy, each error a sentence and a way out."""

from __future__ import annotations


class ComposeError(Exception):
    """Base of all. ``str()`` is what a user reads: what is wrong, which file is meant, what to do."""


class SourceError(ComposeError):
    """A mirror or an index cannot be had, or its signature is not to be trusted."""


class HashMismatch(ComposeError):
    """A download is not what the lock says. Never retried with another content: the build stops."""


class Gone(ComposeError):
    """The server says that a file does not exist (any more)."""


class LockError(ComposeError):
    """The lock is missing, unreadable, or does not fit the recipes."""


class RecipeError(ComposeError):
    """A recipe says something that is not so."""


class BudgetError(ComposeError):
    """The image would hold something that it must not hold. ``problems`` has one sentence for each."""

    def __init__(self, problems: list[str]) -> None:
        self.problems = problems
        count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
        super().__init__(f"the image breaks its budget ({count}):\n" + "\n".join(f"  - {line}" for line in problems))


class ToolError(ComposeError):
    """A program of the toolroot failed; ``said`` are its last words."""

    def __init__(self, message: str, said: str) -> None:
        self.said = said
        super().__init__(f"{message}: {said}")
