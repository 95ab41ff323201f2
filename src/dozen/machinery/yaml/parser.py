"""From text to nodes: YAML's block and flow structures, by recursive descent over a `Cursor`.

The whole of YAML 1.2 that configuration is written in: block and flow collections, all scalar styles, anchors and
aliases, tags (which say no more here than that a scalar is not plain), several documents, directives (which are
skipped), keys behind ``?``. Not accepted, on purpose: keys that are collections, and aliases within what they name.
"""

from __future__ import annotations

from typing import TypeVar

from dozen.machinery.yaml.cursor import END, Cursor, Fault
from dozen.machinery.yaml.pairs import Pairs
from dozen.machinery.yaml.tree import Flaw, Node, Scalar, SeqNode, YamlError

_NodeT = TypeVar("_NodeT", bound=Node)

MAX_NODES = 200_000
MAX_DEPTH = 100


def parse(text: str, source: str) -> list[Node]:
    """All documents of a text, empty ones included. Raises YamlError with all flaws that could be found."""
    flaws: list[Flaw] = []
    documents: list[Node] = []
    try:
        documents = _Parser(text, flaws).stream()
    except Fault as fault:
        flaws.append(Flaw(fault.line, fault.message))
    if flaws:
        raise YamlError(source, flaws)
    return documents


