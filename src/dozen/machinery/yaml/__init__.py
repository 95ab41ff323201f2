"""YAML as people write it for machines: positions kept, no surprises, nothing executed.

Two things are wrong with reading configuration through a stock YAML loader: YAML 1.1 turns ``no`` into false and
``12:30:45`` into a number, and a key written twice silently wins once. And on a node that wants to answer a second
after it started, importing one takes a quarter of that. So text becomes a tree of our own (`tree`), read by a parser
of our own (`parser`): every node knows its line, every scalar keeps the text that was written, and what a plain
scalar means is decided by the YAML 1.2 core schema (`plain_value`) or, better, by the type that the reader wants.
Keys are strings and unique within a mapping; merge keys (``<<``) and aliases work, within bounds, so that a small
file cannot grow into a big one. `dump` (`writer`) is the reverse for plain data.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dozen.machinery.yaml.parser import parse
from dozen.machinery.yaml.tree import (
    Flaw,
    MapNode,
    Node,
    Scalar,
    SeqNode,
    YamlError,
    plain,
    plain_value,
    read_integer,
)

__all__ = [
    "Flaw",
    "MapNode",
    "Node",
    "Scalar",
    "SeqNode",
    "YamlError",
    "dump",
    "dump_documents",
    "dump_nodes",
    "load",
    "load_documents",
    "plain",
    "plain_value",
    "read_integer",
]


def load_documents(text: str, source: str = "text") -> list[Node]:
    """All documents of ``text`` that are not empty. Raises `YamlError` with every flaw that can be told apart."""
    documents = parse(text, source)
    return [node for node in documents if not (isinstance(node, Scalar) and node.null)]


def load(text: str, source: str = "text") -> Any:
    """The plain data of a text with one document (None for an empty one)."""
    documents = load_documents(text, source)
    if len(documents) > 1:
        raise YamlError(source, [Flaw(documents[1].line, "expected one document, found another one")])
    return plain(documents[0]) if documents else None


def dump(value: Any) -> str:
    """Plain data as YAML text, ending with a newline."""
    from dozen.machinery.yaml.writer import dump as write

    return write(value)


def dump_documents(values: Sequence[Any]) -> str:
    """Several documents in one text."""
    return "---\n".join(dump(value) for value in values)


def dump_nodes(nodes: Sequence[Node]) -> str:
    """Documents that were read, as text again; scalars as they were written."""
    from dozen.machinery.yaml.writer import dump_node

    return "---\n".join(dump_node(node) for node in nodes)
