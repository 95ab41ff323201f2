"""Expressions of the Common Expression Language, as far as configurations use them to choose links, disks and victims.

    expression = parse('glob("virtio*", link.driver) && link.mtu > 1000', ("link",))
    expression({"link": {"driver": "virtio_net", "mtu": 1500}})  # True

An expression has no loops but over what it is given, no assignments, and cannot reach anything that is not among its
variables, so evaluating one ends soon and has no effects. What is understood of it (cel-spec, doc/langdef.md):
literals but for bytes, lists and maps, fields and indexes, the operators, ``has``, ``exists``, ``all``, optional values
(``hasValue``, ``orValue``, ``value``), conversions, durations, and the usual functions of texts but for regular
expressions. Signed and unsigned numbers are the same here, and types are looked at while evaluating.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from dozen.machinery import celvalues as values
from dozen.machinery.celvalues import CelError, Duration, Maybe

__all__ = ["CelError", "Duration", "Expression", "Maybe", "parse"]

Scope = Mapping[str, Any]
Node = Callable[[Scope], Any]

LONGEST = 4096  # characters
MOST = 500  # words and signs: operators in a row are calls within each other when they are evaluated
DEEPEST = 30  # expressions in expressions
TOKEN = re.compile(
    r"""(?:\s|//[^\n]*)*(?:
        (?P<number>0[xX][0-9a-fA-F]+[uU]?|(?:\d+\.\d+|\d+|\.\d+)(?:[eE][+-]?\d+)?[uU]?)
        |(?P<text>[rR]?(?:"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'))
        |(?P<name>[A-Za-z_]\w*)
        |(?P<sign>&&|\|\||==|!=|<=|>=|[-+*/%!<>?:.,()\[\]{}])
        |(?P<end>\Z))""",
    re.VERBOSE | re.ASCII,
)
CONSTANTS = {"true": True, "false": False, "null": None}
RELATIONS = ("==", "!=", "<", "<=", ">", ">=", "in")


class Token(NamedTuple):
    kind: str
    text: str
    at: int


class Expression:
    """A parsed expression; call it with values for its variables. Raises `CelError`."""

    def __init__(self, text: str, node: Node) -> None:
        self.text = text
        self._node = node

    def __call__(self, scope: Scope) -> Any:
        return self._node(scope)

    def truth(self, scope: Scope) -> bool:
        """The same of an expression that says yes or no."""
        found = self._node(scope)
        if not isinstance(found, bool):
            raise CelError(f"{self.text}: expected true or false, found {values.show(found)}")
        return found

    def number(self, scope: Scope) -> float:
        """The same of an expression that says how much."""
        found = self._node(scope)
        if isinstance(found, bool) or not isinstance(found, (int, float)):
            raise CelError(f"{self.text}: expected a number, found {values.show(found)}")
        return float(found)


def parse(text: str, variables: Iterable[str]) -> Expression:
    """Raises `CelError` for what cannot be read, and for a name that is none of the variables."""
    if len(text) > LONGEST:
        raise CelError(f"an expression of {len(text)} characters; {LONGEST} are the most")
    return Expression(text, _Parser(text, frozenset(variables)).whole())


def _tokens(text: str) -> list[Token]:
    found: list[Token] = []
    at = 0
    while True:
        match = TOKEN.match(text, at)
        if match is None or match.lastgroup is None:
            rest = text[at:].lstrip()
            raise CelError(f'cannot read "{rest[:20]}"')
        if len(found) > MOST:
            raise CelError(f"more than {MOST} words and signs")
        found.append(Token(match.lastgroup, match[match.lastgroup], match.start(match.lastgroup)))
        if match.lastgroup == "end":
            return found
        at = match.end()


class _Parser:
    """Recursive descent; each method reads one level of precedence and gives a function of the scope."""

    def __init__(self, text: str, variables: frozenset[str]) -> None:
        self._tokens = _tokens(text)
        self._at = 0
        self._variables = variables
        self._depth = 0

    def whole(self) -> Node:
        node = self._expression()
        if self._next.kind != "end":
            raise self._unexpected("an operator or the end")
        return node

    @property
    def _next(self) -> Token:
        return self._tokens[self._at]

    def _unexpected(self, wanted: str) -> CelError:
        token = self._next
        found = f'"{token.text}"' if token.kind != "end" else "the end"
        return CelError(f"at character {token.at + 1}: expected {wanted}, found {found}")

    def _take(self, *signs: str) -> str:
        """The next sign if it is one of these, else nothing."""
        token = self._next
        if token.kind not in ("sign", "name") or token.text not in signs:
            return ""
        self._at += 1
        return token.text

    def _want(self, sign: str) -> None:
        if not self._take(sign):
            raise self._unexpected(f'"{sign}"')

    def _expression(self) -> Node:
        self._depth += 1
        if self._depth > DEEPEST:
            raise CelError(f"more than {DEEPEST} expressions within each other")
        node = self._either()
        if self._take("?"):
            yes = self._expression()
            self._want(":")
            node = _choice(node, yes, self._expression())
        self._depth -= 1
        return node

    def _either(self) -> Node:
        node = self._both()
        while self._take("||"):
            node = _decided(node, self._both(), by=True)
        return node

    def _both(self) -> Node:
        node = self._relation()
        while self._take("&&"):
            node = _decided(node, self._relation(), by=False)
        return node

    def _relation(self) -> Node:
        node = self._sum()
        while sign := self._take(*RELATIONS):
            node = _binary(values.RELATIONS[sign], node, self._sum())
        return node

    def _sum(self) -> Node:
        node = self._product()
        while sign := self._take("+", "-"):
            node = _binary(values.ARITHMETIC[sign], node, self._product())
        return node

    def _product(self) -> Node:
        node = self._signed()
        while sign := self._take("*", "/", "%"):
            node = _binary(values.ARITHMETIC[sign], node, self._signed())
        return node

    def _signed(self) -> Node:
        signs = []
        while sign := self._take("!", "-"):
            signs.append(sign)
        node = self._member()
        for sign in reversed(signs):
            node = _unary(values.negate if sign == "-" else values.invert, node)
        return node

    def _member(self) -> Node:
        node = self._primary()
        while sign := self._take(".", "["):
            if sign == "[":
                node = _binary(values.index, node, self._expression())
                self._want("]")
                continue
            name = self._name("the name of a field")
            node = self._method(node, name) if self._take("(") else _field(node, name)
        return node

    def _name(self, wanted: str) -> str:
        if self._next.kind != "name":
            raise self._unexpected(wanted)
        self._at += 1
        return self._tokens[self._at - 1].text

    def _method(self, receiver: Node, name: str) -> Node:
        if name in ("exists", "all"):
            return self._quantifier(receiver, name)
        return _call(values.METHODS.get(name), name, [receiver, *self._list(")")])

    def _quantifier(self, receiver: Node, name: str) -> Node:
        """``list.exists(each, condition)``."""
        each = self._name("a name for each of the elements")
        self._want(",")
        known, self._variables = self._variables, self._variables | {each}
        condition = self._expression()
        self._variables = known
        self._want(")")
        return _quantified(receiver, each, condition, some=name == "exists")

    def _primary(self) -> Node:
        token = self._next
        if token.kind == "number":
            self._at += 1
            return _constant(values.read_number(token.text))
        if token.kind == "text":
            self._at += 1
            return _constant(values.read_text(token.text))
        if token.kind == "name" and token.text != "in":
            self._at += 1
            return self._named(token)
        if self._take("("):
            node = self._expression()
            self._want(")")
            return node
        if self._take("["):
            parts = self._list("]")
            return lambda scope: [part(scope) for part in parts]
        if self._take("{"):
            return self._map()
        raise self._unexpected("a value")

    def _named(self, token: Token) -> Node:
        if self._take("("):
            if token.text == "has":
                return self._presence()
            return _call(values.FUNCTIONS.get(token.text), token.text, self._list(")"))
        if token.text in CONSTANTS:
            return _constant(CONSTANTS[token.text])
        if token.text not in self._variables:
            known = ", ".join(sorted(self._variables)) or "none"
            raise CelError(f'at character {token.at + 1}: there is no variable "{token.text}"; there are: {known}')
        return lambda scope: scope[token.text]

    def _presence(self) -> Node:
        """``has(a.b)``: whether a field is there and says something."""
        start = self._at
        node = self._member()
        self._want(")")
        if self._at - start < 4 or self._tokens[self._at - 3].text != ".":
            raise CelError(f"at character {self._tokens[start].at + 1}: has() asks for a field, as in has(a.b)")

        def asked(scope: Scope) -> bool:
            try:
                return node(scope) not in (None, "", 0, [], {})
            except CelError:
                return False

        return asked

    def _list(self, end: str) -> list[Node]:
        found: list[Node] = []
        while not self._take(end):
            if found:
                self._want(",")
                if self._take(end):
                    break
            found.append(self._expression())
        return found

    def _map(self) -> Node:
        found: list[tuple[Node, Node]] = []
        while not self._take("}"):
            if found:
                self._want(",")
                if self._take("}"):
                    break
            key = self._expression()
            self._want(":")
            found.append((key, self._expression()))
        return lambda scope: values.make_map((key(scope), value(scope)) for key, value in found)


def _constant(value: Any) -> Node:
    return lambda scope: value


def _unary(function: Callable[[Any], Any], node: Node) -> Node:
    return lambda scope: function(node(scope))


def _binary(function: Callable[[Any, Any], Any], left: Node, right: Node) -> Node:
    return lambda scope: function(left(scope), right(scope))


def _field(node: Node, name: str) -> Node:
    return lambda scope: values.select(node(scope), name)


def _choice(condition: Node, yes: Node, no: Node) -> Node:
    return lambda scope: yes(scope) if values.as_bool(condition(scope)) else no(scope)


def _decided(left: Node, right: Node, *, by: bool) -> Node:
    """``||`` is decided by a true side, ``&&`` by a false one, even if the other side cannot be evaluated."""

    def evaluate(scope: Scope) -> bool:
        try:
            if values.as_bool(left(scope)) is by:
                return by
        except CelError:
            if values.as_bool(right(scope)) is by:
                return by
            raise
        return values.as_bool(right(scope))

    return evaluate


def _quantified(receiver: Node, each: str, condition: Node, *, some: bool) -> Node:
    def evaluate(scope: Scope) -> bool:
        found = receiver(scope)
        if not values.is_many(found):
            raise CelError(f"expected a list, found {values.show(found)}")
        answers = (values.as_bool(condition({**scope, each: value})) for value in found)
        return any(answers) if some else all(answers)

    return evaluate


def _call(function: values.Function | None, name: str, arguments: list[Node]) -> Node:
    if function is None:
        raise CelError(f"there is no function {name}()")
    run, count = function
    if len(arguments) != count:
        raise CelError(f"{name}() does not take as many arguments")
    return lambda scope: run(*(argument(scope) for argument in arguments))
