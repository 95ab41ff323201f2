"""Every field of the machine configuration that the node uses: what comes of it, and that it comes of that field.

Cases are in ``tests/cases/fields``. A case lays ``machine`` and ``cluster`` over a small configuration of a control
plane (``type: worker``: of a worker), puts ``documents`` beside it, and says under ``gives`` what of `outcome` there is
then: of mappings the parts that are named, of lists that begin with ``...`` the items that are named, anything else
whole; null is for what is not there. Each field that a case sets must matter, but for those ``beside``: with another
value (``otherwise`` says one where it is not easily found) something of what is expected must be otherwise, or it is
``refused`` with words.
"""

from __future__ import annotations

import base64
import copy
import re
import typing
from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest

from dozen.cli import field_tests
from dozen.machinery import pki, yaml
from dozen.machinery.config import ConfigError, load
from dozen.machinery.config.generating import generate
from dozen.testing.outcome import outcome

CASES = [pytest.param(case, id=case["name"]) for case in field_tests.cases()]


@cache
def base(type_: str) -> str:
    """What a node of this type cannot do without."""
    bundle = generate("c", "https://10.0.0.1:6443")
    text = bundle.worker if type_ == "worker" else bundle.controlplane
    data = yaml.load(text.partition("\n---")[0])
    machine = {name: data["machine"][name] for name in ("type", "token", "ca")}
    kept = ("controlPlane", "clusterName", "token", "ca", "aggregatorCA", "serviceAccount", "etcd")
    cluster = {name: data["cluster"][name] for name in kept if name in data["cluster"]}
    return yaml.dump({"version": "v1alpha1", "machine": machine, "cluster": cluster})


@cache
def authorities() -> dict[str, str]:
    """What stands in cases for something that nobody can read: certificates and keys."""
    found = {}
    for name in ("A", "B"):
        made = pki.new_ca()
        found |= {f"@CRT-{name}@": made.crt, f"@KEY-{name}@": made.key}
    encoded = {f"{name[:-1]}-64@": base64.b64encode(text.encode()).decode() for name, text in found.items()}
    return {**found, **encoded}


def text_of(case: dict[str, Any]) -> str:
    """The configuration of a case."""
    given = yaml.load(base(case.get("type", "controlplane")))
    given = laid_over(given, {part: case[part] for part in ("machine", "cluster", "debug") if part in case})
    documents = [{"apiVersion": "v1alpha1", **each} for each in case.get("documents", ())]
    return "---\n".join(yaml.dump(filled(each)) for each in (given, *documents))


def laid_over(lower: Any, upper: Any) -> Any:
    if isinstance(lower, dict) and isinstance(upper, dict):
        return {**lower, **{name: laid_over(lower.get(name), value) for name, value in upper.items()}}
    return upper


def filled(value: Any) -> Any:
    """Data with what stands for certificates and keys replaced by them."""
    if isinstance(value, dict):
        return {name: filled(each) for name, each in value.items()}
    if isinstance(value, list):
        return [filled(each) for each in value]
    return authorities().get(value, value) if isinstance(value, str) else value


def flaws(expected: Any, found: Any, where: str = "") -> Iterator[str]:
    """In what a part of an outcome is not as it should be."""
    if isinstance(expected, dict) and isinstance(found, str):
        found = yaml.load(found)
    if isinstance(expected, dict) and isinstance(found, dict):
        for name, value in expected.items():
            yield from flaws(value, found.get(name), f"{where}.{name}")
    elif isinstance(expected, list) and expected[:1] == ["..."] and isinstance(found, str | list):
        yield from (f"{where}: {each!r} is not in {found!r}" for each in expected[1:] if not is_in(each, found))
    elif isinstance(expected, list) and isinstance(found, list) and len(expected) == len(found):
        for at, (one, other) in enumerate(zip(expected, found, strict=True)):
            yield from flaws(one, other, f"{where}[{at}]")
    elif expected != found:
        yield f"{where}: expected {expected!r}, found {found!r}"


def is_in(part: Any, found: str | list[Any]) -> bool:
    return part in found if isinstance(found, str) else any(not any(flaws(part, item)) for item in found)


@pytest.mark.parametrize("case", CASES)
def test_what_comes_of_a_configuration(case: dict[str, Any]) -> None:
    """One test for both, so that what nobody looks at cannot be claimed."""
    expected = filled(case["gives"])
    assert list(flaws(expected, outcome(text_of(case), case.get("links", {})))) == []
    case = copy.deepcopy(case)
    idle: dict[str, bool] = {}
    for place in list(field_tests.places(case)):
        if not idle.get(place.path, True):
            continue
        idle[place.path] = not (is_refused(case, place) or any(any(flaws(expected, it)) for it in others(case, place)))
    assert [path for path, nothing in idle.items() if nothing] == [], "these make no difference to what is expected"


def is_refused(case: dict[str, Any], place: field_tests.Place) -> bool:
    """Whether a case says of a field that it may not be like another one, and it may not."""
    if place.path not in case.get("refused", {}):
        return False
    other, words = case["refused"][place.path]
    said, place.holder[place.key] = place.holder[place.key], other
    with pytest.raises(ConfigError, match=re.escape(words)):
        load(text_of(case))
    place.holder[place.key] = said
    return True


def others(case: dict[str, Any], place: field_tests.Place) -> Iterator[dict[str, Any]]:
    """What comes of a case in which one field is not there, or is another."""
    said = place.holder.pop(place.key)
    try:
        yield from tried(case)
        said_otherwise = case.get("otherwise", {})
        told = [said_otherwise[place.path]] if place.path in said_otherwise else []
        for other in (*told, *choices(place.annotation), *alternatives(said)):
            place.holder[place.key] = other
            yield from tried(case)
    finally:
        place.holder[place.key] = said


def tried(case: dict[str, Any]) -> Iterator[dict[str, Any]]:
    text = text_of(case)
    try:
        load(text)
    except ConfigError:
        return
    yield outcome(text, case.get("links", {}))


SWAPPED = {
    "@CRT-A@": "@CRT-B@",
    "@CRT-B@": "@CRT-A@",
    "@CRT-A-64@": "@CRT-B-64@",
    "@CRT-B-64@": "@CRT-A-64@",
    "eth0": "eth1",
}


def choices(annotation: Any) -> list[Any]:
    """What a field may be of which there are only some values."""
    if typing.get_origin(annotation) is typing.Literal:
        return list(typing.get_args(annotation))
    return [choice for each in typing.get_args(annotation) for choice in choices(each)]


def alternatives(said: Any) -> Iterator[Any]:
    """Other values that a field may have."""
    if isinstance(said, bool):
        yield not said
    elif isinstance(said, int):
        yield from (said + 1, said - 1)
    elif isinstance(said, str):
        yield SWAPPED.get(said, said + "x")
        yield from (said[:-1] + other for other in "1246" if other != said[-1:])
        yield from ("x" + said, "B" + said[1:])
    elif isinstance(said, list):
        yield said[:-1]
        for other in alternatives(said[0]):
            yield [other, *said[1:]]
    elif isinstance(said, dict):
        yield {}
        yield {**said, "another": "x"}
