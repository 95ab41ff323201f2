"""Client configuration: read, written, merged, refused."""

from __future__ import annotations

import pytest

from dozen.machinery.talosconfig import Context, Talosconfig, TalosconfigError, merge, parse, render

ONE = Context(endpoints=("10.0.0.1",), ca="-----BEGIN CERTIFICATE-----\n", crt="crt", key="key")
TWO = Context(endpoints=("10.0.0.2", "10.0.0.3"), nodes=("10.0.0.4",), cluster="c")


def test_written_is_read_back() -> None:
    config = Talosconfig("one", {"one": ONE, "two": TWO})
    assert parse(render(config)) == config


def test_fields_of_newer_clients_are_kept() -> None:
    text = "context: a\ncontexts: {a: {endpoints: [], auth: {siderov1: {identity: me}}}}\n"
    config = parse(text)
    assert config.contexts["a"].extra == {"auth": {"siderov1": {"identity": "me"}}}
    assert parse(render(config)) == config


def test_empty_file() -> None:
    assert parse("") == Talosconfig()
    with pytest.raises(TalosconfigError, match="no context is selected; there are: none"):
        parse("").select()


def test_select() -> None:
    config = Talosconfig("one", {"one": ONE, "two": TWO})
    assert config.select() is ONE
    assert config.select("two") is TWO
    with pytest.raises(TalosconfigError, match='no context "three"; there are: one, two'):
        config.select("three")


def test_merge_renames_what_is_taken_and_selects_the_new() -> None:
    base = Talosconfig("one", {"one": ONE})
    merged, renamed = merge(base, Talosconfig("one", {"one": TWO}))
    assert merged == Talosconfig("one-1", {"one": ONE, "one-1": TWO})
    assert renamed == {"one": "one-1"}
    again, renamed = merge(merged, Talosconfig("", {"one": ONE}))
    assert (again, renamed) == (merged, {})


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("- a", "f: expected a mapping"),
        ("contexts: {a: {endpoints: b}}", r"f: contexts\.a\.endpoints: expected a list"),
        ("contexts: {a: {ca: '%'}}", r"f: contexts\.a\.ca: expected PEM text in base64"),
        ("contexts: {a: 3}", r"f: contexts\.a: expected a mapping"),
        ("context: 3", "f: context: expected text"),
        ("context: a\ncontext: b", "line 2"),
    ],
)
def test_refused(text: str, words: str) -> None:
    with pytest.raises(TalosconfigError, match=words):
        parse(text, "f")


def test_no_key_in_repr() -> None:
    assert "crt" not in repr(ONE)
