"""Resources about resources: the namespaces and the definition of every type, which tools read to print the others."""

from __future__ import annotations

import msgspec

from dozen.machinery.resource import Kind, Sensitivity
from dozen.machinery.resources.spec import Spec

META_NAMESPACE = "meta"


class NamespaceSpec(Spec):
    """What a namespace is for."""

    description: str = ""

    WIRE = "1 description string"


NAMESPACE = Kind(
    "Namespaces.meta.cosi.dev",
    META_NAMESPACE,
    NamespaceSpec,
    "Namespace",
    aliases=("ns",),
)


class PrintColumn(Spec):
    """A column of a table: its title and where in the YAML its value is."""

    name: str
    json_path: str

    WIRE = "1 name string, 2 jsonPath string"


class ResourceDefinitionSpec(Spec):
    """One type; the id is its name in lower case."""

    type: str
    display_type: str
    default_namespace: str
    aliases: tuple[str, ...] = ()
    all_aliases: tuple[str, ...] = ()
    print_columns: tuple[PrintColumn, ...] = ()
    sensitivity: str = "non-sensitive"

    WIRE = """
        1 type string, 2 displayType string, 3 defaultNamespace string, 4 aliases [string], 5 allAliases [string],
        6 printColumns [PrintColumn], 7 sensitivity enum:Sensitivity omit
    """


RESOURCE_DEFINITION = Kind(
    "ResourceDefinitions.meta.cosi.dev",
    META_NAMESPACE,
    ResourceDefinitionSpec,
    "ResourceDefinition",
    aliases=("api-resources", "resourcedefinition", "rd", "rds"),
    columns=(("Aliases", "{.aliases[:]}"),),
)


def define_kind(kind: Kind[msgspec.Struct]) -> ResourceDefinitionSpec:
    """The definition that clients find a kind by.

    A type is also known by its name with labels cut from the right (``links.net.talos``, ``links.net``, ``links``),
    unless that would shadow another one that it shares the first label with.
    """
    return ResourceDefinitionSpec(
        type=kind.name,
        display_type=kind.display,
        default_namespace=kind.namespace,
        aliases=kind.aliases,
        all_aliases=(*(_shortened(kind.name) if kind.shortened else ()), *kind.aliases),
        print_columns=tuple(PrintColumn(name=title, json_path=path) for title, path in kind.columns),
        sensitivity="sensitive" if kind.sensitivity is Sensitivity.SENSITIVE else "non-sensitive",
    )


def definition_id(kind: Kind[msgspec.Struct]) -> str:
    """The id of a kind's definition."""
    return kind.name.lower()


def _shortened(name: str) -> tuple[str, ...]:
    labels = name.lower().split(".")
    return tuple(".".join(labels[:count]) for count in range(1, len(labels)))
