"""Renders specs as YAML, from their ``WIRE`` tables (`dozen.machinery.resources.spec`).

Writing a known shape is much simpler than YAML in general, so this is a page of code instead of a library that PID 1
would have to load. What it writes is plain block style; a string is quoted as soon as any reader, old or new, could
take it for something else.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Mapping
from typing import Any

import msgspec

from dozen.machinery.resources.spec import wire_rows

INDENT = "    "

# Safe without quotes whatever version of YAML the reader knows, provided it is not a word or a number below. Three dots
# at the start of a line end a document.
_PLAIN = re.compile(r"(?!\.\.\.)[A-Za-z0-9_./][A-Za-z0-9_./@%+=,()-]*(?:[: ][A-Za-z0-9_./@%+=,()-]+)*\Z")
_WORD = re.compile(r"(?:y|n|yes|no|on|off|true|false|null|nan|~|=|<<)\Z", re.IGNORECASE)
_NUMBER = re.compile(r"[-+.]?[0-9][0-9_.,:xobe+-]*\Z|[-+]?\.(?:inf|nan)\Z|[-+]?0[xob][0-9a-f_]+\Z", re.IGNORECASE)
_ESCAPES = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\t": "\\t", "\r": "\\r"}


def render(spec: msgspec.Struct) -> str:
    """The YAML of a spec, ending with a newline; ``{}`` if there is nothing to say."""
    rows = wire_rows(type(spec))
    if len(rows) == 1 and rows[0].name == "@":
        value = getattr(spec, rows[0].attribute)
        if rows[0].type == "json":
            return "\n".join(_mapping(value, "") or ["{}"]) + "\n"
        return _scalar(value, rows[0].type, "") + "\n"
    return "\n".join(_fields(spec, "") or ["{}"]) + "\n"


def _fields(spec: msgspec.Struct, indent: str) -> list[str]:
    lines: list[str] = []
    for row in wire_rows(type(spec)):
        value = getattr(spec, row.attribute)
        if row.omit and not value and not isinstance(value, msgspec.Struct):
            continue
        if row.inline:
            lines += _fields(value, indent)
        else:
            lines += _field(f"{indent}{row.name}:", value, row.type, indent)
    return lines


def _field(key: str, value: Any, type_: str, indent: str) -> list[str]:
    deeper = indent + INDENT
    if isinstance(value, msgspec.Struct):
        inner = _fields(value, deeper)
        return [key, *inner] if inner else [f"{key} {{}}"]
    if type_.startswith("["):
        items = [line for each in value for line in _item(each, type_[1:-1], deeper)]
        return [key, *items] if items else [f"{key} []"]
    if type_.startswith("{") or type_ == "json":
        inner = _mapping(value, deeper)
        return [key, *inner] if inner else [f"{key} {{}}"]
    return [f"{key} {_scalar(value, type_, indent)}"]


def _mapping(value: Mapping[str, Any], indent: str) -> list[str]:
    """Plain data of any shape, names sorted."""
    return [line for name in sorted(value) for line in _plain(f"{indent}{text(name)}:", value[name], indent)]


def _plain(key: str, value: Any, indent: str) -> list[str]:
    deeper = indent + INDENT
    if isinstance(value, Mapping | msgspec.Struct):
        inner = _mapping(value, deeper) if isinstance(value, Mapping) else _fields(value, deeper)
        return [key, *inner] if inner else [f"{key} {{}}"]
    if isinstance(value, list | tuple):
        items = [line for each in value for line in _plain(f"{deeper}-", each, deeper)]
        return [key, *items] if items else [f"{key} []"]
    return [f"{key} {_scalar(value, '', indent)}"]


def _item(value: Any, type_: str, indent: str) -> list[str]:
    if not isinstance(value, msgspec.Struct):
        return [f"{indent}- {_scalar(value, type_, indent)}"]
    inner = _fields(value, indent + "  ") or [f"{indent}  {{}}"]
    return [f"{indent}- {inner[0].lstrip()}", *inner[1:]]


def _scalar(value: Any, type_: str, indent: str) -> str:
    if value is None:
        return "null"
    if type_ == "duration":
        return duration(value)
    if type_ == "timestamp":
        return f'"{timestamp(value)}"'  # some readers would make something else of it
    if type_ == "text" and "\n" in value:
        return _block(value, indent)
    if isinstance(value, str):
        return text(value, indent)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, bytes):
        return text(b64encode(value).decode())  # quoted where it looks like a number, as 55e0 does to some readers
    if isinstance(value, float):
        if value.is_integer() and abs(value) < 1e15:
            return str(int(value))
        return repr(value).replace("inf", ".inf").replace("nan", ".nan")
    return str(value)


def text(value: str, indent: str = "") -> str:
    """A string on one line, quoted if it has to be."""
    if _PLAIN.match(value) and not _WORD.match(value) and not _NUMBER.match(value):
        return value
    return '"' + "".join([_ESCAPES.get(c) or (c if c.isprintable() else _escape(c)) for c in value]) + '"'


def _escape(character: str) -> str:
    number = ord(character)
    if number < 0x100:
        return f"\\x{number:02x}"
    return f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"


def _block(value: str, indent: str) -> str:
    """A string of several lines as a literal block, which leaves every line readable."""
    lines = value.split("\n")
    body = value.rstrip("\n")
    if not body or not all(line.isprintable() or line.replace("\t", "").isprintable() for line in lines):
        return text(value)
    kept = "-" if body == value else "" if value == body + "\n" else "+"
    # Told explicitly, because a reader would otherwise take the blanks of the first line for indentation.
    width = str(len(INDENT)) if body[0] in " \t\n" else ""
    inner = [f"{indent}{INDENT}{line}" if line else "" for line in lines]
    if not inner[-1]:
        inner.pop()
    return "\n".join([f"|{width}{kept}", *inner])


def timestamp(nanoseconds: int) -> str:
    """RFC 3339 in UTC; of the fraction, as much as there is."""
    import time

    seconds, rest = divmod(nanoseconds, 1_000_000_000)
    fraction = f".{rest:09d}".rstrip("0").rstrip(".")
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(seconds))}{fraction}Z"


def duration(nanoseconds: int) -> str:
    """A duration as clients know it: ``1h0m0s``, ``1.5s``, ``20ms``, ``0s``."""
    sign, rest = ("-", -nanoseconds) if nanoseconds < 0 else ("", nanoseconds)
    for unit, size in (("ns", 1), ("µs", 1_000), ("ms", 1_000_000)):
        if 0 < rest < size * 1_000:
            return f"{sign}{_decimal(rest, size)}{unit}"
    seconds, fraction = divmod(rest, 1_000_000_000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    out = f"{hours}h{minutes}m" if hours else f"{minutes}m" if minutes else ""
    return f"{sign}{out}{_decimal(seconds * 1_000_000_000 + fraction, 1_000_000_000)}s"


def _decimal(number: int, size: int) -> str:
    whole, fraction = divmod(number, size)
    if not fraction:
        return str(whole)
    return f"{whole}.{str(fraction).rjust(len(str(size)) - 1, '0').rstrip('0')}"
