"""Rebooting and shutting down, followed to the end."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from dozen.cli.session import Session, command, greet
from dozen.cli.tables import printable

if TYPE_CHECKING:
    from dozen.client.machine import Node
    from dozen.client.tracker import Happening

_MODES = {"default": "DEFAULT", "powercycle": "POWERCYCLE", "force": "FORCE"}

verbose_option = click.option("-v", "--verbose", is_flag=True, help="Show every task.")
wait_option = click.option("--wait/--no-wait", default=True, show_default=True, help="Follow it to its end.")


@command("reboot")
@click.option("-m", "--mode", type=click.Choice(list(_MODES)), default="default", show_default=True)
@wait_option
@click.option("--timeout", default="30m", show_default=True, help="How long to wait.")
@verbose_option
def reboot(session: Session, mode: str, wait: bool, timeout: str, verbose: bool) -> None:
    """Reboot nodes and wait until they run again."""
    from dozen.client.tracker import track_reboot
    from dozen.machinery.config.scalars import parse_duration

    seconds = parse_duration(timeout)

    async def work(node: Node) -> None:
        await greet(node)
        if wait:
            await track_reboot(node, Reporter(node, verbose), mode=_MODES[mode], timeout=seconds)
            click.echo(f"{node.label}: rebooted")
        else:
            await node.reboot(_MODES[mode])
            click.echo(f"{node.label}: reboots")

    session.each_in_turn(work)


@command("shutdown")
@click.option("--force", is_flag=True, help="Do not wait for Kubernetes to move its pods away.")
@wait_option
@click.option("--timeout", default="10m", show_default=True, help="How long to wait.")
@verbose_option
def shutdown(session: Session, force: bool, wait: bool, timeout: str, verbose: bool) -> None:
    """Shut nodes down."""
    from dozen.client.tracker import track_shutdown
    from dozen.machinery.config.scalars import parse_duration

    seconds = parse_duration(timeout)

    async def work(node: Node) -> None:
        await greet(node)
        if wait:
            await track_shutdown(node, Reporter(node, verbose), force=force, timeout=seconds)
            click.echo(f"{node.label}: is down")
        else:
            await node.shutdown(force=force)
            click.echo(f"{node.label}: shuts down")

    session.each_in_turn(work)


class Reporter:
    """Prints what matters of a reboot, with the node in front; ``everything`` prints each task too."""

    def __init__(self, node: Node, everything: bool) -> None:
        self._label = node.label
        self._everything = everything

    def __call__(self, happening: Happening) -> None:
        if self._everything or self._matters(happening):
            click.echo(f"{self._label}: {printable(str(happening))}")

    def _matters(self, happening: Happening) -> bool:
        if happening.kind in ("sequence", "phase"):
            return happening.state == "start" or bool(happening.text)
        return happening.kind in ("note", "machine") or happening.state == "failed"
