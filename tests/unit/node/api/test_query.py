"""Patterns for ids against Python's own engine, and conditions on labels."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dozen.node.api import query
from dozen.node.api.query import BadPattern, Pattern, term_matches

pieces = st.sampled_from(
    ["a", "b", "ab", ".", "[ab]", "[^a]", "[a-c]", r"\d", r"\w", r"\.", "^", "$", "1", r"\b", "(?:b|1)"]
)


@st.composite
def patterns(draw: st.DrawFn, depth: int = 2) -> str:
    out = ""
    for _ in range(draw(st.integers(0, 3))):
        piece = draw(pieces) if depth == 0 or draw(st.booleans()) else f"({draw(patterns(depth=depth - 1))})"
        if piece not in ("^", "$", r"\b"):
            piece += draw(st.sampled_from(["", "", "", "*", "+", "?", "{1,2}", "{2}", "*?"]))
        out += piece
    return f"{out}|{draw(patterns(depth=depth - 1))}" if depth and draw(st.booleans()) else out


@settings(max_examples=500, deadline=None)
@given(patterns(), st.text("ab1._\n", max_size=8))
def test_agrees_with_the_standard_library(pattern: str, text: str) -> None:
    try:
        mine = Pattern(pattern)
    except BadPattern as error:
        assert "too large" in str(error)  # noqa: PT017 - only patterns of one sort may be refused
        return
    assert mine.search(text) is (re.search(pattern, text) is not None)


@pytest.mark.parametrize("pattern", ["(a|a)*b", "(a*)*b", "(a+a+)+$c", "(.*a){12}x"])
def test_cannot_be_made_slow(pattern: str) -> None:
    started = time.process_time()
    assert not Pattern(pattern).search("a" * 60)
    assert time.process_time() - started < 2.0


@pytest.mark.parametrize("pattern", ["(", "a{9999}", "(a{99}){99}", r"(a)\1", "(?=a)", "(?i:a)b", "x" * 300, "[z-a]"])
def test_refuses_what_it_cannot_do(pattern: str) -> None:
    with pytest.raises(BadPattern):
        Pattern(pattern)


@pytest.mark.parametrize(
    ("pattern", "text", "found"), [("(?i)ETH", "eth0", True), ("(?i)[E]th", "eTh0", True), ("ETH", "eth0", False)]
)
def test_flags_for_the_whole_pattern(pattern: str, text: str, found: bool) -> None:
    assert Pattern(pattern).search(text) is found


LABELS = {"role": "db", "size": "10Gi", "rack": "7"}


@pytest.mark.parametrize(
    ("key", "operation", "values", "expected"),
    [
        ("role", query.EXISTS, [], True),
        ("none", query.EXISTS, [], False),
        ("none", query.NOT_EXISTS, [], True),
        ("role", query.EQUAL, ["db"], True),
        ("role", query.EQUAL, ["web"], False),
        ("role", query.EQUAL, [], False),
        ("none", query.EQUAL, [""], False),
        ("role", query.IN, ["web", "db"], True),
        ("rack", query.LT, ["8"], True),
        ("rack", query.LT, ["7"], False),
        ("rack", query.LTE, ["7"], True),
        ("size", query.LT_NUMERIC, ["11Gi"], True),
        ("size", query.LT_NUMERIC, ["9000M"], False),
        ("size", query.LTE_NUMERIC, ["10240Mi"], True),
        ("role", query.LT_NUMERIC, ["5"], False),
    ],
)
def test_conditions(key: str, operation: int, values: list[str], expected: bool) -> None:
    assert term_matches(LABELS, key, operation, values, invert=False) is expected
    assert term_matches(LABELS, key, operation, values, invert=True) is not expected
