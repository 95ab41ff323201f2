"""What a node says: logs of services and containers, the kernel's log, events."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

import click

from dozen.cli.output import plain, print_data, write_bytes
from dozen.cli.session import Session, command
from dozen.cli.tables import printable

if TYPE_CHECKING:
    from dozen.client.machine import Node


@command("logs")
@click.argument("name")
@click.option("-f", "--follow", is_flag=True, help="Go on as more is said.")
@click.option("--tail", type=int, default=-1, help="Only the last lines; negative: all.")
@click.option("-k", "--kubernetes", is_flag=True, help="A container of Kubernetes: namespace/pod:container.")
def logs(session: Session, name: str, follow: bool, tail: int, kubernetes: bool) -> None:
    """Print the log of the service or container NAME."""

    async def work(node: Node) -> None:
        chunks = node.logs(name, kubernetes=kubernetes, follow=follow, tail=tail)
        await _print_lines(chunks, node.label, len(session.node_names()) > 1)

    session.each_in_turn(work)


@command("dmesg")
@click.option("-f", "--follow", is_flag=True, help="Go on as more is said.")
@click.option("--tail", is_flag=True, help="Only what is new; with --follow.")
def dmesg(session: Session, follow: bool, tail: bool) -> None:
    """Print the kernel's log."""

    async def work(node: Node) -> None:
        await _print_lines(node.dmesg(follow=follow, tail=tail), node.label, len(session.node_names()) > 1)

    session.each_in_turn(work)


async def _print_lines(chunks: AsyncIterator[bytes], label: str, labelled: bool) -> None:
    """Whole lines, so that those of several nodes do not run into each other."""
    rest = b""
    prefix = f"{label}: ".encode() if labelled else b""
    async for chunk in chunks:
        *lines, rest = (rest + chunk).split(b"\n")
        if lines:
            write_bytes(b"".join(prefix + line + b"\n" for line in lines))
    if rest:
        write_bytes(prefix + rest + b"\n")


@command("events")
@click.option("--tail", type=int, default=0, help="Also the last events; negative: all that are kept.")
@click.option("--since", "since_id", default="", metavar="ID|DURATION", help="Events after this one, or of this time.")
@click.option("--duration", default="", metavar="DURATION", help="Events of this long past (30s, 5m).")
@click.option("--actor-id", default="", help="Only events that this call caused.")
@click.option(
    "-o", "--output", type=click.Choice(("table", "json", "yaml")), default="table", help="Form of the output."
)
def events(session: Session, tail: int, since_id: str, duration: str, actor_id: str, output: str) -> None:
    """Print what happens on nodes, until interrupted."""
    seconds, tail_id = _past(since_id, duration)
    if output == "table":
        click.echo(_EVENT_LINE.format("NODE", "ID", "EVENT", "ACTOR", "MESSAGE"))

    async def work(node: Node) -> None:
        async for event in node.events(tail=tail, tail_id=tail_id, tail_seconds=seconds, actor=actor_id):
            _print_event(node.label, event, output)

    session.each_in_turn(work)


_EVENT_LINE = "{:<20} {:<20} {:<22} {:<22} {}"


def _past(since_id: str, duration: str) -> tuple[int, str]:
    """(seconds, id): an event's id has twenty characters, everything else is a duration."""
    from dozen.machinery.config.scalars import parse_duration

    if duration or (since_id and len(since_id) != 20):
        return int(parse_duration(duration or since_id)), ""
    return 0, since_id


def _print_event(label: str, event: Any, output: str) -> None:
    from dozen.client.tracker import describe, unpack

    if output == "table":
        kind = event.data.type_url.rpartition(".")[2].removesuffix("Event")
        words = printable(str(describe(event)))
        click.echo(_EVENT_LINE.format(label, event.id, kind, event.actor_id, words))
        return
    payload = unpack(event)
    data = plain(payload) if payload is not None else None
    print_data(
        output, [{"node": label, "id": event.id, "actorId": event.actor_id, "type": event.data.type_url, "data": data}]
    )
