"""Rebooting and shutting down, followed to the end."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from dozen.cli.session import Session, command
from dozen.cli.tables import printable

if TYPE_CHECKING:
    from dozen.client.machine import Node

_MODES = {"default": "DEFAULT", "powercycle": "POWERCYCLE", "force": "FORCE"}

wait_option = click.option("--wait/--no-wait", default=True, show_default=True, help="Follow it to its end.")


@command("reboot")
@click.option("-m", "--mode", type=click.Choice(list(_MODES)), default="default", show_default=True)
@wait_option
@click.option("--timeout", default="30m", show_default=True, help="How long to wait.")
def reboot(session: Session, mode: str, wait: bool, timeout: str) -> None:
    """Reboot nodes and wait until they run again."""
    from dozen.client.tracker import track_reboot
    from dozen.machinery.config.scalars import parse_duration

    seconds = parse_duration(timeout)

    async def work(node: Node) -> None:
        if wait:
            await track_reboot(node, _report(node), mode=_MODES[mode], timeout=seconds)
            click.echo(f"{node.label}: rebooted")
        else:
            await node.reboot(_MODES[mode])
            click.echo(f"{node.label}: reboots")

    session.each_in_turn(work)


@command("shutdown")
@click.option("--force", is_flag=True, help="Do not wait for Kubernetes to move its pods away.")
@wait_option
@click.option("--timeout", default="10m", show_default=True, help="How long to wait.")
def shutdown(session: Session, force: bool, wait: bool, timeout: str) -> None:
    """Shut nodes down."""
    from dozen.client.tracker import track_shutdown
    from dozen.machinery.config.scalars import parse_duration

    seconds = parse_duration(timeout)

    async def work(node: Node) -> None:
        if wait:
            await track_shutdown(node, _report(node), force=force, timeout=seconds)
            click.echo(f"{node.label}: is down")
        else:
            await node.shutdown(force=force)
            click.echo(f"{node.label}: shuts down")

    session.each_in_turn(work)


def _report(node: Node) -> Reporter:
    return Reporter(node.label)


class Reporter:
    """Prints each happening once in a row, with the node in front."""

    def __init__(self, label: str) -> None:
        self._label = label
        self._last = ""

    def __call__(self, words: str) -> None:
        if words != self._last:
            click.echo(f"{self._label}: {printable(words)}")
        self._last = words
