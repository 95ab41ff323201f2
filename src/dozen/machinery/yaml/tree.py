"""What a YAML text is made of: nodes that know their line, and what can be wrong with a text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

NULLS = frozenset(("", "~", "null", "Null", "NULL"))
BOOLS = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_FLOATS = {".inf": "inf", "+.inf": "inf", "-.inf": "-inf", ".nan": "nan", ".Inf": "inf", "-.Inf": "-inf", ".NaN": "nan"}


class Flaw:
    """One thing that is wrong in a text. ``line`` counts from 1."""

    __slots__ = ("line", "message")

    def __init__(self, line: int, message: str) -> None:
        self.line = line
        self.message = message


class YamlError(ValueError):
    """The text is not YAML, or not YAML that can be trusted; ``flaws`` lists all that was found."""

    def __init__(self, source: str, flaws: Sequence[Flaw]) -> None:
        self.source = source
        self.flaws = tuple(flaws)
        super().__init__("; ".join(f"{source}, line {flaw.line}: {flaw.message}" for flaw in flaws))


class Node:
    """A place in a document. ``line`` counts from 1."""

    __slots__ = ("line",)

    def __init__(self, line: int) -> None:
        self.line = line


class Scalar(Node):
    """``text`` as written (unquoted and unescaped); ``plain`` when it had neither quotes, block style nor a tag."""

    __slots__ = ("plain", "text")

    def __init__(self, line: int, text: str, plain: bool) -> None:
        self.line = line
        self.text = text
        self.plain = plain

    @property
    def null(self) -> bool:
        return self.plain and self.text in NULLS


class MapNode(Node):
    """``items`` in the order of the text: key → value; ``keys``: key → its line."""

    __slots__ = ("items", "keys")

    def __init__(self, line: int, items: dict[str, Node], keys: dict[str, int]) -> None:
        self.line = line
        self.items = items
        self.keys = keys

    def text(self, key: str) -> str | None:
        """What is written behind a key, None when there is nothing or no scalar."""
        value = self.items.get(key)
        return value.text if isinstance(value, Scalar) else None


class SeqNode(Node):
    __slots__ = ("items",)

    def __init__(self, line: int, items: list[Node]) -> None:
        self.line = line
        self.items = items


def plain(node: Node) -> Any:
    """The tree as dicts, lists and YAML 1.2 scalars."""
    if isinstance(node, MapNode):
        return {key: plain(value) for key, value in node.items.items()}
    if isinstance(node, SeqNode):
        return [plain(value) for value in node.items]
    assert isinstance(node, Scalar)
    return plain_value(node.text) if node.plain else node.text


def plain_value(text: str) -> str | int | float | bool | None:
    """What an unquoted scalar means in the YAML 1.2 core schema."""
    if text in NULLS:
        return None
    if text in BOOLS:
        return BOOLS[text]
    if text in _FLOATS:
        return float(_FLOATS[text])
    if text[0] not in "0123456789+-.":
        return text
    number = read_integer(text)
    if number is not None:
        return number
    if not text.strip("0123456789+-.eE") and not {".", "e", "E"}.isdisjoint(text):
        try:
            return float(text)
        except ValueError:
            return text
    return text


def read_integer(text: str) -> int | None:
    """A YAML 1.2 integer (decimal, ``0o17``, ``0x1f``), or None."""
    digits = text[1:] if text[:1] in ("+", "-") else text
    if digits.isascii() and digits.isdigit():
        return int(text) if len(digits) < 40 else None
    base = {"0o": 8, "0x": 16}.get(text[:2])
    if base is None or "_" in text or len(text) > 40:
        return None
    try:
        return int(text[2:], base)
    except ValueError:
        return None
