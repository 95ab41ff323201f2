"""Every decoder takes what is damaged, or refuses it as it says. `make fuzz` looks further."""

from __future__ import annotations

import pytest

from fuzz.damage import damaged
from fuzz.target import CORPUS, Target
from fuzz.targets import TARGETS

COPIES = 150


@pytest.mark.parametrize("target", [pytest.param(target, id=name) for name, target in TARGETS.items()])
def test_seeds_are_taken_and_damage_is_survived(target: Target) -> None:
    inputs = target.inputs()
    assert any(target.take(data) for data in inputs), "no seed of this target is valid"
    for number, data in enumerate(damaged(inputs, COPIES, target.name)):
        try:
            target.take(data)
        except Exception as error:
            raise AssertionError(f"damaged input {number}: {data[:2000]!r}") from error


def test_every_kept_input_belongs_to_a_target() -> None:
    assert {path.name for path in CORPUS.iterdir()} <= set(TARGETS)


def test_damage_is_the_same_each_time_and_damages() -> None:
    first = list(damaged([b"seed one", b"another"], 50, "a"))
    assert first == list(damaged([b"seed one", b"another"], 50, "a"))
    assert first != list(damaged([b"seed one", b"another"], 50, "b"))
    assert len(set(first)) > 40
