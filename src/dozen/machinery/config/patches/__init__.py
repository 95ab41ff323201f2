"""Changing a configuration by saying only what is to differ.

A *strategic merge patch* (`strategic`) looks like a configuration and is laid over one: what it names is set, what it
does not name stays. A *JSON patch* (`operations`, RFC 6902) is a list of steps for exact places. `read_patch` tells
them apart by their form; `patch` applies any number of them in order and gives the text of the new configuration.
Comments of the old text are not kept.
"""

from __future__ import annotations

from collections.abc import Sequence

from dozen.machinery.config.patches import operations, strategic
from dozen.machinery.config.problems import ConfigError, Problem
from dozen.machinery.yaml import MapNode, Node, SeqNode, YamlError, dump_nodes, load_documents

Patch = strategic.Strategic | operations.JsonPatch

__all__ = ["Patch", "patch", "read_patch"]


def read_patch(text: str, source: str = "patch") -> Patch:
    """A patch from its text, YAML or JSON. Raises ConfigError that names lines of the patch."""
    documents = _documents(text, source)
    if len(documents) == 1 and isinstance(documents[0], SeqNode):
        return operations.read(documents[0], source)
    return strategic.read(documents, source)


def patch(text: str, patches: Sequence[Patch], source: str = "configuration") -> str:
    """The configuration ``text`` with all patches applied, which is not checked yet. Raises ConfigError."""
    documents = _documents(text, source)
    for each in patches:
        documents = each.apply(documents)
    return dump_nodes(documents)


def _documents(text: str, source: str) -> list[Node]:
    try:
        found = load_documents(text, source)
    except YamlError as error:
        raise ConfigError(source, [Problem("", flaw.line, flaw.message) for flaw in error.flaws]) from None
    if not any(isinstance(node, (MapNode, SeqNode)) for node in found):
        raise ConfigError(source, [Problem("", 1, "expected a mapping, or a list of JSON patch operations")])
    return found
