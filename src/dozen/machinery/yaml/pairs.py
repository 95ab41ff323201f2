"""The pairs of a mapping as they are read: unique keys, merge keys."""

from __future__ import annotations

from dozen.machinery.yaml.tree import Flaw, MapNode, Node, Scalar, SeqNode


class Pairs:
    """Collects; a key that is there twice is a flaw, and so is one that is no scalar (``None``)."""

    def __init__(self, flaws: list[Flaw], line: int) -> None:
        self.flaws = flaws
        self.line = line
        self.items: dict[str, Node] = {}
        self.keys: dict[str, int] = {}
        self.merged: list[Node] = []

    def add(self, key: Scalar | None, line: int, value: Node) -> None:
        if key is None:
            self.flaws.append(Flaw(line, "a key must be a scalar"))
        elif key.plain and key.text == "<<":
            self.merged.append(value)
        elif key.text in self.keys:
            words = f'key "{key.text}" is there twice, first on line {self.keys[key.text]}'
            self.flaws.append(Flaw(line, words))
        else:
            self.items[key.text], self.keys[key.text] = value, line

    def node(self) -> MapNode:
        for value in self.merged:
            for source in value.items if isinstance(value, SeqNode) else [value]:
                if not isinstance(source, MapNode):
                    self.flaws.append(Flaw(source.line, "<< merges mappings only"))
                    continue
                for key, item in source.items.items():
                    if key not in self.items:
                        self.items[key], self.keys[key] = item, source.keys[key]
        return MapNode(self.line, self.items, self.keys)
