"""JSONPath: what tables and ``-o jsonpath`` find."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dozen.machinery.jsonpath import JsonPathError, Template

DATA = {
    "name": "n",
    "list": [{"type": "Ready", "status": True}, {"type": "Other", "status": False}],
    "numbers": [1, 2, 3],
    "map": {"a.b": {"c": 5}},
    "none": None,
}


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("{.name}", "n"),
        ("{name}", "n"),
        ("{$.name}", "n"),
        ('{["name"]}', "n"),
        ("{.numbers[0]} {.numbers[-1]}", "1 3"),
        ("{.numbers[*]}", "1 2 3"),
        ("{.numbers[1:]}", "2 3"),
        ("{.numbers[:]}", "1 2 3"),
        ("{.list[*].type}", "Ready Other"),
        ('{.list[?(@.type=="Ready")].status}', "true"),
        ("{.list[?(@.type!='Ready')].status}", "false"),
        ("{.list[?(@.nothing)].status}", ""),
        ("{..status}", "true false"),
        ("{.map.*.c}", "5"),
        ("{.map.a\\.b.c}", "5"),
        ('{.map["a.b"].c}', "5"),
        ("{.list[0]}", '{"type":"Ready","status":true}'),
        ("{.nothing.at.all[7]}", ""),
        ("{.none}", ""),
        ("{.name.x}", ""),
        ('name={.name}{"\\n"}', "name=n\n"),
        ("plain", "plain"),
        ("{.list[?(@.type=='}')].status}", ""),
    ],
)
def test_found(template: str, text: str) -> None:
    assert Template(template).render(DATA) == text


def test_whole() -> None:
    assert Template("{@}").render("controlplane") == "controlplane"
    assert Template("{.}").values(5) == [5]


@pytest.mark.parametrize("template", ["{.a", "{.a[}", "{.a[b]}", "{.a[?(x}", "{.a]}x{", "{.[0]x}"])
def test_not_templates(template: str) -> None:
    with pytest.raises(JsonPathError):
        Template(template)


@given(st.text(alphabet="{}[].@$*?()'\"=!:a0\\", max_size=20), st.sampled_from([DATA, None, [1], "x"]))
def test_no_template_does_worse_than_to_be_refused(text: str, data: Any) -> None:
    try:
        template = Template(text)
    except JsonPathError:
        return
    assert isinstance(template.render(data), str)
