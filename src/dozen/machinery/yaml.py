"""YAML as people write it for machines: positions kept, no surprises, nothing executed.

Two things are wrong with reading configuration through a stock YAML loader: YAML 1.1 turns ``no`` into false and
``12:30:45`` into a number, and a key written twice silently wins once. So only the parser (libyaml, through PyYAML's
binding) is taken from there. What it composes becomes our own `Node` tree: every node knows its line, every scalar
keeps the text that was written, and what a plain scalar means is decided by the YAML 1.2 core schema (`plain_value`)
or, better, by the type that the reader wants. Keys are strings and unique within a mapping; merge keys (``<<``) and
aliases work, within bounds, so that a small file cannot grow into a big one.

Writing (`dump`) is the reverse for plain data: block style, keys in the given order, quotes only where they are needed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

MAX_NODES = 200_000
MAX_DEPTH = 100

PLAIN = "plain"
QUOTED = "quoted"


class Flaw(NamedTuple):
    """One thing that is wrong in a text. ``line`` counts from 1."""

    line: int
    message: str


class YamlError(ValueError):
    """The text is not YAML, or not YAML that can be trusted; ``flaws`` lists all that was found."""

    def __init__(self, source: str, flaws: Sequence[Flaw]) -> None:
        self.source = source
        self.flaws = tuple(flaws)
        super().__init__("; ".join(f"{source}, line {flaw.line}: {flaw.message}" for flaw in flaws))


class Node:
    """A place in a document. ``line`` counts from 1."""

    __slots__ = ("line",)
    what = "a value"

    def __init__(self, line: int) -> None:
        self.line = line


class Scalar(Node):
    """``text`` as written (unquoted and unescaped); ``plain`` when it had neither quotes nor block style."""

    __slots__ = ("plain", "text")
    what = "a scalar"

    def __init__(self, line: int, text: str, plain: bool) -> None:
        self.line = line
        self.text = text
        self.plain = plain

    @property
    def null(self) -> bool:
        return self.plain and self.text in _NULLS


class MapNode(Node):
    """``items`` in the order of the text: key → value; ``keys`` holds the key's own node for its line."""

    __slots__ = ("items", "keys")
    what = "a mapping"

    def __init__(self, line: int, items: dict[str, Node], keys: dict[str, int]) -> None:
        self.line = line
        self.items = items
        self.keys = keys


class SeqNode(Node):
    __slots__ = ("items",)
    what = "a list"

    def __init__(self, line: int, items: list[Node]) -> None:
        self.line = line
        self.items = items


_NULLS = frozenset(("", "~", "null", "Null", "NULL"))
_BOOLS = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_FLOATS = {".inf": "inf", "+.inf": "inf", "-.inf": "-inf", ".nan": "nan", ".Inf": "inf", "-.Inf": "-inf", ".NaN": "nan"}


def load_documents(text: str, source: str = "text") -> list[Node]:
    """All documents of ``text`` that are not empty. Raises `YamlError` with every flaw that can be told apart."""
    roots = list(_compose(text, source))
    builder = _Builder()
    documents = [builder.build(root, 0) for root in roots]
    if builder.flaws:
        raise YamlError(source, builder.flaws)
    return [node for node in documents if not (isinstance(node, Scalar) and node.null)]


def load(text: str, source: str = "text") -> Any:
    """The plain data of a text with one document (None for an empty one)."""
    documents = load_documents(text, source)
    if len(documents) > 1:
        raise YamlError(source, [Flaw(documents[1].line, "expected one document, found another one")])
    return plain(documents[0]) if documents else None


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
    if text in _NULLS:
        return None
    if text in _BOOLS:
        return _BOOLS[text]
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


def _compose(text: str, source: str) -> Iterator[Any]:
    """PyYAML's composed nodes, with our own idea of tags: `PLAIN` or `QUOTED`, or the explicit tag."""
    import yaml

    parser = _parser_class()(text)
    try:
        while parser.check_node():
            yield parser.get_node()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        problem = " ".join(part for part in (error.problem, error.context) if part)
        raise YamlError(source, [Flaw(mark.line + 1 if mark else 1, problem or "cannot be read")]) from None
    except (yaml.YAMLError, UnicodeError, RecursionError) as error:
        first = str(error).splitlines()[0] if str(error) else "nested too deep"
        raise YamlError(source, [Flaw(1, first)]) from None
    finally:
        parser.dispose()


_PARSER: Any = None


def _parser_class() -> Any:
    """libyaml's parser where PyYAML has it, else PyYAML's own, both without PyYAML's ideas of what a scalar means."""
    global _PARSER
    if _PARSER is None:
        import yaml

        base: Any = getattr(yaml, "CBaseLoader", yaml.BaseLoader)
        namespace = {
            "resolve": lambda _, kind, __, implicit: PLAIN if kind is yaml.ScalarNode and implicit[0] else QUOTED,
            "descend_resolver": lambda *_: None,
            "ascend_resolver": lambda *_: None,
        }
        _PARSER = type("Parser", (base,), namespace)
    return _PARSER


