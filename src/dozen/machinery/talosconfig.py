"""Client configuration: which clusters a person may talk to, where, and with which identity.

The format is the one that people of this API have: a file with named *contexts*, each with endpoints (where to
connect), nodes (whom to talk to by default) and an identity (CA, certificate and key, PEM in base64), and one context
selected. Parsing is strict about types and generous about fields that newer clients may add: those are kept and
written back.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

import msgspec

from dozen.machinery import yaml
from dozen.machinery.pki import Keypair


class TalosconfigError(ValueError):
    """The client configuration cannot be used; the message says where and why."""


class Context(msgspec.Struct, frozen=True, kw_only=True):
    """One cluster. ``ca``, ``crt``, ``key`` are PEM text, empty when the context has no identity."""

    endpoints: tuple[str, ...] = ()
    nodes: tuple[str, ...] = ()
    ca: str = ""
    crt: str = ""
    key: str = ""
    cluster: str = ""
    extra: Mapping[str, Any] = msgspec.field(default_factory=dict)

    def __repr__(self) -> str:
        return f"Context(endpoints={self.endpoints}, nodes={self.nodes}, cluster={self.cluster!r}, key=<hidden>)"

    @property
    def identity(self) -> Keypair | None:
        return Keypair(self.crt, self.key) if self.crt and self.key else None


class Talosconfig(msgspec.Struct, frozen=True):
    """The whole file: the selected context's name and all contexts."""

    context: str = ""
    contexts: Mapping[str, Context] = msgspec.field(default_factory=dict)

    def select(self, name: str = "") -> Context:
        """The named context, or the selected one. Raises TalosconfigError that lists what there is."""
        wanted = name or self.context
        if wanted in self.contexts:
            return self.contexts[wanted]
        known = ", ".join(self.contexts) or "none"
        if not wanted:
            raise TalosconfigError(f"no context is selected; there are: {known}")
        raise TalosconfigError(f'there is no context "{wanted}"; there are: {known}')

    def with_context(self, name: str, context: Context) -> Talosconfig:
        return Talosconfig(self.context, {**self.contexts, name: context})


def parse(text: str, source: str = "talosconfig") -> Talosconfig:
    try:
        data = yaml.load(text, source)
    except yaml.YamlError as error:
        raise TalosconfigError(str(error)) from None
    if data is None:
        return Talosconfig()
    root = _mapping(data, source)
    contexts = _mapping(root.get("contexts") or {}, f"{source}: contexts")
    return Talosconfig(
        _text(root.get("context"), f"{source}: context"),
        {name: _parse_context(value, f"{source}: contexts.{name}") for name, value in contexts.items()},
    )


def render(config: Talosconfig) -> str:
    contexts = {name: _render_context(context) for name, context in config.contexts.items()}
    return yaml.dump({"context": config.context, "contexts": contexts})


def merge(base: Talosconfig, other: Talosconfig) -> tuple[Talosconfig, dict[str, str]]:
    """``other``'s contexts added to ``base``; a name that is taken by something else gets a number behind it.

    Returns the result, whose selected context is ``other``'s, and the names that changed (old → new).
    """
    contexts, renamed = dict(base.contexts), {}
    for name, context in other.contexts.items():
        free, number = name, 0
        while free in contexts and contexts[free] != context:
            number += 1
            free = f"{name}-{number}"
        if free != name:
            renamed[name] = free
        contexts[free] = context
    selected = renamed.get(other.context, other.context) or base.context
    return Talosconfig(selected, contexts), renamed


_PEM_FIELDS = ("ca", "crt", "key")
_OWN_FIELDS = ("endpoints", "nodes", "cluster", *_PEM_FIELDS)


def _parse_context(value: Any, where: str) -> Context:
    data = _mapping(value or {}, where)
    return Context(
        endpoints=_texts(data.get("endpoints"), f"{where}.endpoints"),
        nodes=_texts(data.get("nodes"), f"{where}.nodes"),
        cluster=_text(data.get("cluster"), f"{where}.cluster"),
        extra={key: item for key, item in data.items() if key not in _OWN_FIELDS},
        **{field: _decode(_text(data.get(field), f"{where}.{field}"), f"{where}.{field}") for field in _PEM_FIELDS},
    )


def _render_context(context: Context) -> dict[str, Any]:
    shown: dict[str, Any] = {"endpoints": list(context.endpoints)}
    if context.nodes:
        shown["nodes"] = list(context.nodes)
    for field in _PEM_FIELDS:
        if pem := getattr(context, field):
            shown[field] = base64.b64encode(pem.encode()).decode()
    if context.cluster:
        shown["cluster"] = context.cluster
    return {**shown, **context.extra}


def _decode(text: str, where: str) -> str:
    try:
        return base64.b64decode(text, validate=True).decode()
    except ValueError:
        raise TalosconfigError(f"{where}: expected PEM text in base64") from None


def _mapping(value: Any, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise TalosconfigError(f"{where}: expected a mapping")
    return value


def _text(value: Any, where: str) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        raise TalosconfigError(f"{where}: expected text")
    return value


def _texts(value: Any, where: str) -> tuple[str, ...]:
    if value is None:
        return ()
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise TalosconfigError(f"{where}: expected a list of texts")
    return tuple(value)
