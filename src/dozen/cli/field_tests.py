"""Which tests show which fields of the machine configuration: data of `dozen.cli.reference`.

Most are shown by cases that anybody can read, in ``tests/cases/fields``: each sets fields and says what comes of it,
and `CASES_TEST` shows of every field in one that something else comes of it when the field is another. The rest is in
`SHOWN`: file → tests, and below each the fields that it shows. Paths are those of `dozen.machinery.config.support`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from dozen.cli.shown import tests_by_name
from dozen.machinery.config.cluster import V1Alpha1
from dozen.machinery.config.decode import fields_of
from dozen.machinery.config.documents import model_of

TESTS = Path(__file__).parents[3] / "tests"
CASES = TESTS / "cases" / "fields"
CASE = "case "
CASES_TEST = "unit/node/test_fields.py::test_what_comes_of_a_configuration"

SHOWN: dict[str, str] = {
    "native/test_sending.py": """
        test_debugging_says_more
            debug
    """,
    "unit/machinery/test_config.py": """
        test_refused
            version machine.install.diskSelector.name
    """,
    "unit/node/api/test_etcd.py": """
        test_an_administrator_s_certificate_is_good_for_as_long_as_the_configuration_says
            cluster.adminKubeconfig.certLifetime
    """,
    "unit/node/controllers/block/test_trim.py": """
        test_volumes_are_trimmed_when_their_time_has_come
            FilesystemTrimConfig:interval
    """,
    "unit/node/controllers/test_settings.py": """
        test_the_type_of_a_machine_is_known_with_its_configuration
            machine.type
    """,
}


class Place(NamedTuple):
    """A value in a case: the field's path, where in the data it stands, and what may stand there."""

    path: str
    holder: dict[str, Any]
    key: str
    annotation: Any


def shown_by() -> dict[str, str]:
    """Fields and the tests that show them, or the cases: ``case NAME``."""
    found = tests_by_name(SHOWN)
    for case in cases():
        found |= {place.path: CASE + case["name"] for place in places(case)}
    return found


def cases() -> list[dict[str, Any]]:
    """All cases, in the order of their files."""
    from dozen.machinery import yaml

    return [case for file in sorted(CASES.glob("*.yaml")) for case in yaml.load(file.read_text(), file.name)]


def places(case: dict[str, Any]) -> Iterator[Place]:
    """The fields that a case shows: all that it sets but for those that it names under ``beside``."""
    beside = set(case.get("beside", ()))
    main: dict[str, Any] = {part: case[part] for part in ("machine", "cluster", "debug") if part in case}
    found = [*_places(V1Alpha1, main, "")]
    for document in case.get("documents", ()):
        kind = document["kind"]
        said = {name: value for name, value in document.items() if name != "kind"}
        found += [
            each._replace(holder=document) if each.holder is said else each
            for each in _places(model_of(kind), said, f"{kind}:")
        ]
    return (place for place in found if place.path not in beside)


def _places(model: type[msgspec.Struct], data: dict[str, Any], prefix: str) -> Iterator[Place]:
    fields = fields_of(model)
    for name, value in data.items():
        path = f"{prefix}{name}" if not prefix or prefix.endswith(":") else f"{prefix}.{name}"
        inner = model_in(fields[name].annotation)
        if inner is None or not fields_of(inner):
            yield Place(path, data, name, fields[name].annotation)
        else:
            for each in _structures(value, fields_of(inner)):
                yield from _places(inner, each, path)


def _structures(value: Any, fields: Any) -> Iterator[dict[str, Any]]:
    """The mappings of a model that are in a value: it, the items of a list, or the values of a mapping by name."""
    if isinstance(value, list):
        yield from value
    elif isinstance(value, dict) and set(value) <= set(fields):
        yield value
    elif isinstance(value, dict):
        yield from value.values()


def model_in(annotation: Any) -> type[msgspec.Struct] | None:
    """The model that a field's value is one of, or consists of."""
    import typing

    if isinstance(annotation, type) and issubclass(annotation, msgspec.Struct):
        return annotation
    return next((model for each in typing.get_args(annotation) if (model := model_in(each)) is not None), None)
