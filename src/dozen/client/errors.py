"""How a client's work fails: one sentence and, where there is one, a next step."""

from __future__ import annotations


class ClientError(Exception):
    """``message`` says what is wrong in one sentence, ``step`` what a person may do next (or nothing)."""

    def __init__(self, message: str, step: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.step = step


class NodeError(ClientError):
    """A node took part in a call and reported that it could not do its part."""

    def __init__(self, node: str, message: str) -> None:
        super().__init__(f"{node}: {message}" if node else message)
        self.node = node
