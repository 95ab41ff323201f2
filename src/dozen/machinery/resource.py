"""What a resource is: the typed record that everything on a node is described by.

A node's whole state is a set of *resources*: small typed records, each with a key (namespace, type, id), a version that
grows by one with every change, and a *spec* that says what is desired (``…Spec``) or what was observed (``…Status``).
Controllers and watchers talk to each other only by putting resources into the store; the API serves the same records
to the outside, so what an operator sees is what the node itself works with.

This module holds the vocabulary. The store that keeps resources is `dozen.engine.store`.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Generic, TypeVar

import msgspec

SpecT = TypeVar("SpecT", bound=msgspec.Struct)
SpecT_co = TypeVar("SpecT_co", bound=msgspec.Struct, covariant=True)

NO_LABELS: Mapping[str, str] = MappingProxyType({})


class Phase(StrEnum):
    """A resource is live, or on its way out and waiting for its finalizers."""

    RUNNING = "running"
    TEARING_DOWN = "tearingDown"


class Sensitivity(StrEnum):
    """Who may read a kind over the API: anyone who may read at all, or administrators only."""

    NON_SENSITIVE = "non-sensitive"
    SENSITIVE = "sensitive"


class Kind(msgspec.Struct, Generic[SpecT_co], frozen=True, eq=False):
    """The definition of one type of resource; compared by identity, one object per type.

    ``name`` is the wire name (``LinkStatuses.net.talos.dev``), ``namespace`` the one that a resource of the kind is in
    unless said otherwise, ``columns`` are (title, JSONPath over the YAML spec) pairs for tables. ``shortened`` says
    whether the kind may also be asked for by its name with labels cut from the right. A ``fleeting`` kind changes
    without end, as figures do: little of its past is worth its memory.
    """

    name: str
    namespace: str
    spec: type[SpecT_co]
    display: str
    aliases: tuple[str, ...] = ()
    columns: tuple[tuple[str, str], ...] = ()
    sensitivity: Sensitivity = Sensitivity.NON_SENSITIVE
    shortened: bool = True
    fleeting: bool = False

    def __repr__(self) -> str:
        return f"<Kind {self.name}>"


class Key(msgspec.Struct, frozen=True, order=True):
    """What a resource is found by."""

    namespace: str
    type: str
    id: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.type}/{self.id}"


class Metadata(msgspec.Struct, frozen=True, gc=False):
    """All of a resource but its spec. ``created`` and ``updated`` are seconds since the epoch (UTC)."""

    namespace: str
    type: str
    id: str
    version: int
    owner: str
    phase: Phase
    created: float
    updated: float
    finalizers: tuple[str, ...] = ()
    labels: Mapping[str, str] = NO_LABELS
    annotations: Mapping[str, str] = NO_LABELS

    @property
    def key(self) -> Key:
        return Key(self.namespace, self.type, self.id)


class Resource(msgspec.Struct, Generic[SpecT_co], frozen=True, gc=False):
    """One record: immutable; a change is a new object with the next version."""

    metadata: Metadata
    spec: SpecT_co

    @property
    def id(self) -> str:
        return self.metadata.id
