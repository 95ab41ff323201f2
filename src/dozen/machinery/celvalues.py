"""Values of expressions (`dozen.machinery.cel`) and what can be done with them."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple, TypeVar

Function = tuple[Callable[..., Any], int]
"""What runs, and how many arguments it takes (the receiver of a method is one)."""

NumberT = TypeVar("NumberT", int, float)

LARGEST = 1 << 64  # beyond it the language's numbers overflow
LONGEST = 1 << 16  # characters of a text
ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "a": "\a", "b": "\b", "f": "\f", "v": "\v", "0": "\0"}
CODES = {"x": 2, "u": 4, "U": 8}


class CelError(ValueError):
    """The expression cannot be read, or says nothing for these values."""


class Duration(NamedTuple):
    """A span of time."""

    seconds: float


class Maybe(NamedTuple):
    """A value that may be missing; None is."""

    value: Any = None


def show(value: Any) -> str:
    """A value in a complaint."""
    return f"{KINDS.get(type(value), 'something else')} {str(value)[:40]}".rstrip()


KINDS: dict[type, str] = {
    bool: "the truth value",
    int: "the number",
    float: "the number",
    str: "the text",
    list: "a list",
    tuple: "a list",
    dict: "a map",
    Duration: "a duration",
    Maybe: "an optional value",
    type(None): "null",
}


# -- Literals.


def read_number(text: str) -> int | float:
    digits = text.rstrip("uU")
    if digits[:2] in ("0x", "0X"):
        return _bounded(int(digits, 16))
    if digits.isdigit():
        if len(digits) > 20:
            raise CelError(f"the number {digits[:20]}… is too large")
        return _bounded(int(digits))
    if digits != text:
        raise CelError(f"{text}: only whole numbers are unsigned")
    return float(digits)


def read_text(text: str) -> str:
    if text[0] in "rR":
        return text[2:-1]
    inner, found, at = text[1:-1], [], 0
    while at < len(inner):
        char = inner[at]
        at += 1
        if char != "\\":
            found.append(char)
            continue
        kind = inner[at]
        at += 1
        if kind in CODES:
            code = inner[at : at + CODES[kind]]
            at += len(code)
            found.append(_character(code, CODES[kind]))
        else:
            found.append(ESCAPES.get(kind, kind))
    return "".join(found)


def _character(code: str, size: int) -> str:
    try:
        number = int(code, 16) if len(code) == size and code.isalnum() else -1
        if not 0 <= number < 0xD800 and not 0xDFFF < number <= 0x10FFFF:
            raise ValueError
    except ValueError:
        raise CelError(f'"{code}" is not the number of a character') from None
    return chr(number)


def _bounded(value: NumberT) -> NumberT:
    if isinstance(value, int) and not -LARGEST < value < LARGEST:
        raise CelError("a number is too large")
    return value


# -- Operators.


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def is_many(value: Any) -> bool:
    """Whether it is a list or a map; durations and optional values are tuples of ours."""
    return type(value) in (list, tuple, dict)


def as_bool(value: Any) -> bool:
    if not isinstance(value, bool):
        raise CelError(f"expected true or false, found {show(value)}")
    return value


def invert(value: Any) -> bool:
    return not as_bool(value)


def negate(value: Any) -> Any:
    if not _is_number(value):
        raise CelError(f"expected a number, found {show(value)}")
    return -value


def equal(left: Any, right: Any) -> bool:
    """Values of different kinds are not equal; numbers are of one kind."""
    if isinstance(left, bool) is not isinstance(right, bool):
        return False
    if isinstance(left, (list, tuple)) and isinstance(right, (list, tuple)) and type(left) is type(right):
        return len(left) == len(right) and all(map(equal, left, right))
    return bool(left == right)


def contains(left: Any, right: Any) -> bool:
    """``left in right``."""
    if not is_many(right):
        raise CelError(f"expected a list, found {show(right)}")
    return any(equal(left, each) for each in right)


def _ordered(compare: Callable[[Any, Any], bool]) -> Callable[[Any, Any], bool]:
    def run(left: Any, right: Any) -> bool:
        if not (_is_number(left) and _is_number(right)) and (
            type(left) is not type(right) or not isinstance(left, (str, bool, Duration))
        ):
            raise CelError(f"{show(left)} cannot be compared with {show(right)}")
        return compare(left, right)

    return run


RELATIONS: dict[str, Callable[[Any, Any], bool]] = {
    "==": equal,
    "!=": lambda left, right: not equal(left, right),
    "<": _ordered(operator.lt),
    "<=": _ordered(operator.le),
    ">": _ordered(operator.gt),
    ">=": _ordered(operator.ge),
    "in": contains,
}


def _computed(compute: Callable[[Any, Any], Any], joins: tuple[type, ...] = (), *, spans: bool = False) -> Any:
    """An operation on numbers; with ``joins`` on these kinds as well, with ``spans`` on durations."""

    def run(left: Any, right: Any) -> Any:
        if spans and isinstance(left, Duration) and isinstance(right, Duration):
            return Duration(compute(left.seconds, right.seconds))
        if type(left) is type(right) and type(left) in joins:
            if len(left) + len(right) > LONGEST:
                raise CelError("a text or a list becomes too long")
            return compute(left, right)
        if not _is_number(left) or not _is_number(right):
            raise CelError(f"{show(left)} and {show(right)} do not go together")
        try:
            return _bounded(compute(left, right))
        except ArithmeticError as error:
            raise CelError(f"{show(left)} and {show(right)}: {error}") from None

    return run


def _divide(left: Any, right: Any) -> Any:
    """Whole numbers are divided towards zero."""
    if isinstance(left, float) or isinstance(right, float):
        return left / right
    quotient = abs(left) // abs(right)
    return quotient if (left < 0) == (right < 0) else -quotient


def _remainder(left: Any, right: Any) -> Any:
    return left - right * _divide(left, right) if isinstance(left, int) and isinstance(right, int) else left % right


ARITHMETIC: dict[str, Callable[[Any, Any], Any]] = {
    "+": _computed(operator.add, (str, list), spans=True),
    "-": _computed(operator.sub, spans=True),
    "*": _computed(operator.mul),
    "/": _computed(_divide),
    "%": _computed(_remainder),
}


def select(value: Any, name: str) -> Any:
    """A field."""
    if not isinstance(value, dict):
        raise CelError(f"there is no field {name} in {show(value)}")
    if name not in value:
        raise CelError(f"there is no field {name}; there are: {', '.join(map(str, value))}")
    return value[name]


def index(value: Any, key: Any) -> Any:
    """``value[key]``."""
    if isinstance(value, dict):
        for each in value:
            if equal(each, key):
                return value[each]
    elif is_many(value) and isinstance(key, int) and not isinstance(key, bool) and 0 <= key < len(value):
        return value[key]
    raise CelError(f"{show(value)} has nothing at {show(key)}")


def make_map(pairs: Iterable[tuple[Any, Any]]) -> dict[Any, Any]:
    found: dict[Any, Any] = {}
    for key, value in pairs:
        if not isinstance(key, (str, int, bool)):
            raise CelError(f"{show(key)} cannot be a key")
        found[key] = value
    return found


# -- Functions.


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise CelError(f"expected a text, found {show(value)}")
    return value


def _number(value: Any) -> Any:
    if isinstance(value, str) and len(value) < 40:
        try:
            return float(value)
        except ValueError:
            pass
    if not _is_number(value):
        raise CelError(f"expected a number, found {show(value)}")
    return value


def _whole(value: Any) -> int:
    if isinstance(value, str) and value.removeprefix("-").isdecimal() and len(value) < 40:
        return int(_bounded(int(value)))
    try:
        return int(_bounded(int(_number(value))))
    except (ValueError, OverflowError):
        raise CelError(f"{show(value)} is not a whole number") from None


def _unsigned(value: Any) -> int:
    if (found := _whole(value)) < 0:
        raise CelError(f"{show(value)} is negative")
    return found


def _double(value: Any) -> float:
    return float(_number(value))


def _string(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if not isinstance(value, (str, int, float)):
        raise CelError(f"expected a value, found {show(value)}")
    return str(value)


def _size(value: Any) -> int:
    if not isinstance(value, str) and not is_many(value):
        raise CelError(f"expected a text or a list, found {show(value)}")
    return len(value)


def _duration(value: Any) -> Duration:
    from dozen.machinery.config.scalars import parse_duration

    try:
        return Duration(float(parse_duration(_text(value))))
    except ValueError as error:
        raise CelError(str(error)) from None


def glob(pattern: Any, text: Any) -> bool:
    """``*`` stands for any characters, ``?`` for one. Takes no longer than both lengths together multiplied."""
    wanted, said = _text(pattern), _text(text)
    at = place = 0
    star, mark = -1, 0
    while place < len(said):
        if at < len(wanted) and wanted[at] == "*":
            star, mark, at = at, place, at + 1
        elif at < len(wanted) and wanted[at] in ("?", said[place]):
            at, place = at + 1, place + 1
        elif star >= 0:
            mark += 1
            at, place = star + 1, mark
        else:
            return False
    return not wanted[at:].strip("*")


def _maybe(value: Any) -> Maybe:
    if not isinstance(value, Maybe):
        raise CelError(f"expected an optional value, found {show(value)}")
    return value


def _value(optional: Any) -> Any:
    if _maybe(optional).value is None:
        raise CelError("an optional value is missing")
    return optional.value


FUNCTIONS: dict[str, Function] = {
    "size": (_size, 1),
    "int": (_whole, 1),
    "uint": (_unsigned, 1),
    "double": (_double, 1),
    "string": (_string, 1),
    "duration": (_duration, 1),
    "glob": (glob, 2),
    "mac": (lambda value: _text(value).lower(), 1),  # hardware addresses are texts here already
}
METHODS: dict[str, Function] = {
    "size": (_size, 1),
    "startsWith": (lambda text, part: _text(text).startswith(_text(part)), 2),
    "endsWith": (lambda text, part: _text(text).endswith(_text(part)), 2),
    "contains": (lambda text, part: _text(part) in _text(text), 2),
    "lowerAscii": (lambda text: _text(text).lower(), 1),
    "upperAscii": (lambda text: _text(text).upper(), 1),
    "trim": (lambda text: _text(text).strip(), 1),
    "hasValue": (lambda optional: _maybe(optional).value is not None, 1),
    "orValue": (lambda optional, other: other if _maybe(optional).value is None else optional.value, 2),
    "value": (_value, 1),
}
