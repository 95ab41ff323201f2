"""Resources: what a node knows of itself, as tables, as YAML or JSON, and as it changes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from dozen.cli.output import print_data
from dozen.cli.session import Session, command, greet
from dozen.cli.tables import GAP, printable, table

if TYPE_CHECKING:
    from dozen.client.machine import Node
    from dozen.client.state import Change, Definition, Record

_MARKS = {"CREATED": "+", "UPDATED": " ", "DESTROYED": "-"}


@command("get")
@click.argument("type", metavar="TYPE")
@click.argument("id", default="")
@click.option("--namespace", default="", help="Another namespace than the type's own.")
@click.option("-w", "--watch", is_flag=True, help="Go on and print changes.")
@click.option("-o", "--output", default="table", show_default=True, help="table, json, yaml or jsonpath=TEMPLATE.")
@click.option("-i", "--insecure", is_flag=True, help="Ask a node that has no configuration yet.")
def get(session: Session, type: str, id: str, namespace: str, watch: bool, output: str) -> None:
    """Get resources of TYPE, all or the one called ID. `dozenctl get rd` lists the types."""
    form, template = _form(output)

    if watch:
        session.each_in_turn(lambda node: _watch(node, type, id, namespace, form, template))
        return

    async def work(node: Node) -> tuple[Definition, list[Record]]:
        from dozen.client.state import get_record, list_records

        definition, space = await _resolve(node, type, namespace)
        if id:
            return definition, [await get_record(node, definition.type, space, id)]
        return definition, [record async for record in list_records(node, definition.type, space)]

    session.each(work, lambda answers: _print(answers, form, template))


def _form(output: str) -> tuple[str, Any]:
    from dozen.machinery.jsonpath import JsonPathError, Template

    form, _, text = output.partition("=")
    if form not in ("table", "json", "yaml", "jsonpath") or (form == "jsonpath") != bool(text):
        raise click.BadParameter("use table, json, yaml or jsonpath=TEMPLATE", param_hint="--output")
    try:
        return form, Template(text)
    except JsonPathError as error:
        raise click.BadParameter(str(error), param_hint="--output") from None


async def _resolve(node: Node, type: str, namespace: str) -> tuple[Definition, str]:
    from dozen.client.state import definitions, resolve

    await greet(node)
    definition = resolve(type, await definitions(node))
    return definition, namespace or definition.namespace


def _print(answers: Sequence[tuple[str, tuple[Definition, list[Record]]]], form: str, template: Any) -> None:
    if form == "table":
        rows = [_row(label, record, definition) for label, (definition, found) in answers for record in found]
        titles = _titles(answers[0][1][0]) if answers else ("NODE",)
        click.echo("\n".join(table(titles, rows)))
        return
    for label, (_, found) in answers:
        _print_records(form, template, [as_data(label, record) for record in found])


def _print_records(form: str, template: Any, records: list[dict[str, Any]]) -> None:
    if form == "jsonpath":
        for record in records:
            click.echo(template.render(record))
    else:
        for at, record in enumerate(records):
            if at and form == "yaml":
                click.echo("---")
            print_data(form, [record])


def as_data(label: str, record: Record) -> dict[str, Any]:
    """A resource as tools print it: node, metadata, spec."""
    import time

    def moment(seconds: float) -> str:
        return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))

    metadata: dict[str, Any] = {
        "namespace": record.namespace,
        "type": record.type,
        "id": record.id,
        "version": int(record.version) if record.version.isdigit() else record.version,
        "owner": record.owner,
        "phase": record.phase,
        "created": moment(record.created),
        "updated": moment(record.updated),
    }
    for name in ("finalizers", "labels", "annotations"):
        if value := getattr(record, name):
            metadata[name] = list(value) if isinstance(value, tuple) else value
    return {"node": label, "metadata": metadata, "spec": record.spec}


def _titles(definition: Definition) -> tuple[str, ...]:
    return ("NODE", "NAMESPACE", "TYPE", "ID", "VERSION", *(title.upper() for title, _ in definition.columns))


def _row(label: str, record: Record, definition: Definition) -> tuple[str, ...]:
    from dozen.machinery.jsonpath import Template

    spec = record.spec
    cells = (Template(path).render(spec) for _, path in definition.columns)
    return (label, record.namespace, definition.display, record.id, record.version, *cells)


async def _watch(node: Node, type: str, id: str, namespace: str, form: str, template: Any) -> None:
    """What is there as one table, then a line for each change, in the same columns."""
    from dozen.client.errors import NodeError
    from dozen.client.state import watch

    definition, space = await _resolve(node, type, namespace)
    rows: list[tuple[str, ...]] = []
    widths: list[int] = []
    async for change in watch(node, definition.type, space, id):
        if change.kind == "ERRORED":
            raise NodeError(node.label, change.error)
        if form != "table":
            _print_change(form, template, node.label, change)
            continue
        if change.record is not None:
            rows.append((_MARKS.get(change.kind, "?"), *_row(node.label, change.record, definition)))
        if change.kind == "BOOTSTRAPPED" or id or widths:
            widths = _print_lines(("*", *_titles(definition)), rows, widths)
            rows = []


def _print_change(form: str, template: Any, label: str, change: Change) -> None:
    if change.record is not None:
        data = {"event": change.kind.lower(), **as_data(label, change.record)}
        _print_records(form, template, [data])
        if form == "yaml":
            click.echo("---")


def _print_lines(titles: tuple[str, ...], rows: list[tuple[str, ...]], widths: list[int]) -> list[int]:
    """The first time with titles; gives the columns' widths for the lines that follow."""
    if not widths:
        click.echo("\n".join(table(titles, rows)))
        return [max(len(row[at]) for row in (titles, *rows)) for at in range(len(titles))]
    for row in rows:
        click.echo(GAP.join(printable(cell).ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    return widths
