"""Which resources a client asked for: conditions on labels, and a regular expression for the id.

Regular expressions come from the network and run inside PID 1, so they must not be able to take long. Python's own
engine backtracks: ``(a|a)*b`` on thirty letters keeps it busy for minutes. Here a pattern is parsed by the standard
library, made into a non-deterministic automaton (Thompson, 1968) and matched in time proportional to the length of the
id times the size of the pattern; what cannot be matched that way (back references, look-around) does not exist in the
RE2 syntax that clients use either.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

# The longest pattern and the largest automaton: more than a sensible pattern for an id needs.
LENGTH = 256
STATES = 400

Test = Callable[[int], bool]


class BadPattern(ValueError):
    """The pattern is not a regular expression that is supported; the message says why."""


class Pattern:
    """A compiled regular expression. ``search`` says whether some part of a text matches."""

    def __init__(self, pattern: str) -> None:
        parser: Any = re._parser  # type: ignore[attr-defined]  # the parsed form has no public name
        if len(pattern) > LENGTH:
            raise BadPattern(f"the pattern is longer than {LENGTH} characters")
        try:
            tree = parser.parse(pattern)
        except (re.error, OverflowError, RecursionError) as error:
            raise BadPattern(str(error)) from None
        self._flags = tree.state.flags
        # State number → what it does: (test, next), or (None, alternatives), or ("begin"/"end"/…, next).
        self._tests: list[tuple[Any, tuple[int, ...]]] = []
        try:
            self._start = self._sequence(tree, self._add("match", ()))
        except RecursionError:
            raise BadPattern("the pattern is nested too deeply") from None

    def search(self, text: str) -> bool:
        """Whether the pattern matches somewhere in the text."""
        current: set[int] = set()
        for position in range(len(text) + 1):
            current.add(self._start)
            reached = self._close(current, text, position)
            if reached is None:
                return True
            current = set()
            if position < len(text):
                code = ord(text[position])
                for state in reached:
                    test, following = self._tests[state]
                    if test(code):
                        current.update(following)
        return False

    def _close(self, states: set[int], text: str, position: int) -> list[int] | None:
        """Follow all steps that take no character; None when the match is reached."""
        reached, seen, waiting = [], set(states), list(states)
        while waiting:
            state = waiting.pop()
            what, following = self._tests[state]
            if what == "match":
                return None
            if callable(what):
                reached.append(state)
                continue
            if what is not None and not _holds(what, text, position):
                continue
            for each in following:
                if each not in seen:
                    seen.add(each)
                    waiting.append(each)
        return reached

    def _add(self, what: Any, following: tuple[int, ...]) -> int:
        if len(self._tests) >= STATES:
            raise BadPattern("the pattern is too large")
        self._tests.append((what, following))
        return len(self._tests) - 1

    def _sequence(self, items: Any, then: int) -> int:
        """States for items one after another, built from the end; returns the first one."""
        for operation, argument in reversed(list(items)):
            then = self._item(str(operation), argument, then)
        return then

    def _item(self, operation: str, argument: Any, then: int) -> int:
        if operation == "BRANCH":
            return self._add(None, tuple([self._sequence(branch, then) for branch in argument[1]]))
        if operation == "SUBPATTERN":
            _, added, removed, inner = argument
            if added or removed:
                raise BadPattern("flags inside a pattern are not supported")
            return self._sequence(inner, then)
        if operation in ("MAX_REPEAT", "MIN_REPEAT"):
            return self._repeat(argument, then)
        if operation == "AT":
            return self._add(str(argument), (then,))
        return self._add(self._test(operation, argument), (then,))

    def _repeat(self, argument: tuple[int, Any, Any], then: int) -> int:
        least, most, inner = argument
        if str(most) == "MAXREPEAT":
            loop = self._add(None, ())
            self._tests[loop] = (None, (self._sequence(inner, loop), then))
            then = loop
        else:
            end = then
            for _ in range(int(most) - least):
                then = self._add(None, (self._sequence(inner, then), end))
        for _ in range(least):
            then = self._sequence(inner, then)
        return then

    def _test(self, operation: str, argument: Any) -> Test:
        fold = bool(self._flags & re.IGNORECASE)
        if operation == "LITERAL":
            return _folding(lambda code: code == argument, fold)
        if operation == "NOT_LITERAL":
            return _none_of([_folding(lambda code: code == argument, fold)])
        if operation == "ANY":
            return (lambda code: True) if self._flags & re.DOTALL else (lambda code: code != 10)
        if operation == "IN":
            tests = [_member(str(sort), value) for sort, value in argument if str(sort) != "NEGATE"]
            found = _folding(_any_of(tests), fold)
            return _none_of([found]) if str(argument[0][0]) == "NEGATE" else found
        raise BadPattern("back references and look-around are not supported")


def _member(sort: str, value: Any) -> Test:
    if sort == "LITERAL":
        return lambda code: bool(code == value)
    if sort == "RANGE":
        return lambda code: bool(value[0] <= code <= value[1])
    category = str(value).removeprefix("CATEGORY_")
    tests: dict[str, Callable[[str], bool]] = {
        "DIGIT": str.isdecimal,
        "SPACE": str.isspace,
        "WORD": lambda character: character.isalnum() or character == "_",
    }
    test = tests[category.removeprefix("NOT_")]
    expected = not category.startswith("NOT_")
    return lambda code: test(chr(code)) is expected


def _any_of(tests: Sequence[Test]) -> Test:
    return lambda code: any([test(code) for test in tests])


def _none_of(tests: Sequence[Test]) -> Test:
    return lambda code: not any([test(code) for test in tests])


def _folding(test: Test, fold: bool) -> Test:
    if not fold:
        return test
    return lambda code: (
        test(code) or any([len(c) == 1 and test(ord(c)) for c in (chr(code).lower(), chr(code).upper())])
    )


def _holds(anchor: str, text: str, position: int) -> bool:
    match anchor:
        case "AT_BEGINNING" | "AT_BEGINNING_STRING":
            return position == 0
        case "AT_END":
            return position == len(text) or (position == len(text) - 1 and text[position] == "\n")
        case "AT_END_STRING":
            return position == len(text)
        case "AT_BOUNDARY" | "AT_NON_BOUNDARY":
            before = position > 0 and (text[position - 1].isalnum() or text[position - 1] == "_")
            after = position < len(text) and (text[position].isalnum() or text[position] == "_")
            return (before != after) is (anchor == "AT_BOUNDARY")
    raise BadPattern(f"{anchor} is not supported")


EXISTS, EQUAL, NOT_EXISTS, IN, LT, LTE, LT_NUMERIC, LTE_NUMERIC = range(8)  # cosi.resource.LabelTerm.Operation

_UNITS: dict[str, int] = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, "P": 10**15, "E": 10**18} | {
    f"{letter}i": 1024**power for power, letter in enumerate("KMGTPE", 1)
}
_QUANTITY = re.compile(r"([-+]?\d{1,30}(?:\.\d{1,30})?)([A-Za-z]{0,2})\Z")


def term_matches(labels: Mapping[str, str], key: str, operation: int, values: Sequence[str], invert: bool) -> bool:
    """Whether a condition holds of the labels."""
    return _holds_of(labels.get(key), operation, values) is not invert


def _holds_of(label: str | None, operation: int, values: Sequence[str]) -> bool:
    if operation == NOT_EXISTS:
        return label is None
    if label is None:
        return False
    if operation == EXISTS:
        return True
    if operation == IN:
        return label in values
    if not values:
        return False
    value = values[0]
    if operation == EQUAL:
        return label == value
    if operation in (LT, LTE):
        return label < value if operation == LT else label <= value
    one, other = _quantity(label), _quantity(value)
    if one is None or other is None:
        return False
    return one < other if operation == LT_NUMERIC else one <= other


def _quantity(text: str) -> float | None:
    found = _QUANTITY.match(text.strip())
    if found is None or found[2] not in _UNITS:
        return None
    return float(found[1]) * float(_UNITS[found[2]])
