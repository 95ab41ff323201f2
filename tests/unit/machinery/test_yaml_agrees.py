"""Our YAML parser against another one: it reads the same from every text that both accept.

The other one is libyaml, which implements YAML 1.1; where the versions differ on purpose, `OURS` says what is right.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml as pyyaml
from hypothesis import given
from hypothesis import strategies as st

from dozen.machinery import yaml
from dozen.machinery.yaml.parser import parse

TEXTS = (Path(__file__).parents[2] / "cases" / "yaml" / "texts.txt").read_text().split("\n=====\n")
OURS = {
    "a: {b: http://x:1/y, c: :d}": [{"a": {"b": "http://x:1/y", "c": ":d"}}],
    "a: [-b, ?c, :d]": [{"a": ["-b", "?c", ":d"]}],
    "a: [-, ?, :]": None,
    "a: b\n...\nc: d": [{"a": "b"}, {"c": "d"}],
}


class Loader(pyyaml.CBaseLoader):
    """Scalars as they are written, with a mark at those that are plain."""

    def resolve(self, kind: Any, value: Any, implicit: Any) -> str:
        return "plain" if kind is pyyaml.ScalarNode and implicit[0] else "other"


def convert(node: Any) -> Any:
    if node.id == "sequence":
        return [convert(each) for each in node.value]
    if node.id == "mapping":
        keys = [key.value if key.id == "scalar" else None for key, _ in node.value]
        if None in keys or len(set(keys)) < len(keys):
            raise pyyaml.YAMLError("keys that ours refuses too")
        return {key: convert(value) for key, (_, value) in zip(keys, node.value, strict=True)}
    return node.value, node.tag == "plain"


def theirs(text: str) -> Any:
    loader = Loader(text)
    found = []
    try:
        while loader.check_node():
            found.append(convert(loader.get_node()))
    except (pyyaml.YAMLError, RecursionError):
        return None
    return found


def simple(node: yaml.Node) -> Any:
    if isinstance(node, yaml.SeqNode):
        return [simple(each) for each in node.items]
    if isinstance(node, yaml.MapNode):
        return {key: simple(value) for key, value in node.items.items()}
    assert isinstance(node, yaml.Scalar)
    return node.text, node.plain


def ours(text: str) -> Any:
    try:
        return [simple(node) for node in parse(text, "text")]
    except yaml.YamlError:
        return None


@pytest.mark.parametrize("text", TEXTS)
def test_texts(text: str) -> None:
    if text not in OURS:
        assert ours(text) == theirs(text)
    elif OURS[text] is None:
        assert ours(text) is None
    else:
        assert [yaml.plain(node) for node in yaml.load_documents(text)] == OURS[text]


WORDS = st.text(st.sampled_from("ab \n\t:-#'\"[]{},&*!|>%@\\?é"), max_size=12)
VALUES = st.recursive(
    WORDS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3), max_leaves=8
)


@given(
    VALUES,
    st.sampled_from([True, False, None]),
    st.sampled_from([10, 40, 80]),
    st.sampled_from([2, 4]),
    st.sampled_from([None, '"', "'", "|", ">"]),
    st.booleans(),
)
def test_what_the_other_writes(
    value: Any, flow: bool | None, width: int, indent: int, style: str | None, start: bool
) -> None:
    text = pyyaml.dump(
        value, default_flow_style=flow, width=width, indent=indent, default_style=style, explicit_start=start
    )
    expected = theirs(text)
    if expected is not None and "<<" not in str(value):
        assert ours(text) == expected


@given(st.sampled_from(TEXTS), st.lists(st.tuples(st.floats(0, 1), st.sampled_from("ab:-[]{},#&*!|>'\" \n\t."))))
def test_no_text_does_worse_than_to_be_refused(text: str, changes: list[tuple[float, str]]) -> None:
    for where, char in changes:
        at = int(where * len(text))
        text = text[:at] + char + text[at:]
    ours(text)
