"""Writing plain data as YAML: block style, keys in the given order, quotes only where some reader might need them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dozen.machinery.yaml.tree import BOOLS, NULLS, MapNode, Node, Scalar, SeqNode, plain_value


def dump(value: Any) -> str:
    """Plain data as YAML text in block style, ending with a newline."""
    lines: list[str] = []
    _write(value, "", "", lines)
    return "\n".join(lines) + "\n"


class Verbatim(str):
    """A scalar that is to be written as it is: it was read without quotes, and its type is for the reader to say."""

    __slots__ = ()


def dump_node(node: Node) -> str:
    """A tree as YAML text; what was plain stays plain, so that ``0o644`` and ``1.10`` are not turned into numbers."""
    return dump(_data(node))


def _data(node: Node) -> Any:
    if isinstance(node, MapNode):
        return {key: _data(value) for key, value in node.items.items()}
    if isinstance(node, SeqNode):
        return [_data(value) for value in node.items]
    assert isinstance(node, Scalar)
    if not node.plain:
        return node.text
    if node.text in NULLS:
        return None
    return Verbatim(node.text) if _stays_plain(node.text) else node.text


def _stays_plain(text: str) -> bool:
    odd = text[0] in _SPECIAL_FIRST - frozenset("-?:") or text.startswith(("---", "..."))
    return text.isprintable() and not odd and ": " not in text


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
    if isinstance(value, Verbatim):
        return str(value)
    if isinstance(value, Mapping):
        return "{}"
    if isinstance(value, (list, tuple)):
        return "[]"
    return _string_text(str(value), indent)


_SPECIAL_FIRST = frozenset("-?:,[]{}#&*!|>'\"%@`= \t")
_RESERVED = (
    NULLS
    | BOOLS.keys()
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
