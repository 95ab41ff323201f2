"""Printing what nodes answered: as a table, or as JSON or YAML for programs."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import click

from dozen.cli.tables import table

FORMATS = ("table", "json", "yaml")

output_option = click.option(
    "-o", "--output", type=click.Choice(FORMATS), default="table", show_default=True, help="Form of the output."
)

# For commands that describe one thing: others call the form for people "text" there.
description_option = click.option(
    "-o", "--output", type=click.Choice((*FORMATS, "text")), default="table", show_default=True,
    help="Form of the output; text is another word for table.",
)  # fmt: skip


def plain(message: Any) -> Any:
    """A message of the API as plain data, with names as in JSON's form of protobuf."""
    if isinstance(message, list):
        return [plain(each) for each in message]
    if not hasattr(message, "DESCRIPTOR"):
        return message
    from google.protobuf.json_format import MessageToDict

    found: dict[str, Any] = MessageToDict(message, always_print_fields_with_no_presence=True)
    found.pop("metadata", None)
    return found


def print_answers(
    output: str,
    answers: Sequence[tuple[str, Any]],
    titles: Sequence[str],
    rows: Callable[[str, Any], Iterable[Sequence[object]]],
) -> None:
    """(node, answer) pairs. ``rows`` makes the rows of one node's answer, without the node's own column."""
    if output == "table":
        print_table(titles, ((node, *row) for node, answer in answers for row in rows(node, answer)))
        return
    print_data(output, [_labelled(node, answer) for node, answer in answers])


def print_table(titles: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """A table whose first column is the node."""
    click.echo("\n".join(table(("NODE", *titles), rows)))


def print_data(output: str, documents: Sequence[Any]) -> None:
    """One document for each: YAML documents, or JSON values one after another."""
    if output == "yaml":
        from dozen.machinery.yaml import dump_documents

        click.echo(dump_documents(documents), nl=False)
        return
    import json

    for document in documents:
        click.echo(json.dumps(document, indent=2, ensure_ascii=False))


def write_bytes(data: bytes) -> None:
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()


def _labelled(node: str, answer: Any) -> dict[str, Any]:
    data = plain(answer)
    return {"node": node, **data} if isinstance(data, dict) else {"node": node, "items": data}
