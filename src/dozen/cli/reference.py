"""``docs/configuration.md``: every field of the machine configuration and what a node does with it, from the models.

``python -m dozen.cli.reference`` writes it; a test holds the file to the models.
"""

from __future__ import annotations

import sys
import typing
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, NamedTuple, Union

import msgspec

from dozen.cli.field_tests import model_in, shown_by
from dozen.machinery.config.cluster import V1Alpha1
from dozen.machinery.config.decode import Field, fields_of
from dozen.machinery.config.documents import KINDS, model_of
from dozen.machinery.config.scalars import Duration, FileMode, Pem, Secret
from dozen.machinery.config.support import SUPPORT, State, Support, support_of

OUTPUT = Path(__file__).parents[3] / "docs" / "configuration.md"
HEAD = """# The machine configuration

Every field that a configuration may have, and what a node does with it. A configuration is one or more YAML documents:
the v1alpha1 one, which has `version: v1alpha1`, and others that have `apiVersion: v1alpha1` and a `kind`. Unknown
fields are refused. **Ignored** fields are accepted, because files in the field have them, and whoever applies them is
warned: in the answer, in `dozenctl validate`, and in `dozenctl get diagnostics`. How configurations are written,
checked and applied is in the [guide](guide.md).

What is used is shown by a test, named as pytest names it below `tests`; `case` stands for one of
`tests/cases/fields`, of which each says what comes of the fields that it sets. They are run by
`unit/node/test_fields.py`, which also shows that something else comes of it when one of them is another.

This page is made from the models by `python -m dozen.cli.reference`.
"""
_WORDS: dict[Any, str] = {
    str: "text",
    int: "number",
    bool: "true or false",
    Secret: "secret text",
    Duration: "duration",
    FileMode: "octal permissions",
    Any: "data",
}


class Row(NamedTuple):
    """A field, and what the node does with it."""

    path: str
    field: Field
    support: Support


def render() -> str:
    """The whole page."""
    tests = shown_by()
    parts = [HEAD, "## The v1alpha1 document\n", *_table(rows_of(V1Alpha1, ""), tests)]
    unused = [kind for kind in sorted(KINDS) if _support(f"{kind}:").state is not State.USED]
    for kind in sorted(set(KINDS) - set(unused)):
        parts += [f"\n## {kind}\n", *_table(rows_of(model_of(kind), f"{kind}:"), tests)]
    parts += ["\n## Documents that are checked and have no effect\n", "| kind | the node |", "|---|---|"]
    parts += [f"| `{kind}` | {_does(_support(f'{kind}:'))} |" for kind in unused]
    return "\n".join(parts) + "\n"


def _support(path: str) -> Support:
    support = support_of(path)
    assert support is not None, path
    return support


def all_rows() -> Iterator[Row]:
    """The rows of all tables of fields."""
    yield from rows_of(V1Alpha1, "")
    for kind in sorted(KINDS):
        if _support(f"{kind}:").state is State.USED:
            yield from rows_of(model_of(kind), f"{kind}:")


def rows_of(model: type[msgspec.Struct], prefix: str) -> Iterator[Row]:
    """A row for each field without fields of its own; what is not used as a whole is one row."""
    for name, field in fields_of(model).items():
        path = f"{prefix}{name}" if not prefix or prefix.endswith(":") else f"{prefix}.{name}"
        inner, support = model_in(field.annotation), _support(path)
        if inner is not None and fields_of(inner) and not (path in SUPPORT and support.state is State.IGNORED):
            yield from rows_of(inner, path)
        else:
            yield Row(path, field, support)


def _table(rows: Iterable[Row], tests: Mapping[str, str]) -> Iterator[str]:
    yield "| field | value | the node | shown by |"
    yield "|---|---|---|---|"
    for path, field, support in rows:
        needed = ", required" if field.required else ""
        shown = f"`{tests[path]}`" if path in tests else ""
        if not shown and support.state is State.USED:
            shown = "**no test names it yet**"
        name = path.partition(":")[2] or path
        yield f"| `{name}` | {_value(field.annotation)}{needed} | {_does(support)} | {shown} |"


def _does(support: Support) -> str:
    return _state(support.state) + (f": {support.note}" if support.note else "")


def _state(state: State) -> str:
    return "**ignored**" if state is State.IGNORED else state.value


def _value(annotation: Any) -> str:
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is Annotated:
        return "PEM in base64" if arguments[1] is Pem else _checked(arguments[1].__name__)
    if origin in (Union, UnionType):
        return " or ".join(_value(each) for each in arguments if each is not NoneType)
    if origin is Literal:
        return "one of " + ", ".join(f"`{each}`" for each in arguments if each != "")
    if origin is tuple:
        return f"list of {_value(arguments[0])}"
    if origin is not None:
        return f"mapping to {_value(arguments[1])}"
    if isinstance(annotation, type) and issubclass(annotation, msgspec.Struct):
        return "mapping"
    return _WORDS[annotation]


def _checked(name: str) -> str:
    """``check_ip`` is "ip"."""
    words = {"ip": "IP address", "url": "URL", "mac": "hardware address", "san": "address or name", "path": "path"}
    name = name.removeprefix("check_")
    return words.get(name, name.replace("_", " "))


if __name__ == "__main__":
    OUTPUT.write_text(render())
    sys.stdout.write(f"{OUTPUT}\n")
