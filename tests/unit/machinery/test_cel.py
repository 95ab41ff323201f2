"""Expressions: what they are, and why they are nothing. The cases are data in tests/cases/cel."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dozen.machinery import cel, yaml

CASES: list[dict[str, Any]] = yaml.load((Path(__file__).parents[2] / "cases/cel/expressions.yaml").read_text())
LINK = {"driver": "virtio_net", "hardware_addr": "52:54:00:12:34:56", "vendor": "", "alt_names": ("en1",)}
SCOPE = {"link": LINK, "past": cel.Duration(2.0), "known": cel.Maybe(5), "missing": cel.Maybe(), "kind": 2}


@pytest.mark.parametrize("case", CASES, ids=[case["text"][:60] for case in CASES])
def test_cases(case: dict[str, Any]) -> None:
    if "error" in case:
        with pytest.raises(cel.CelError) as caught:
            cel.parse(case["text"], SCOPE)(SCOPE)
        assert str(caught.value) == case["error"]
        return
    found = cel.parse(case["text"], SCOPE)(SCOPE)
    assert (found, type(found)) == (case["is"], type(case["is"]))


def test_what_an_expression_should_say() -> None:
    assert cel.parse("kind == 2", SCOPE).truth(SCOPE)
    assert cel.parse("kind * 2", SCOPE).number(SCOPE) == 4.0
    with pytest.raises(cel.CelError, match="kind: expected true or false, found the number 2"):
        cel.parse("kind", SCOPE).truth(SCOPE)
    with pytest.raises(cel.CelError, match="true: expected a number, found the truth value True"):
        cel.parse("true", SCOPE).number(SCOPE)


@pytest.mark.parametrize("text", ["(" * 5000, "[" * 100, "!" * 4000 + "true", "-" * 4000 + "1", "a" * 5000])
def test_what_is_too_long_or_too_deep_is_refused_or_read(text: str) -> None:
    try:
        cel.parse(text, ())({})
    except cel.CelError:
        return
    assert text[-1] in "e1"


def test_a_pattern_that_backtracks_takes_no_time() -> None:
    assert not cel.parse(f'glob("{"*a" * 60}b", "{"a" * 3000}")', ())({})