class _Builder:
    """Turns composed nodes into ours, within bounds; collects flaws rather than stopping at the first."""

    def __init__(self) -> None:
        self.flaws: list[Flaw] = []
        self._left = MAX_NODES
        self._over = False

    def build(self, raw: Any, depth: int) -> Node:
        line = raw.start_mark.line + 1
        self._left -= 1
        if self._left < 0 or depth > MAX_DEPTH:
            if not self._over:
                limit = f"nested deeper than {MAX_DEPTH} levels" if self._left >= 0 else f"more than {MAX_NODES} values"
                self._flaw(line, f"{limit}, aliases counted where they are used")
            self._over, self._left = True, 0
            return Scalar(line, "", True)
        if raw.id == "mapping":
            return self._mapping(raw, line, depth)
        if raw.id == "sequence":
            return SeqNode(line, [self.build(item, depth + 1) for item in raw.value])
        return Scalar(line, raw.value, raw.tag == PLAIN)

    def _mapping(self, raw: Any, line: int, depth: int) -> MapNode:
        items: dict[str, Node] = {}
        keys: dict[str, int] = {}
        merged: list[Node] = []
        for raw_key, raw_value in raw.value:
            at = raw_key.start_mark.line + 1
            value = self.build(raw_value, depth + 1)
            if raw_key.id != "scalar":
                self._flaw(at, "a key must be a scalar")
            elif raw_key.value == "<<" and raw_key.tag == PLAIN:
                merged.append(value)
            elif raw_key.value in keys:
                self._flaw(at, f'key "{raw_key.value}" is there twice, first on line {keys[raw_key.value]}')
            else:
                items[raw_key.value], keys[raw_key.value] = value, at
        for value in merged:
            self._merge(value, items, keys)
        return MapNode(line, items, keys)

    def _merge(self, value: Node, items: dict[str, Node], keys: dict[str, int]) -> None:
        for source in value.items if isinstance(value, SeqNode) else [value]:
            if not isinstance(source, MapNode):
                self._flaw(source.line, "<< merges mappings only")
                continue
            for key, item in source.items.items():
                if key not in items:
                    items[key], keys[key] = item, source.keys[key]

    def _flaw(self, line: int, message: str) -> None:
        self.flaws.append(Flaw(line, message))


def dump(value: Any) -> str:
    """Plain data as YAML text in block style, ending with a newline."""
    lines: list[str] = []
    _write(value, "", "", lines)
    return "\n".join(lines) + "\n"


def dump_documents(values: Sequence[Any]) -> str:
    return "---\n".join(dump(value) for value in values)


def _write(value: Any, lead: str, indent: str, lines: list[str]) -> None:
    """Append ``value`` with its first line starting with ``lead`` and its others indented by ``indent``."""
    if isinstance(value, Mapping) and value:
        _write_mapping(value, lead, indent, lines)
    elif isinstance(value, (list, tuple)) and value:
        _write_list(value, lead, indent, lines)
    else:
        lines.append(lead + _scalar_text(value, indent or "  "))


def _write_mapping(value: Mapping[Any, Any], lead: str, indent: str, lines: list[str]) -> None:
    for key, item in value.items():
        start = f"{lead}{_scalar_text(key, '')}:"
        lead = indent
        if item and isinstance(item, (Mapping, list, tuple)):
            lines.append(start)
            _write(item, indent + "    ", indent + "    ", lines)
        else:
            lines.append(f"{start} {_scalar_text(item, indent + '    ')}")


def _write_list(value: Sequence[Any], lead: str, indent: str, lines: list[str]) -> None:
    for item in value:
        _write(item, lead + "- ", indent + "  ", lines)
        lead = indent


def _scalar_text(value: Any, indent: str) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(int(value))
    if isinstance(value, float):
        return {"inf": ".inf", "-inf": "-.inf", "nan": ".nan"}.get(repr(value), repr(value))
    if isinstance(value, Mapping):
        return "{}"
    if isinstance(value, (list, tuple)):
        return "[]"
    return _string_text(str(value), indent)


_SPECIAL_FIRST = frozenset("-?:,[]{}#&*!|>'\"%@`= \t")
_RESERVED = (
    _NULLS
    | _BOOLS.keys()
    | frozenset(
        word for base in ("y", "n", "yes", "no", "on", "off", "<<") for word in (base, base.title(), base.upper())
    )
)


def _string_text(text: str, indent: str) -> str:
    if "\n" in text and indent and _fits_literal(text):
        keep = "" if text.endswith("\n") and not text.endswith("\n\n") else "+" if text.endswith("\n") else "-"
        body = "\n".join(indent + line if line else "" for line in text.removesuffix("\n").split("\n"))
        return f"|{keep}\n{body}"
    if _fits_plain(text):
        return text
    return _quote(text)


def _fits_literal(text: str) -> bool:
    return text[0] not in " \n\t" and all(c == "\n" or c == "\t" or (c.isprintable()) for c in text)


def _fits_plain(text: str) -> bool:
    if not text or text in _RESERVED or text[0] in _SPECIAL_FIRST or text[-1] in " :":
        return False
    if ": " in text or " #" in text or not text.isprintable() or text.startswith(("...", "---")):
        return False
    return not (text[0] in "0123456789+-." and _numeric(text))


def _numeric(text: str) -> bool:
    """Whether any YAML reader, old or new, might take the text for a number, a date or a base-60 number."""
    return text.strip("0123456789+-._eExXoObBaAcCdDfF:TZ ") == "" or not isinstance(plain_value(text), str)


def _quote(text: str) -> str:
    escapes = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t", "\r": "\\r"}
    return '"' + "".join(escapes.get(c) or (c if c.isprintable() else _escape(c)) for c in text) + '"'


def _escape(char: str) -> str:
    code = ord(char)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
