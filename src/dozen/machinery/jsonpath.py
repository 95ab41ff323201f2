"""JSONPath as tables and ``-o jsonpath`` use it: a template with expressions in braces over plain data.

Supported: ``{.a.b}``, ``{["a"]}``, ``{.list[0]}`` (negative too), ``{.list[1:3]}``, ``{.list[*]}``, ``{.map.*}``,
``{..name}``, a filter ``{.list[?(@.type=="Ready")].status}`` (==, !=, or only that the field is there), ``{@}`` and
text between braces. What a path does not find is nothing, never an error; only a template that cannot be read is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

Step = Callable[[Any], Iterator[Any]]


class JsonPathError(ValueError):
    """The template cannot be read."""


class Template:
    """A parsed template."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._parts: list[str | list[Step]] = []
        rest = text
        while rest:
            before, brace, rest = rest.partition("{")
            if before:
                self._parts.append(before)
            if brace:
                inside, closing, rest = _until_brace(rest)
                if not closing:
                    raise JsonPathError(f"{text}: a brace is not closed")
                self._parts.append(_parse(inside.strip(), text))

    def render(self, data: Any) -> str:
        """The template's text for ``data``; several values of one expression are separated by spaces."""
        shown = []
        for part in self._parts:
            shown.append(part if isinstance(part, str) else " ".join(map(show, _follow(part, data))))
        return "".join(shown)

    def values(self, data: Any) -> list[Any]:
        """All that the expressions find."""
        return [value for part in self._parts if not isinstance(part, str) for value in _follow(part, data)]


def show(value: Any) -> str:
    """A value as a cell of a table: JSON for what has parts."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (dict, list)):
        import json

        return json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    return str(value)


def _until_brace(text: str) -> tuple[str, str, str]:
    """Split at the closing brace, which may not be inside quotes."""
    quote = ""
    for at, char in enumerate(text):
        if quote:
            quote = "" if char == quote else quote
        elif char in "\"'":
            quote = char
        elif char == "}":
            return text[:at], char, text[at + 1 :]
    return text, "", ""


def _follow(steps: list[Step], data: Any) -> list[Any]:
    values = [data]
    for step in steps:
        values = [found for value in values for found in step(value)]
    return values


def _parse(text: str, template: str) -> list[Step]:
    if len(text) > 1 and text[0] in "\"'" and text[-1] == text[0]:
        literal = text[1:-1].replace("\\n", "\n").replace("\\t", "\t")
        return [lambda _: iter((literal,))]
    steps: list[Step] = []
    rest = text.removeprefix("$").removeprefix("@")
    if rest and rest[0] not in ".[":
        rest = "." + rest
    while rest:
        if rest.startswith(".."):
            name, rest = _name(rest[2:])
            steps.append(_descend(name))
        elif rest.startswith("."):
            name, rest = _name(rest[1:])
            if name:
                steps.append(_wildcard if name == "*" else _field(name))
            elif rest[:1] not in ("", "["):
                raise JsonPathError(f"{template}: a name is missing")
        elif rest.startswith("["):
            inside, closing, rest = rest[1:].partition("]")
            if not closing:
                raise JsonPathError(f"{template}: a bracket is not closed")
            steps.append(_bracket(inside.strip(), template))
        else:
            raise JsonPathError(f'{template}: cannot read "{rest}"')
    return steps


def _name(text: str) -> tuple[str, str]:
    """A field's name and what follows; a backslash takes the next character into the name."""
    name, at = "", 0
    while at < len(text) and text[at] not in ".[":
        if text[at] == "\\" and at + 1 < len(text):
            at += 1
        name += text[at]
        at += 1
    return name, text[at:]


def _bracket(text: str, template: str) -> Step:
    if text == "*":
        return _wildcard
    if text.startswith("?(") and text.endswith(")"):
        return _filter(text[2:-1].strip(), template)
    if len(text) > 1 and text[0] in "\"'" and text[-1] == text[0]:
        return _field(text[1:-1])
    try:
        if ":" in text:
            first, _, last = text.partition(":")
            return _slice(slice(int(first) if first else None, int(last) if last else None))
        return _index(int(text))
    except ValueError:
        raise JsonPathError(f"{template}: cannot read [{text}]") from None


def _field(name: str) -> Step:
    def step(value: Any) -> Iterator[Any]:
        if isinstance(value, dict) and name in value:
            yield value[name]

    return step


def _index(number: int) -> Step:
    def step(value: Any) -> Iterator[Any]:
        if isinstance(value, list) and -len(value) <= number < len(value):
            yield value[number]

    return step


def _slice(part: slice) -> Step:
    def step(value: Any) -> Iterator[Any]:
        if isinstance(value, list):
            yield from value[part]

    return step


def _wildcard(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        yield from value.values()
    elif isinstance(value, list):
        yield from value


def _descend(name: str) -> Step:
    def step(value: Any) -> Iterator[Any]:
        if isinstance(value, dict) and name in value:
            yield value[name]
        for inner in _wildcard(value):
            yield from step(inner)

    return step


def _filter(text: str, template: str) -> Step:
    for sign in ("==", "!="):
        left, found, right = text.partition(sign)
        if found:
            break
    else:
        left, sign, right = text, "", ""
    path = _parse(left.strip(), template)
    wanted = right.strip()
    if wanted[:1] in ("'", '"'):
        wanted = wanted[1:-1]

    def matches(item: Any) -> bool:
        values = _follow(path, item)
        if not sign:
            return bool(values)
        return bool(values) and (show(values[0]) == wanted) == (sign == "==")

    return lambda value: (item for item in _wildcard(value) if matches(item))
