"""Patches of configurations: cases as data, and what must hold for every patch there is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dozen.machinery import yaml
from dozen.machinery.config import ConfigError
from dozen.machinery.config.patches import operations, patch, read_patch, strategic
from dozen.machinery.yaml import Node, load_documents, plain

CASES = Path(__file__).parents[2] / "cases" / "config"


def cases() -> list[Any]:
    found = yaml.load((CASES / "patches.yaml").read_text(), "patches.yaml")
    return [pytest.param(case, id=case["name"]) for case in found]


def documents(text: str) -> list[Any]:
    return [plain(node) for node in load_documents(text)]


@pytest.mark.parametrize("case", cases())
def test_patch(case: dict[str, Any]) -> None:
    text = yaml.dump(case["config"]) + ("---\n" + case["documents"] if "documents" in case else "")

    def work() -> str:
        return patch(text, [read_patch(each, f"patch {at}") for at, each in enumerate(case["patches"], 1)])

    if "complaint" in case:
        with pytest.raises(ConfigError) as caught:
            work()
        if case["complaint"] != "any":
            assert str(caught.value).replace("patch 1: line 1: ", "patch 1 (line 1): ") == case["complaint"]
        return
    assert documents(work()) == [case["result"], *case.get("result_documents", [])]


def test_scalars_stay_as_they_were_written() -> None:
    text = (
        "machine:\n  files:\n    - permissions: 0o644\n      content: '0o644'\n"
        "  env: {A: 1.10, B: yes, C: ~, D: 'null'}\n"
    )
    after = patch(text, [read_patch("machine: {type: worker}")])
    assert "permissions: 0o644" in after
    assert 'content: "0o644"' in after
    assert documents(after)[0]["machine"]["env"] == {"A": 1.1, "B": "yes", "C": None, "D": "null"}
    assert "A: 1.10" in after


def test_the_text_of_a_document_without_patches_means_the_same() -> None:
    text = (CASES / "accepted.yaml").read_text()
    assert documents(patch(text, [])) == documents(text)


KEYS = st.sampled_from(["a", "b", "c", "d/e", "f~g", ""])
SCALARS = st.one_of(
    st.integers(-5, 5), st.booleans(), st.text(alphabet=st.characters(codec="utf-8", exclude_categories=("C", "Z")))
)
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3))
OBJECTS = st.dictionaries(KEYS, VALUES, max_size=4)


def node_of(value: Any) -> Node:
    (node,) = load_documents(yaml.dump(value)) or [yaml.Scalar(1, "", True)]
    return node


def merged(*values: Any) -> Any:
    """Laid over one another as unstructured data."""
    maps = [node_of(value) for value in values]
    found: list[Node] = [maps[0]]
    for each in maps[1:]:
        assert isinstance(each, yaml.MapNode)
        found = strategic.Strategic((each,), "patch").apply(found)
    return plain(found[0])


MAPS = st.recursive(
    st.dictionaries(KEYS, st.integers(0, 3), max_size=3), lambda inner: st.dictionaries(KEYS, inner, max_size=3)
)


@given(OBJECTS)
def test_the_empty_patch_changes_nothing(value: dict[str, Any]) -> None:
    assert merged(value, {}) == value


@given(OBJECTS)
def test_a_patch_over_nothing_is_itself(value: dict[str, Any]) -> None:
    assert merged({}, value) == value


@given(st.dictionaries(KEYS, st.integers(), max_size=5), st.dictionaries(KEYS, st.integers(), max_size=5))
def test_keys_of_a_patch_win_and_others_stay(old: dict[str, int], new: dict[str, int]) -> None:
    assert merged(old, new) == {**old, **new}


@given(
    st.lists(
        st.dictionaries(st.sampled_from("abc"), st.lists(st.integers(), max_size=3), max_size=3), min_size=3, max_size=3
    )
)
def test_laying_over_is_associative(values: list[dict[str, Any]]) -> None:
    first, second, third = values
    assert merged(merged(first, second), third) == merged(first, merged(second, third))


@given(OBJECTS, KEYS)
def test_deletion_removes_exactly_its_key(value: dict[str, Any], key: str) -> None:
    value = {**value, key: {"x": 1}}
    expected = {name: each for name, each in value.items() if name != key}
    assert merged(value, {key: {"$patch": "delete"}}) == expected


def run(value: Any, *steps: dict[str, Any]) -> Any:
    read = read_patch(yaml.dump(list(steps)))
    return plain(read.apply([node_of(value)])[0])


@st.composite
def places(draw: st.DrawFn) -> tuple[dict[str, Any], str, Any]:
    """An object, a pointer to a place in it, and the value there."""
    value: Any = draw(OBJECTS.filter(bool))
    root, steps = value, []
    while isinstance(value, (dict, list)) and value and (not steps or draw(st.booleans())):
        step = draw(st.sampled_from(sorted(value))) if isinstance(value, dict) else draw(st.integers(0, len(value) - 1))
        steps.append(str(step))
        value = value[step]
    return root, operations.pointer(steps), value


@given(places(), VALUES)
def test_what_was_put_is_there(place: tuple[dict[str, Any], str, Any], new: Any) -> None:
    root, pointer, _ = place
    run(root, {"op": "replace", "path": pointer, "value": new}, {"op": "test", "path": pointer, "value": new})


@given(places(), VALUES)
def test_replacing_and_putting_back_is_nothing(place: tuple[dict[str, Any], str, Any], new: Any) -> None:
    root, pointer, old = place
    back = run(root, {"op": "replace", "path": pointer, "value": new}, {"op": "replace", "path": pointer, "value": old})
    assert operations.same(back, root)


@given(places())
def test_removing_and_adding_is_nothing(place: tuple[dict[str, Any], str, Any]) -> None:
    root, pointer, old = place
    assert operations.same(
        run(root, {"op": "remove", "path": pointer}, {"op": "add", "path": pointer, "value": old}), root
    )


@given(places())
def test_a_copy_is_equal_and_apart(place: tuple[dict[str, Any], str, Any]) -> None:
    root, pointer, old = place
    after = run(root, {"op": "copy", "from": pointer, "path": "/new"}, {"op": "test", "path": "/new", "value": old})
    assert operations.same(after["new"], old)


@given(st.lists(KEYS))
def test_pointers_survive_being_written(steps: list[str]) -> None:
    assert operations.parse_pointer(operations.pointer(steps).replace('""', "")) == tuple(steps)


@pytest.mark.parametrize(
    ("one", "other", "equal"),
    [(1, 1.0, True), (True, 1, False), ("1", 1, False), ([1, {"a": 2}], [1.0, {"a": 2}], True), ({}, [], False)],
)
def test_equality_is_that_of_json(one: object, other: object, equal: bool) -> None:
    assert operations.same(one, other) is equal
