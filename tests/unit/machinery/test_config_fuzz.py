"""Whatever somebody sends to a node in maintenance, PID 1 takes it or says what is wrong; it never loses its head."""

from __future__ import annotations

import typing
from collections.abc import Callable
from functools import cache
from typing import Any

import msgspec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dozen.machinery import yaml
from dozen.machinery.config import Config, ConfigError, generate, kubernetes, kubernetes_node, kubernetes_secrets, load
from dozen.machinery.config.cluster import V1Alpha1
from dozen.machinery.config.decode import fields_of
from dozen.machinery.config.documents import KINDS, model_of
from dozen.machinery.config.patches import patch, read_patch
from dozen.machinery.config.registries import registries
from dozen.machinery.config.support import warnings

BASE = generate("c", "https://10.0.0.1:6443").controlplane
WORDS = st.sampled_from(
    ["", "a", "eth0", "10.0.0.1", "10.0.0.0/8", "fd00::/64", "!10.0.0.0/8", "https://a:1", "x:NoSchedule", "/a",
     "0o644", "5s", "yes", "~", "1", "-1", "a b", "\n", "ä", "true", "custom", "Webhook", "*", "10GiB"]
)  # fmt: skip
ANYTHING = st.recursive(
    st.one_of(WORDS, st.integers(-(2**70), 2**70), st.booleans(), st.none(), st.floats(allow_nan=False)),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(WORDS, inner, max_size=2),
    max_leaves=4,
)
DEPTH = 6
QUESTIONS = [
    function
    for module in (kubernetes, kubernetes_node, kubernetes_secrets)
    for function in vars(module).values()
    if getattr(function, "__module__", "") == module.__name__
    and not isinstance(function, type)
    and list(function.__annotations__) == ["config", "return"]
]


@cache
def shaped(annotation: Any, depth: int = 0) -> st.SearchStrategy[Any]:
    """Values that look like those of an annotation, and now and then others."""
    if is_model(annotation):
        return model_values(annotation, depth)
    inner = [shaped(each, depth) for each in typing.get_args(annotation) if holds_model(each)]
    if not inner:
        return ANYTHING
    origin = typing.get_origin(annotation)
    if origin is tuple:
        return st.lists(st.one_of(inner), max_size=2) | ANYTHING
    if origin is dict:
        return st.dictionaries(WORDS, st.one_of(inner), max_size=2) | ANYTHING
    return st.one_of(inner)


def model_values(model: type[msgspec.Struct], depth: int) -> st.SearchStrategy[Any]:
    """One field of a model, and perhaps some of the first ones, which are often required."""
    fields = fields_of(model)
    if depth > DEPTH or not fields:
        return st.just({})

    def value_of(name: str) -> st.SearchStrategy[Any]:
        return st.deferred(lambda: shaped(fields[name].annotation, depth + 1))

    def with_some_more(first: str) -> st.SearchStrategy[dict[str, Any]]:
        others = {name: value_of(name) for name in list(fields)[:3] if name != first}
        return st.fixed_dictionaries({first: value_of(first)}, optional=others)

    return st.sampled_from(sorted(fields)).flatmap(with_some_more)


def is_model(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, msgspec.Struct)


def holds_model(annotation: Any) -> bool:
    return is_model(annotation) or any(map(holds_model, typing.get_args(annotation)))


def look_at(config: Config) -> None:
    """Everything that is asked of a configuration that was accepted."""
    assert all(isinstance(each, str) for each in warnings(config))
    registries(config)
    for ask in QUESTIONS:
        ask(config)


def refusal_of(read: Callable[[str], object], text: str) -> str | None:
    """Why a text is refused, None when it is not."""
    try:
        read(text)
    except ConfigError as error:
        return str(error)
    return None


def take(text: str) -> None:
    look_at(load(text))


SLOW = settings(suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much], max_examples=150)


def test_the_questions_are_those_that_a_node_asks() -> None:
    assert {"network", "kubelet", "kubernetes_ca"} <= {ask.__name__ for ask in QUESTIONS}
    take(BASE)


@SLOW
@given(shaped(V1Alpha1))
def test_any_change_of_the_main_document(change: dict[str, Any]) -> None:
    refusal = refusal_of(lambda text: take(patch(BASE, [read_patch(text)])), yaml.dump(change))
    assert refusal is None or refusal


@SLOW
@given(st.sampled_from(sorted(KINDS)).flatmap(lambda kind: st.tuples(st.just(kind), shaped(model_of(kind)))))
def test_any_document(document: tuple[str, dict[str, Any]]) -> None:
    kind, said = document
    refusal = refusal_of(take, BASE + "---\n" + yaml.dump({**said, "apiVersion": "v1alpha1", "kind": kind}))
    assert refusal is None or refusal


@given(st.binary(max_size=200) | st.text(max_size=100).map(str.encode))
def test_any_bytes(data: bytes) -> None:
    for read in (load, read_patch):
        refusal = refusal_of(read, data.decode(errors="replace"))
        assert refusal is None or refusal