class _Parser:
    """``flaws`` collects what is wrong without hiding what follows; a `Fault` ends the reading."""

    def __init__(self, text: str, flaws: list[Flaw]) -> None:
        self.flaws = flaws
        self.at = Cursor(text)
        self.count = 0
        self.depth = 0
        self.anchors: dict[str, tuple[Node, int]] = {}

    def stream(self) -> list[Node]:
        documents: list[Node] = []
        at = self.at
        while True:
            at.skip()
            while at.char == "%" and not at.column:
                at.pos = at.text.index("\n", at.pos)
                at.skip()
            if at.at_end:
                return documents
            if at.at_marker():
                closing = at.char == "."
                at.pos += 3
                if closing:
                    if not at.skip() and not at.at_end:
                        at.fail("expected the end of the line")
                    continue
            self.anchors = {}
            documents.append(self.block_node(-1, compact=True))
            crossed = at.skip()
            if not at.at_end and not at.at_marker():
                at.fail("this is not part of what stands above" if crossed else "expected the end of the line")

    # Nodes

    def block_node(self, indent: int, *, compact: bool, in_mapping: bool = False) -> Node:
        """A node below a block that is indented by ``indent``.

        ``compact``: a collection may begin on this very line. ``in_mapping``: a list may stand at the same column as
        the key above it.
        """
        at, line, before = self.at, self.at.line, self.count
        crossed = at.skip()
        if self._nothing_here(indent, crossed, in_mapping):
            return self._made(Scalar(line, "", True))
        fresh = crossed or compact
        held = (at.pos, at.line, at.start)
        anchor, tagged = self._properties()
        if anchor or tagged:
            crossed = at.skip()
            if self._nothing_here(indent, crossed, in_mapping):
                return self._named(anchor, Scalar(line, "", not tagged), before)
            if fresh and not crossed and self._key_ahead():
                # What stands before a key on its line belongs to the key.
                at.pos, at.line, at.start = held
                anchor, tagged = "", False
            else:
                fresh = crossed
        return self._named(anchor, self._content(indent, fresh, tagged), before)

    def _nothing_here(self, indent: int, crossed: bool, in_mapping: bool) -> bool:
        at = self.at
        if at.at_end or at.at_marker():
            return True
        if not crossed:
            return False
        at.refuse_tab()
        dash = in_mapping and at.char == "-" and at.blank_behind()
        return at.column < indent or (at.column == indent and not dash)

    def _content(self, indent: int, fresh: bool, tagged: bool) -> Node:
        at, line = self.at, self.at.line
        self._deeper(line)
        try:
            char = at.char
            if char in "|>":
                return self._made(Scalar(line, at.block(indent), False))
            if char == "-" and at.blank_behind():
                return self._block_sequence(fresh)
            if self._key_ahead():
                return self._block_mapping(fresh)
            if char == "*":
                return self._alias()
            found = self._flow_node() if char in "[{" else self._scalar(indent, tagged, flow=False)
            self._refuse_colon()
            return found
        finally:
            self.depth -= 1

    def _scalar(self, indent: int, tagged: bool, flow: bool) -> Scalar:
        at, line = self.at, self.at.line
        if at.char in "\"'":
            return self._made(Scalar(line, at.quoted(), False))
        return self._made(Scalar(line, at.plain(indent, flow)[0], not tagged))

    def _refuse_colon(self) -> None:
        at = self.at
        while at.char in " \t":
            at.pos += 1
        if at.char == ":" and at.blank_behind():
            at.fail("a key cannot stand here; quote the text if the colon belongs to it")

    # Blocks

    def _key_ahead(self) -> bool:
        """Whether a key of a block mapping begins here: on one line with a colon behind it, or with ``?`` before it."""
        at = self.at
        if at.char == "?" and at.blank_behind():
            return True
        held = (at.pos, at.line, at.start)
        try:
            self._properties()
            while at.char in " \t":
                at.pos += 1
            if at.char in "\"'":
                at.quoted()
            elif at.char == "*":
                self._word()
            elif at.char in "[{|>" or (at.char == "-" and at.blank_behind()):
                return False
            elif not (at.char == ":" and at.blank_behind()):
                at.plain(1 << 30, False)
            while at.char in " \t":
                at.pos += 1
            return at.line == held[1] and at.char == ":" and at.blank_behind()
        except Fault:
            return False
        finally:
            at.pos, at.line, at.start = held

    def _block_mapping(self, fresh: bool) -> Node:
        at = self.at
        if not fresh:
            at.fail("a mapping cannot begin on the line of another key; quote the text if the colon belongs to it")
        at.refuse_tab()
        column, pairs = at.column, Pairs(self.flaws, at.line)
        while True:
            explicit = at.char == "?" and at.blank_behind()
            key, line = self._block_key(column)
            if at.char == ":" and at.blank_behind():
                at.pos += 1
                value = self.block_node(column, compact=explicit, in_mapping=True)
            else:
                value = self._made(Scalar(line, "", True))
            pairs.add(key, line, value)
            if not self._next_entry(column):
                return self._made(pairs.node())
            if not self._key_ahead():
                at.fail("expected a key and a colon")

    def _block_key(self, column: int) -> tuple[Scalar | None, int]:
        """A key and its line, the cursor at the colon. None for a key that is no scalar."""
        at, line = self.at, self.at.line
        if at.char == "?" and at.blank_behind():
            at.pos += 1
            found = self.block_node(column, compact=True)
            self._next_entry(column)
        else:
            anchor, tagged = self._properties()
            at.skip()
            before = self.count
            if at.char == "*":
                found = self._alias()
            elif at.char == ":" and at.blank_behind():
                at.fail("a key is missing before the colon")
            else:
                found = self._scalar(1 << 30, tagged, flow=False)
            found = self._named(anchor, found, before)
            while at.char in " \t":
                at.pos += 1
        return (found if isinstance(found, Scalar) else None), line

    def _block_sequence(self, fresh: bool) -> Node:
        at = self.at
        if not fresh:
            at.fail("a list cannot begin on the line of a key")
        at.refuse_tab()
        column, line = at.column, at.line
        items: list[Node] = []
        while True:
            at.pos += 1
            items.append(self.block_node(column, compact=True))
            if not self._next_entry(column) or not (at.char == "-" and at.blank_behind()):
                return self._made(SeqNode(line, items))

    def _next_entry(self, column: int) -> bool:
        """To the next entry of the block at ``column``; False at the block's end."""
        at = self.at
        crossed = at.skip()
        if at.at_end or at.at_marker():
            return False
        if not crossed and not at.first_on_line:
            at.fail("expected the end of the line")
        at.refuse_tab()
        if at.column > column:
            at.fail(f"is indented by {at.column} columns; the entries above it are by {column}")
        return at.column == column

    # Flow

    def _flow_node(self) -> Node:
        at, line, before = self.at, self.at.line, self.count
        self._deeper(line)
        anchor, tagged = self._properties()
        self._flow_skip(line)
        if at.char == "*":
            found: Node = self._alias()
        elif at.char == "[":
            found = self._flow_sequence()
        elif at.char == "{":
            found = self._flow_mapping()
        elif at.char in ",]}" or (at.char == ":" and at.text[at.pos + 1] in " \t\n,[]{}"):
            found = self._made(Scalar(line, "", not tagged))
        else:
            found = self._scalar(-1, tagged, flow=True)
        self.depth -= 1
        return self._named(anchor, found, before)

    def _flow_sequence(self) -> Node:
        at, line = self.at, self.at.line
        items: list[Node] = []
        at.pos += 1
        while True:
            self._flow_skip(line)
            if at.char == "]":
                at.pos += 1
                return self._made(SeqNode(line, items))
            if at.char == ",":
                at.fail("a value is missing before the comma")
            items.append(self._flow_entry(line))
            self._flow_skip(line)
            if at.char == ",":
                at.pos += 1
            elif at.char != "]":
                at.fail(f"expected a comma or ] for the list that begins on line {line}")

    def _flow_entry(self, line: int) -> Node:
        """An item of a list in brackets; ``a: b`` is a mapping of one pair there."""
        at, entry_line = self.at, self.at.line
        explicit = at.char == "?" and at.blank_behind()
        at.pos += explicit
        self._flow_skip(line)
        quoted = at.char in "\"'[{"
        found = self._flow_node()
        self._flow_skip(line)
        if not explicit and not self._flow_colon(quoted):
            return found
        pairs = Pairs(self.flaws, entry_line)
        pairs.add(found if isinstance(found, Scalar) else None, entry_line, self._flow_value(line, quoted))
        return self._made(pairs.node())

    def _flow_mapping(self) -> Node:
        at, line = self.at, self.at.line
        pairs = Pairs(self.flaws, line)
        at.pos += 1
        while True:
            self._flow_skip(line)
            if at.char == "}":
                at.pos += 1
                return self._made(pairs.node())
            if at.char == ",":
                at.fail("a key is missing before the comma")
            at.pos += at.char == "?" and at.blank_behind()
            self._flow_skip(line)
            quoted, key_line = at.char in "\"'[{", at.line
            key = self._flow_node()
            self._flow_skip(line)
            value = self._flow_value(line, quoted)
            pairs.add(key if isinstance(key, Scalar) else None, key_line, value)
            self._flow_skip(line)
            if at.char == ",":
                at.pos += 1
            elif at.char != "}":
                at.fail(f"expected a comma or }} for the mapping that begins on line {line}")

    def _flow_colon(self, quoted: bool) -> bool:
        at = self.at
        return at.char == ":" and (quoted or at.text[at.pos + 1] in " \t\n,[]{}\0")

    def _flow_value(self, line: int, quoted: bool) -> Node:
        if not self._flow_colon(quoted):
            return self._made(Scalar(self.at.line, "", True))
        self.at.pos += 1
        self._flow_skip(line)
        return self._flow_node()

    def _flow_skip(self, line: int) -> None:
        self.at.skip()
        if self.at.at_end or self.at.at_marker():
            self.at.fail("a bracket has no end", line)

    # Properties, aliases, bounds

    def _properties(self) -> tuple[str, bool]:
        """An anchor's name and whether there is a tag, with the blanks behind them."""
        at, anchor, tagged = self.at, "", False
        while at.char in "&!":
            if at.char == "&":
                if anchor:
                    at.fail("a value cannot have two anchors")
                anchor = self._word()
            else:
                if tagged:
                    at.fail("a value cannot have two tags")
                tagged = True
                self._tag()
            while at.char in " \t":
                at.pos += 1
        return anchor, tagged

    def _word(self) -> str:
        """The name behind ``&`` or ``*``."""
        at = self.at
        start = at.pos = at.pos + 1
        while at.char.isalnum() or at.char in "-_":
            at.pos += 1
        if at.pos == start or at.char not in " \t\n,]}:\0":
            at.fail("a name of letters, digits, - and _ is missing")
        return at.text[start : at.pos]

    def _tag(self) -> None:
        at = self.at
        at.pos += 1
        verbatim = at.char == "<"
        while at.char not in (" \t\n" if verbatim else " \t\n,[]{}") and at.char != END:
            at.pos += 1

    def _alias(self) -> Node:
        line = self.at.line
        name = self._word()
        if name not in self.anchors:
            self.at.fail(f'there is no anchor "{name}" above', line)
        node, size = self.anchors[name]
        self._count(size)
        return node

    def _named(self, anchor: str, node: Node, before: int) -> Node:
        if anchor:
            self.anchors[anchor] = (node, self.count - before)
        return node

    def _made(self, node: _NodeT) -> _NodeT:
        self._count(1)
        return node

    def _count(self, nodes: int) -> None:
        self.count += nodes
        if self.count > MAX_NODES:
            self.at.fail(f"more than {MAX_NODES} values, aliases counted where they are used")

    def _deeper(self, line: int) -> None:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            self.at.fail(f"nested deeper than {MAX_DEPTH} levels", line)
