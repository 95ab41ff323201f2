"""JSON patches (RFC 6902): add, remove, replace, move, copy and test at places named by JSON pointers (RFC 6901).

A patch works on the v1alpha1 document, or on the only document when there is no such one. It applies as a whole or not
at all; a complaint names the operation by its number from 0, its line and its path.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from dozen.machinery.config.problems import ConfigError, Problem
from dozen.machinery.yaml import MapNode, Node, SeqNode, plain

NEEDS = {
    "add": ("value",),
    "replace": ("value",),
    "test": ("value",),
    "remove": (),
    "move": ("from",),
    "copy": ("from",),
}


class PatchError(ValueError):
    """An operation that cannot be carried out."""


class Operation(msgspec.Struct, frozen=True):
    """``path`` and ``source`` (RFC: "from") are pointers taken apart; ``line`` is the operation's in the patch."""

    op: str
    path: tuple[str, ...]
    value: Node | None
    source: tuple[str, ...]
    line: int


class JsonPatch(msgspec.Struct, frozen=True):
    """A patch that was read; ``source`` names it in complaints."""

    operations: tuple[Operation, ...]
    source: str

    def apply(self, documents: Sequence[Node]) -> list[Node]:
        """New documents; the given ones are left as they are. Raises ConfigError."""
        at = self._target(documents)
        # A place of its own for the document makes replacing the whole of it an ordinary step.
        root = SeqNode(documents[at].line, [_copy(documents[at])])
        for number, operation in enumerate(self.operations):
            try:
                _run(root, operation)
            except PatchError as error:
                problem = Problem(f"[{number}]", operation.line, f"{operation.op} {pointer(operation.path)}: {error}")
                raise ConfigError(self.source, [problem]) from None
        return [root.items[0] if index == at else each for index, each in enumerate(documents)]

    def _target(self, documents: Sequence[Node]) -> int:
        mains = [at for at, each in enumerate(documents) if isinstance(each, MapNode) and "kind" not in each.items]
        if mains or len(documents) == 1:
            return mains[0] if mains else 0
        words = "there is no v1alpha1 document for a JSON patch to work on; use a strategic merge patch"
        raise ConfigError(self.source, [Problem("", 0, words)])


def read(node: SeqNode, source: str) -> JsonPatch:
    """Raises ConfigError with everything that is wrong with the operations."""
    problems: list[Problem] = []
    found = []
    for at, each in enumerate(node.items):
        complaint = _complaint(each)
        if complaint:
            problems.append(Problem(f"[{at}]", each.line, complaint))
            continue
        assert isinstance(each, MapNode)
        steps, start = parse_pointer(each.text("path") or ""), parse_pointer(each.text("from") or "")
        found.append(Operation(each.text("op") or "", steps, each.items.get("value"), start, each.line))
    if problems:
        raise ConfigError(source, problems)
    return JsonPatch(tuple(found), source)


def _complaint(node: Node) -> str:
    if not isinstance(node, MapNode):
        return "expected an operation: a mapping with op and path"
    op = node.text("op")
    if op not in NEEDS:
        return f"op: expected one of {', '.join(NEEDS)}" + (f', found "{op}"' if op else "")
    for field in ("path", *NEEDS[op]):
        if field not in node.items:
            return f"{field} is required for {op}"
    for field in ("path", "from"):
        text = node.text(field)
        if field in node.items and (text is None or (text and not text.startswith("/"))):
            return f'{field}: expected a JSON pointer like /machine/network, found "{text}"'
    return ""


def parse_pointer(text: str) -> tuple[str, ...]:
    """The steps of a pointer; of "" there are none."""
    return tuple(step.replace("~1", "/").replace("~0", "~") for step in text.split("/")[1:])


def pointer(steps: Sequence[str]) -> str:
    return "".join("/" + step.replace("~", "~0").replace("/", "~1") for step in steps) or '""'


def _run(root: SeqNode, operation: Operation) -> None:
    path = ("0", *operation.path)
    source = ("0", *operation.source)
    if operation.op == "test":
        assert operation.value is not None
        found = _get(root, path)
        if not same(plain(found), plain(operation.value)):
            raise PatchError("the value there is another one")
    elif operation.op == "remove":
        _remove(root, path)
    elif operation.op == "replace":
        assert operation.value is not None
        _get(root, path)
        _set(root, path, _copy(operation.value))
    elif operation.op == "add":
        assert operation.value is not None
        _add(root, path, _copy(operation.value))
    elif operation.op == "copy":
        _add(root, path, _copy(_get(root, source)))
    else:
        if path[: len(source)] == source and path != source:
            raise PatchError("a value cannot be moved into itself")
        value = _get(root, source)
        _remove(root, source)
        _add(root, path, value)


def same(one: object, other: object) -> bool:
    """Equality as RFC 6902, 4.6 has it: numbers by value, and true is no 1."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    return one == other


def _copy(node: Node) -> Node:
    if isinstance(node, MapNode):
        return MapNode(node.line, {key: _copy(value) for key, value in node.items.items()}, dict(node.keys))
    if isinstance(node, SeqNode):
        return SeqNode(node.line, [_copy(each) for each in node.items])
    return node


def _get(node: Node, path: Sequence[str]) -> Node:
    for at, step in enumerate(path):
        if isinstance(node, MapNode) and step in node.items:
            node = node.items[step]
        elif isinstance(node, SeqNode):
            node = node.items[_index(step, len(node.items) - 1)]
        else:
            raise PatchError(f"there is no {pointer(path[1 : at + 1])}")
    return node


def _index(step: str, last: int) -> int:
    """RFC 6901, 4: digits without leading zeros."""
    if not (step.isascii() and step.isdigit()) or (step[0] == "0" and step != "0"):
        raise PatchError(f'expected the index of a list, found "{step}"')
    if len(step) > 9 or int(step) > last:
        raise PatchError(f"the list has no index {step}")
    return int(step)


def _add(root: SeqNode, path: Sequence[str], value: Node) -> None:
    parent = _get(root, path[:-1])
    if isinstance(parent, SeqNode) and parent is not root:
        step = path[-1]
        parent.items.insert(len(parent.items) if step == "-" else _index(step, len(parent.items)), value)
    else:
        _set(root, path, value)


def _set(root: SeqNode, path: Sequence[str], value: Node) -> None:
    parent, step = _get(root, path[:-1]), path[-1]
    if isinstance(parent, SeqNode):
        parent.items[_index(step, len(parent.items) - 1)] = value
    elif isinstance(parent, MapNode):
        parent.items[step] = value
        parent.keys.setdefault(step, value.line)
    else:
        raise PatchError(f"{pointer(path[1:-1])} is a single value, nothing can be in it")


def _remove(root: SeqNode, path: Sequence[str]) -> None:
    if len(path) == 1:
        raise PatchError("the whole document cannot be removed")
    _get(root, path)
    parent, step = _get(root, path[:-1]), path[-1]
    if isinstance(parent, SeqNode):
        del parent.items[_index(step, len(parent.items) - 1)]
    else:
        assert isinstance(parent, MapNode)
        del parent.items[step], parent.keys[step]
