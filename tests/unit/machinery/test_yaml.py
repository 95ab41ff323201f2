"""YAML: what scalars mean, where things are, what is refused, and that what is written is read back."""

from __future__ import annotations

from typing import Any

import pytest
import yaml as pyyaml
from hypothesis import given
from hypothesis import strategies as st

from dozen.machinery import yaml


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("yes", "yes"),
        ("no", "no"),
        ("on", "on"),
        ("true", True),
        ("False", False),
        ("null", None),
        ("~", None),
        ("", None),
        ("017", 17),
        ("0o17", 15),
        ("0x1F", 31),
        ("-5", -5),
        ("+5", 5),
        ("1_000", "1_000"),
        ("12:30:45", "12:30:45"),
        ("2020-01-01", "2020-01-01"),
        ("1.5", 1.5),
        ("1e3", 1000.0),
        ("1.2.3", "1.2.3"),
        ("1.2.3.4", "1.2.3.4"),
        (".inf", float("inf")),
        ("'true'", "true"),
        ('"1"', "1"),
        ("-", "-"),
        ("0x", "0x"),
        ("9" * 60, "9" * 60),
        ("!!int '5'", "5"),
        ("!!python/object:os.system x", "x"),
    ],
)
def test_scalars(text: str, value: Any) -> None:
    assert yaml.load(f"a: {text}\n" if text != "-" else "a: '-'") == {"a": value}


def test_lines_count_from_one() -> None:
    (document,) = yaml.load_documents("# comment\na:\n  - b\n  - {c: d}\n")
    assert isinstance(document, yaml.MapNode)
    members = document.items["a"]
    assert isinstance(members, yaml.SeqNode)
    assert (document.line, document.keys["a"], members.items[0].line, members.items[1].line) == (2, 2, 3, 4)


def test_documents_that_are_empty_do_not_count() -> None:
    assert [yaml.plain(node) for node in yaml.load_documents("---\n---\na: 1\n---\n# nothing\n---\n[2]\n")] == [
        {"a": 1},
        [2],
    ]


def test_merge_keys_lose_against_own_keys_and_the_first_wins() -> None:
    text = "x: &x {a: 1, b: 1}\ny: &y {b: 2, c: 2}\nz:\n  <<: [*x, *y]\n  a: 3\n"
    assert yaml.load(text)["z"] == {"a": 3, "b": 1, "c": 2}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: 1\nb:\n  c: 1\n  c: 2\n", 'line 4: key "c" is there twice, first on line 3'),
        ("a: [1\n", "line 1: a bracket has no end"),
        ("a: b: c\n", "line 1: a mapping cannot begin on the line of another key"),
        ("a: - b\n", "line 1: a list cannot begin on the line of a key"),
        ("a:\n\tb: c\n", "line 2: a tab cannot indent"),
        ("a:\n    b: c\n  d: e\n", "line 3: "),
        ("a:\n  b: c\n    d: e\n", "line 3: a key cannot stand here"),
        ("a: 'b\n", "line 1: a quoted text has no end"),
        ('a: "\\q"\n', "line 1: \\q is not an escape"),
        ('a: "\\ud800"\n', "line 1: \\ud800 is not a character"),
        ("a: @b\n", "line 1: '@' cannot begin a value here"),
        ("a: [b, , c]\n", "line 1: a value is missing before the comma"),
        ("a: [b c: d e, {f g} h]\n", "line 1: expected a comma or ]"),
        ("a: |x\n b\n", "line 1: 'x' cannot follow the sign of a block of text"),
        ("a: 'b' c\n", "line 1: expected the end of the line"),
        ("a: b\nc\n", "line 2: expected a key and a colon"),
        ("[" * 200, "line 1: nested deeper than 100 levels"),
        ("- " * 200, "line 1: nested deeper than 100 levels"),
        (": a\n", "line 1: a key is missing before the colon"),
        ("? [a]\n: b\n", "line 1: a key must be a scalar"),
        ("a: &a [*a]\n", 'line 1: there is no anchor "a" above'),
        ("<<: 3\n", "line 1: << merges mappings only"),
        ("a: *nothing\n", 'line 1: there is no anchor "nothing" above'),
        ("a\n\x00b", "line 2: character \\x00 cannot be in a text"),
    ],
)
def test_refused(text: str, words: str) -> None:
    with pytest.raises(yaml.YamlError) as caught:
        yaml.load_documents(text, "f")
    assert f"f, {words}" in str(caught.value)


def test_a_small_text_cannot_become_a_big_one() -> None:
    levels = [f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 9)}]" for level in range(1, 9)]
    with pytest.raises(yaml.YamlError, match="more than 200000 values"):
        yaml.load_documents("\n".join(["a0: &a0 x", *levels]))


def test_dump_is_block_style_and_quotes_only_what_needs_it() -> None:
    value = {"a": {"b": [1, {"c": "x", "d": []}], "e": "yes"}, "f": "one\ntwo\n", "g": None, "h": "10.0.0.1"}
    assert yaml.dump(value) == (
        'a:\n    b:\n        - 1\n        - c: x\n          d: []\n    e: "yes"\n'
        'f: |\n    one\n    two\ng: null\nh: "10.0.0.1"\n'
    )


TEXTS = st.text(max_size=20) | st.sampled_from(
    [
        "yes",
        "012",
        "1:30",
        "2020-01-01",
        "- a",
        "a: b",
        "a #b",
        "\n a",
        "a\n",
        "a\n\n",
        "\ta",
        "=",
        "<<",
        "x\r\n",
        "\x85",
        "\ufeff",
    ]
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**12), 10**12) | st.floats(allow_nan=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=20,
)


@given(VALUES)
def test_what_is_written_is_read_back(value: Any) -> None:
    text = yaml.dump(value)
    if value is not None:
        assert yaml.load(text) == value


@given(VALUES)
def test_an_older_reader_reads_the_same(value: Any) -> None:
    """What we write does not depend on the reader's version of YAML, floats without a point apart."""
    if "e" not in repr(value):
        assert pyyaml.safe_load(yaml.dump(value)) == value
