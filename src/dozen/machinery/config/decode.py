"""From YAML nodes to models, strictly, and never stopping at the first problem.

A model is a msgspec struct; its annotations are the schema. For each annotation a *shape* is made once: a function
that takes a node and gives the value, or records a problem with the field's path and line and gives the type's empty
value so that the rest is still looked at. msgspec's own decoder is not used for this: it ends at the first error and
knows no lines. Shapes are made when a field is first met, so a short configuration pays for few of the many models.

What counts as a match follows what people's files rely on: a number or a truth value where text is wanted is taken as
it was written, ``null`` means "not given", ``yes`` and ``on`` are truth values where one is wanted and text
elsewhere.
"""

from __future__ import annotations

import importlib
import sys
import typing
from collections.abc import Callable, Mapping
from types import NoneType, SimpleNamespace, UnionType
from typing import Annotated, Any, Literal, TypeVar, Union

import msgspec

from dozen.machinery.config.problems import Problem, suggest
from dozen.machinery.config.scalars import Duration, FileMode, Pem, Secret, parse_duration, read_mode
from dozen.machinery.yaml import MapNode, Node, Scalar, SeqNode, plain, read_integer

StructT = TypeVar("StructT", bound=msgspec.Struct)
Shape = Callable[["Walk", Node, str], Any]

_TRUE = frozenset(form for word in ("true", "yes", "on", "y") for form in (word, word.title(), word.upper()))
_FALSE = frozenset(form for word in ("false", "no", "off", "n") for form in (word, word.title(), word.upper()))


