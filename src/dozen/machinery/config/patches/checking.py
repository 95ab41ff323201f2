"""Checks a part of a configuration: fields that do not exist and values of the wrong type, but nothing that is missing.

A typo in a patch should be found where it was made, with the patch's own lines, not in the merged result.
"""

from __future__ import annotations

from dozen.machinery.config.decode import Walk
from dozen.machinery.config.loading import kind_problem
from dozen.machinery.config.problems import Problem
from dozen.machinery.yaml import MapNode, Node, Scalar, SeqNode

MARK = "$patch"
IS_REQUIRED = "is required"


def check(document: MapNode) -> list[Problem]:
    """All problems of one document of a patch."""
    marks = list(_wrong_marks(document, ""))
    bare = _without_marks(document)
    assert isinstance(bare, MapNode)
    walk = Walk()
    if "kind" in bare.items or "apiVersion" in bare.items:
        from dozen.machinery.config.documents import model_of

        if (problem := kind_problem(bare)) is not None:
            return [*marks, problem]
        kind = bare.items["kind"]
        assert isinstance(kind, Scalar)
        walk.decode(model_of(kind.text), bare, skip=("apiVersion", "kind"))
    else:
        from dozen.machinery.config.cluster import V1Alpha1

        walk.decode(V1Alpha1, bare)
    return marks + [problem for problem in walk.problems if problem.message != IS_REQUIRED]


def _without_marks(node: Node) -> Node:
    """The same without what is to be deleted, which is no value of its field."""
    if isinstance(node, MapNode):
        kept = {key: value for key, value in node.items.items() if key != MARK and not _marked(value)}
        return MapNode(node.line, {key: _without_marks(value) for key, value in kept.items()}, dict(node.keys))
    if isinstance(node, SeqNode):
        return SeqNode(node.line, [_without_marks(each) for each in node.items if not _marked(each)])
    return node


def _marked(node: Node) -> bool:
    return isinstance(node, MapNode) and MARK in node.items


def _wrong_marks(node: Node, path: str) -> list[Problem]:
    found: list[Problem] = []
    if isinstance(node, MapNode):
        mark = node.items.get(MARK)
        if mark is not None and not (isinstance(mark, Scalar) and mark.text == "delete"):
            found.append(Problem(path, node.keys[MARK], 'the only value for "$patch" is delete'))
        for key, value in node.items.items():
            found += _wrong_marks(value, f"{path}.{key}" if path else key)
    elif isinstance(node, SeqNode):
        for at, value in enumerate(node.items):
            found += _wrong_marks(value, f"{path}[{at}]")
    return found
