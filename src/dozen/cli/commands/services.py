"""Services of a node."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import click

from dozen.cli.output import output_option, plain, print_answers, print_data
from dozen.cli.session import Session, command
from dozen.cli.tables import printable, since

if TYPE_CHECKING:
    from dozen.client.machine import Node

ACTIONS = ("status", "start", "stop", "restart")


@command("services")
@output_option
def services(session: Session, output: str) -> None:
    """List services with their state and health."""
    session.each(lambda node: node.services(), lambda answers: _print_services(output, answers))


@command("service")
@click.argument("name", default="")
@click.argument("action", type=click.Choice(ACTIONS), default="status")
@output_option
def service(session: Session, name: str, action: str, output: str) -> None:
    """Show the service NAME with its last events, or start, stop or restart it."""
    if not name:
        session.each(lambda node: node.services(), lambda answers: _print_services(output, answers))
    elif action == "status":
        session.each(lambda node: _find(node, name), lambda answers: _print_details(output, answers))
    else:
        session.each(
            lambda node: node.act_on_service(action.title(), name),
            lambda answers: print_answers(output, answers, ("RESPONSE",), lambda _, words: [(words,)]),
        )


@command("restart")
@click.argument("id")
@click.option("-k", "--kubernetes", is_flag=True, help="A container of Kubernetes: namespace/pod:container.")
def restart(session: Session, id: str, kubernetes: bool) -> None:
    """End the container ID, so that what it belongs to starts it again."""
    from dozen.client.lifecycle import restart as restart_container

    async def work(node: Node) -> None:
        await restart_container(node, id, kubernetes=kubernetes)
        click.echo(f"{node.label}: {id} is restarted")

    session.each_in_turn(work)


async def _find(node: Node, name: str) -> Any:
    from dozen.client.errors import NodeError

    found = {each.id: each for each in await node.services()}
    if name not in found:
        raise NodeError("", f'there is no service "{name}"; there are: {", ".join(sorted(found)) or "none"}')
    return found[name]


def health(service: Any) -> str:
    """OK, Fail, or ? when nothing is known."""
    if service.health.unknown or not service.HasField("health"):
        return "?"
    return "OK" if service.health.healthy else "Fail"


def _print_services(output: str, answers: list[tuple[str, Any]]) -> None:
    def rows(_: str, found: list[Any]) -> Iterable[tuple[object, ...]]:
        for each in found:
            last = each.events.events[-1] if each.events.events else None
            ago = f"{since(time.time() - last.ts.seconds)} ago" if last else ""
            yield each.id, each.state, health(each), ago, last.msg if last else ""

    print_answers(output, answers, ("SERVICE", "STATE", "HEALTH", "LAST CHANGE", "LAST EVENT"), rows)


def _print_details(output: str, answers: list[tuple[str, Any]]) -> None:
    if output != "table":
        print_data(output, [{"node": label, **plain(found)} for label, found in answers])
        return
    for label, found in answers:
        lines = [("NODE", label), ("ID", found.id), ("STATE", found.state), ("HEALTH", health(found))]
        if found.health.last_message:
            lines.append(("LAST HEALTH MESSAGE", found.health.last_message))
        events = [
            f"[{event.state}]: {event.msg} ({since(time.time() - event.ts.seconds)} ago)"
            for event in reversed(found.events.events)
        ]
        lines += [("EVENTS" if not at else "", words) for at, words in enumerate(events)]
        width = max(len(title) for title, _ in lines)
        click.echo("\n".join(f"{title:<{width}}   {printable(words)}" for title, words in lines))