class Walk:
    """One reading of one text: collects what is wrong."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []

    def flaw(self, path: str, line: int, message: str) -> None:
        self.problems.append(Problem(path, line, message))

    def decode(self, model: type[StructT], node: Node, path: str = "", skip: tuple[str, ...] = ()) -> StructT:
        """``node`` as ``model``; ``skip`` names keys that the caller has dealt with."""
        result: StructT = _decode_struct(self, model, node, path, skip)
        return result


def shape_of(annotation: Any) -> Shape:
    """The shape for an annotation, from the cache when it was met before."""
    try:
        return _SHAPES[annotation]
    except KeyError:
        shape = _SHAPES[annotation] = _make_shape(annotation)
        return shape


def _make_shape(annotation: Any) -> Shape:
    origin = typing.get_origin(annotation)
    arguments = typing.get_args(annotation)
    if origin is Annotated:
        return _annotated(arguments[0], arguments[1])
    if origin in (Union, UnionType):
        return _union([each for each in arguments if each is not NoneType])
    if origin is Literal:
        return _choice(arguments)
    if origin is tuple:
        return _sequence(shape_of(arguments[0]))
    if origin is not None and issubclass(origin, Mapping):
        return _mapping(shape_of(arguments[1]))
    if isinstance(annotation, type) and issubclass(annotation, msgspec.Struct):
        return lambda walk, node, path: _decode_struct(walk, annotation, node, path, ())
    raise TypeError(f"no way to read {annotation!r} from a configuration")


class Field:
    """A field of a model under its name in YAML. Its annotation is text until a value for it is met."""

    __slots__ = ("_annotation", "_module", "name", "required")

    def __init__(self, name: str, annotation: str, module: str, required: bool) -> None:
        self.name = name
        self.required = required
        self._annotation: Any = annotation
        self._module = module

    @property
    def annotation(self) -> Any:
        if isinstance(self._annotation, str):
            names = vars(sys.modules[self._module])
            # Only the standard library may turn text into code on a node, so the work is left to `typing`.
            holder = SimpleNamespace(__annotations__={"it": self._annotation})
            hints = typing.get_type_hints(holder, names, _Later(names), include_extras=True)
            self._annotation = hints["it"]
        return self._annotation


class _Later(dict[str, Any]):
    """Names that a module's annotations use and that it gets from another module when they are first needed.

    Most configurations use few of the many models. A module names those it may do without in ``LATER`` (name → module).
    """

    def __init__(self, names: Mapping[str, Any]) -> None:
        super().__init__()
        self._later: Mapping[str, str] = names.get("LATER", {})

    def __missing__(self, name: str) -> Any:
        module = self._later[name]
        return getattr(importlib.import_module(module), name)


_FIELDS: dict[type, dict[str, Field]] = {}


def fields_of(model: type[msgspec.Struct]) -> Mapping[str, Field]:
    """YAML name → field of a model."""
    if model not in _FIELDS:
        written: dict[str, tuple[str, str]] = {}
        for base in reversed(model.__mro__):
            for name, annotation in vars(base).get("__annotations__", {}).items():
                written[name] = (annotation, base.__module__)
        names, defaults = model.__struct_fields__, model.__struct_defaults__
        first_default = len(names) - len(defaults)
        _FIELDS[model] = {
            encoded: Field(
                name, *written[name], at < first_default or defaults[at - first_default] is msgspec.NODEFAULT
            )
            for at, (name, encoded) in enumerate(zip(names, model.__struct_encode_fields__, strict=True))
        }
    return _FIELDS[model]


def _decode_struct(walk: Walk, model: type[msgspec.Struct], node: Node, path: str, skip: tuple[str, ...]) -> Any:
    fields = fields_of(model)
    values: dict[str, Any] = {}
    if not isinstance(node, MapNode):
        if not (isinstance(node, Scalar) and node.null):
            walk.flaw(path, node.line, f"expected a mapping, found {describe(node)}")
        return _empty(model)
    for key, item in node.items.items():
        field = fields.get(key)
        where = f"{path}.{key}" if path else key
        if field is None:
            if key not in skip:
                walk.flaw(where, node.keys[key], f"unknown field{suggest(key, [*fields, *skip])}")
        elif not (isinstance(item, Scalar) and item.null):
            values[field.name] = shape_of(field.annotation)(walk, item, where)
    for key, field in fields.items():
        if field.required and values.get(field.name, "") == "":
            walk.flaw(f"{path}.{key}" if path else key, node.line, "is required")
            values[field.name] = _blank(field.annotation)
    return model(**values)


def _empty(model: type[msgspec.Struct]) -> Any:
    return model(**{field.name: _blank(field.annotation) for field in fields_of(model).values() if field.required})


def _blank(annotation: Any) -> Any:
    """A stand-in for a value that is missing or wrong; the configuration is refused anyway."""
    if typing.get_origin(annotation) is Annotated:
        return _blank(typing.get_args(annotation)[0])
    if typing.get_origin(annotation) in (tuple, None) and annotation is not Any:
        if isinstance(annotation, type) and issubclass(annotation, msgspec.Struct):
            return _empty(annotation)
        return {str: "", int: 0, bool: False, Secret: Secret(""), Duration: Duration(0)}.get(annotation, ())
    return ""


def describe(node: Node) -> str:
    """What a node is, for "expected …, found …"."""
    if isinstance(node, MapNode):
        return "a mapping"
    if isinstance(node, SeqNode):
        return "a list"
    assert isinstance(node, Scalar)
    if node.null:
        return "nothing"
    short = node.text if len(node.text) <= 40 else node.text[:37] + "…"
    return f'"{short}"'


def _text(walk: Walk, node: Node, path: str) -> str:
    if isinstance(node, Scalar):
        return node.text
    walk.flaw(path, node.line, f"expected text, found {describe(node)}")
    return ""


def _integer(walk: Walk, node: Node, path: str) -> int:
    number = read_integer(node.text) if isinstance(node, Scalar) and node.plain else None
    if number is None:
        walk.flaw(path, node.line, f"expected a whole number, found {describe(node)}")
        return 0
    return number


def _truth(walk: Walk, node: Node, path: str) -> bool:
    if isinstance(node, Scalar) and node.plain and (node.text in _TRUE or node.text in _FALSE):
        return node.text in _TRUE
    walk.flaw(path, node.line, f"expected true or false, found {describe(node)}")
    return False


def _secret(walk: Walk, node: Node, path: str) -> Secret:
    if isinstance(node, Scalar):
        return Secret(node.text)
    walk.flaw(path, node.line, f"expected text, found {describe(node)}")
    return Secret("")


def _parsed(parse: Callable[[str], Any], empty: Any) -> Shape:
    """A scalar whose text ``parse`` turns into the value or refuses with a ValueError."""

    def shape(walk: Walk, node: Node, path: str) -> Any:
        text = _text(walk, node, path)
        if not isinstance(node, Scalar):
            return empty
        try:
            return parse(text)
        except ValueError as error:
            walk.flaw(path, node.line, str(error))
            return empty

    return shape


def _annotated(base: Any, mark: Any) -> Shape:
    inner = shape_of(base)
    if mark is Pem:
        return _pem(base is Secret)

    def shape(walk: Walk, node: Node, path: str) -> Any:
        value = inner(walk, node, path)
        if isinstance(node, Scalar) and node.text and (complaint := mark(node.text)) is not None:
            walk.flaw(path, node.line, complaint)
        return value

    return shape


def _pem(secret: bool) -> Shape:
    """PEM text in base64; the words of a complaint never repeat the content."""

    def shape(walk: Walk, node: Node, path: str) -> Any:
        import binascii

        text = _text(walk, node, path)
        try:
            decoded = binascii.a2b_base64("".join(text.split()).encode(), strict_mode=True).decode()
        except (ValueError, UnicodeError):
            decoded = ""
        if "-----BEGIN " not in decoded and isinstance(node, Scalar) and text:
            walk.flaw(path, node.line, "expected PEM text encoded in base64")
        return Secret(decoded) if secret else decoded

    return shape


def _choice(options: tuple[Any, ...]) -> Shape:
    listed = ", ".join(map(str, options))

    def shape(walk: Walk, node: Node, path: str) -> Any:
        if isinstance(node, Scalar) and node.text in options:
            return node.text
        near = suggest(node.text, options) if isinstance(node, Scalar) else ""
        walk.flaw(path, node.line, f"expected one of {listed}, found {describe(node)}{near}")
        return options[0]

    return shape


def _sequence(member: Shape) -> Shape:
    def shape(walk: Walk, node: Node, path: str) -> Any:
        if not isinstance(node, SeqNode):
            walk.flaw(path, node.line, f"expected a list, found {describe(node)}")
            return ()
        return tuple(member(walk, item, f"{path}[{at}]") for at, item in enumerate(node.items))

    return shape


def _mapping(member: Shape) -> Shape:
    def shape(walk: Walk, node: Node, path: str) -> Any:
        if not isinstance(node, MapNode):
            walk.flaw(path, node.line, f"expected a mapping, found {describe(node)}")
            return {}
        return {key: member(walk, item, f'{path}["{key}"]') for key, item in node.items.items()}

    return shape


def _union(members: list[Any]) -> Shape:
    """Optional values, and the one real union there is: a text or a list of texts."""
    if len(members) == 1:
        return shape_of(members[0])
    lists = [each for each in members if typing.get_origin(each) is tuple]
    others = [each for each in members if typing.get_origin(each) is not tuple]
    if len(lists) != 1 or len(others) != 1:
        raise TypeError(f"no way to tell {members!r} apart")
    as_list, as_other = shape_of(lists[0]), shape_of(others[0])
    return lambda walk, node, path: (as_list if isinstance(node, SeqNode) else as_other)(walk, node, path)


_SHAPES: dict[Any, Shape] = {
    str: _text,
    int: _integer,
    bool: _truth,
    Secret: _secret,
    Any: lambda _walk, node, _path: plain(node),
    Duration: _parsed(parse_duration, Duration(0)),
    FileMode: _parsed(lambda text: FileMode(read_mode(text)), FileMode(0)),
}
