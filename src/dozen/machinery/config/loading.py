"""From a text to a `Config`: the documents of a machine configuration, decoded and checked.

A configuration is one or more YAML documents: at most one with ``version: v1alpha1``, the others each with
``apiVersion`` and ``kind``. Loading decodes all of them strictly, then checks what no single field can know
(`rules`); every problem of every document is in the one `ConfigError` that refuses the text.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, TypeVar

import msgspec

from dozen.machinery.config.decode import Walk
from dozen.machinery.config.model import Document
from dozen.machinery.config.problems import ConfigError, Problem, suggest
from dozen.machinery.yaml import MapNode, Node, YamlError, load_documents

if TYPE_CHECKING:
    from dozen.machinery.config.cluster import Cluster, V1Alpha1
    from dozen.machinery.config.machine import Machine

DocumentT = TypeVar("DocumentT", bound=Document)
API_VERSION = "v1alpha1"


class Part(msgspec.Struct, frozen=True):
    """One document beside the main one: its kind, its name (empty for kinds without), the model and where it stood."""

    kind: str
    name: str
    model: Document
    node: MapNode


class Config:
    """A machine configuration that has been read. What it means for a subject is in `effective`."""

    def __init__(self, text: str, main: V1Alpha1 | None, main_node: MapNode | None, parts: Sequence[Part]) -> None:
        self.text = text
        self.main = main
        self.main_node = main_node
        self.parts = tuple(parts)

    def __repr__(self) -> str:
        return f"<Config main={self.main!r} documents={[part.kind for part in self.parts]}>"

    @property
    def machine(self) -> Machine | None:
        return self.main.machine if self.main else None

    @property
    def cluster(self) -> Cluster | None:
        return self.main.cluster if self.main else None

    @property
    def is_complete(self) -> bool:
        """Whether a node can leave maintenance with it."""
        return self.main is not None

    @property
    def machine_type(self) -> str:
        """``controlplane``, ``worker`` or ``unknown``; the older names mean the same things."""
        kind = self.machine.type if self.machine else "unknown"
        return {"init": "controlplane", "join": "worker"}.get(kind, kind)

    def find(self, model: type[DocumentT]) -> DocumentT | None:
        """The document of this model, for kinds that are there once."""
        return next(iter(self.all(model)), None)

    def all(self, model: type[DocumentT]) -> list[DocumentT]:
        return [part.model for part in self.parts if isinstance(part.model, model)]


def load(text: str, source: str = "configuration") -> Config:
    """Read and check. Raises ConfigError with all problems."""
    try:
        nodes = load_documents(text, source)
    except YamlError as error:
        raise ConfigError(source, [Problem("", flaw.line, flaw.message) for flaw in error.flaws]) from None
    walk = Walk()
    reader = _Reader(walk)
    for node in nodes:
        reader.read(node)
    if not nodes:
        walk.flaw("", 1, "the configuration is empty")
    config = Config(text, reader.main, reader.main_node, reader.parts)
    if not walk.problems:
        from dozen.machinery.config.rules import check

        walk.problems.extend(check(config))
    if walk.problems:
        raise ConfigError(source, walk.problems)
    return config


class _Reader:
    """Sorts documents by what they are and decodes each with its model."""

    def __init__(self, walk: Walk) -> None:
        self.walk = walk
        self.main: V1Alpha1 | None = None
        self.main_node: MapNode | None = None
        self.parts: list[Part] = []

    def read(self, node: Node) -> None:
        if not isinstance(node, MapNode):
            self.walk.flaw("", node.line, "expected a document that is a mapping")
        elif "kind" in node.items or "apiVersion" in node.items:
            self._read_part(node)
        else:
            self._read_main(node)

    def _read_main(self, node: MapNode) -> None:
        from dozen.machinery.config.cluster import V1Alpha1

        if self.main_node is not None:
            first = self.main_node.line
            self.walk.flaw("", node.line, f"there is a second v1alpha1 document; the first is on line {first}")
            return
        self.main_node = node
        self.main = self.walk.decode(V1Alpha1, node)

    def _read_part(self, node: MapNode) -> None:
        from dozen.machinery.config.documents import model_of

        kind, version = node.text("kind") or "", (node.text("apiVersion") or "")
        if version != API_VERSION:
            line = node.keys.get("apiVersion", node.line)
            self.walk.flaw("apiVersion", line, f'expected "{API_VERSION}", found "{version}"')
        if (problem := kind_problem(node)) is not None:
            self.walk.problems.append(problem)
            return
        name = node.text("name") or ""
        self._refuse_twin(kind, name, node)
        model = self.walk.decode(model_of(kind), node, skip=("apiVersion", "kind"))
        self.parts.append(Part(kind, name, model, node))

    def _refuse_twin(self, kind: str, name: str, node: MapNode) -> None:
        for part in self.parts:
            if (part.kind, part.name) == (kind, name):
                what = f'{kind} "{name}"' if name else kind
                self.walk.flaw("", node.line, f"there is a second {what}; the first is on line {part.node.line}")


def kind_problem(node: MapNode) -> Problem | None:
    """What is wrong with a document's kind, if anything is."""
    from dozen.machinery.config.documents import KINDS

    kind = node.text("kind") or ""
    if kind in KINDS:
        return None
    what = f'unknown kind "{kind}"{suggest(kind, tuple(KINDS))}' if kind else "is required"
    known = "" if "did you mean" in what else f"; known kinds: {', '.join(sorted(KINDS))}"
    return Problem("kind", node.keys.get("kind", node.line), what + known)
