"""Other names for links, which expressions of the configuration choose: which link gets which, and telling the kernel.

The configuration may call a link by such a name wherever it names one. That holds from the moment the link is there:
who reads the configuration asks `with_aliases` and does not wait for the kernel to know the name.

Only physical links get one, and one at most. A name with ``%d`` in it is for all links that its expression is true of,
numbered in the order of their hardware addresses; any other name is for the one link that is meant, and while the
expression is true of several, none gets it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from msgspec import structs

from dozen.machinery.config.expressions import LINK
from dozen.machinery.effects.links import SetAlias
from dozen.machinery.effects.network import Each
from dozen.machinery.plan import Effect, Input, Put, Shared, Step, View
from dozen.machinery.resource import Phase, Resource
from dozen.machinery.resources import runtime
from dozen.machinery.resources.enums import flags_of, number_of
from dozen.machinery.resources.link import LINK_ALIAS_SPEC, LINK_STATUS, LinkAliasSpec, LinkStatusSpec
from dozen.machinery.resources.settings import NETWORK, NETWORK_SETTINGS, AliasSettings
from dozen.machinery.resources.spec import wire_rows
from dozen.node.controllers.network.matching import is_physical, is_up

NUMBER = "%d"
# What expressions call a field that has another name here: they know those of the wire's messages.
OTHER_NAMES = {"pci_id": "pciid", "speed_mbit": "speed_megabits"}
Link = Resource[LinkStatusSpec]


class LinkAliasSpecController:
    """NetworkSettings + LinkStatus → LinkAliasSpec; a name that fits several links is a Diagnostic."""

    name = "network-link-alias-specs"
    inputs = (Input(NETWORK_SETTINGS, NETWORK), Input(LINK_STATUS))
    outputs = (LINK_ALIAS_SPEC, Shared(runtime.DIAGNOSTIC))

    def plan(self, view: View) -> Iterable[Step]:
        settings = view.get(NETWORK_SETTINGS, NETWORK)
        if settings is None:
            return
        names, unclear = choose(settings.spec.aliases, view.list(LINK_STATUS))
        for link, alias in names.items():
            yield Put(LINK_ALIAS_SPEC, link, LinkAliasSpec(alias=alias))
        for alias, words in unclear.items():
            text = f"LinkAliasConfig {alias}: {words}"
            yield Put(runtime.DIAGNOSTIC, f"link-alias-{alias}", runtime.DiagnosticSpec(message=text))


class LinkAliasController:
    """LinkAliasSpec + LinkStatus → the links have these names, and not those that they should no longer have."""

    name = "network-link-aliases"
    inputs = (Input(LINK_ALIAS_SPEC, finalize=True), Input(LINK_STATUS))
    outputs = ()

    def plan(self, view: View) -> Iterable[Step]:
        leaving: list[Effect] = []
        coming: list[Effect] = []
        for wanted in view.list(LINK_ALIAS_SPEC):
            link, alias = view.get(LINK_STATUS, wanted.id), wanted.spec.alias
            if link is None:
                continue
            before = link.spec.alias
            if wanted.metadata.phase is Phase.TEARING_DOWN:
                leaving += [SetAlias(wanted.id, "", before=alias)] if before == alias else []
            elif not is_up(link.spec):
                continue  # the kernel tells of another name only while the link is up
            elif before != alias or alias not in link.spec.alt_names:
                # A name that moves from one link to another has to be free before the other can get it.
                leaving += [SetAlias(wanted.id, "", before=before)] if before else []
                coming.append(SetAlias(wanted.id, alias))
        if leaving or coming:
            yield Each((*leaving, *coming))


def with_aliases(aliases: Iterable[AliasSettings], links: Iterable[Link]) -> Iterator[Link]:
    """The links, with the names that they are to have."""
    there = tuple(links)
    names, _ = choose(aliases, there)
    for link in there:
        alias = names.get(link.id)
        if alias is None or alias in link.spec.alt_names:
            yield link
        else:
            spec = structs.replace(link.spec, alt_names=(*link.spec.alt_names, alias))
            yield structs.replace(link, spec=spec)


def choose(aliases: Iterable[AliasSettings], links: Iterable[Link]) -> tuple[dict[str, str], dict[str, str]]:
    """The name for each link by its id; and the names that no link gets although some fit, with the reason."""
    entries = tuple(aliases)
    if not entries:
        return {}, {}
    from dozen.machinery import cel

    candidates = [link for link in links if is_physical(link.spec)]
    candidates.sort(key=lambda link: (link.spec.permanent_addr or link.spec.hardware_addr, link.id))
    names: dict[str, str] = {}
    unclear: dict[str, str] = {}
    for entry in entries:
        try:
            expression = cel.parse(entry.match, LINK)
            fit = [link.id for link in candidates if link.id not in names and expression.truth(scope_of(link.spec))]
        except cel.CelError as error:
            unclear[entry.name] = str(error)
            continue
        if NUMBER in entry.name:
            names |= {link: entry.name.replace(NUMBER, str(number)) for number, link in enumerate(fit)}
        elif len(fit) == 1:
            names[fit[0]] = entry.name
        elif fit:
            unclear[entry.name] = f"its expression is true of {', '.join(fit)}; it has to choose one of them"
    return names, unclear


def scope_of(link: LinkStatusSpec) -> dict[str, Any]:
    """What an expression sees: the link's fields, and those of an enumeration as numbers."""
    fields: dict[str, Any] = {}
    for row in wire_rows(type(link)):
        value, (kind, _, enum) = getattr(link, row.attribute), row.type.partition(":")
        if kind == "enum":
            value = number_of(enum, value)
        elif kind == "flags":
            value = flags_of(enum, value)
        fields[OTHER_NAMES.get(row.attribute, row.attribute)] = value
    return {"link": fields}
