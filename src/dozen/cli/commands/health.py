"""The health of a cluster, as one of its control plane nodes sees it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from dozen.cli.session import Session, command, split_commas

if TYPE_CHECKING:
    from dozen.client.machine import Node

UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0}


class Seconds(click.ParamType):  # type: ignore[type-arg,unused-ignore]
    """A duration as in 90s, 10m, 1h30m, in seconds."""

    name = "duration"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float:
        import re

        if isinstance(value, float):
            return value
        parts = re.findall(r"(\d+(?:\.\d+)?)([smh])", str(value))
        if not parts or "".join(map("".join, parts)) != value:
            self.fail(f'"{value}" is not a duration; write 90s, 10m or 1h30m', param, ctx)
        return sum(float(number) * UNITS[unit] for number, unit in parts)


@command("health")
@click.option("--wait-timeout", type=Seconds(), default="20m", show_default=True, help="How long to wait altogether.")
@click.option("--control-plane-nodes", multiple=True, metavar="ADDRESS", help="Control plane nodes to expect.")
@click.option("--worker-nodes", multiple=True, metavar="ADDRESS", help="Workers to expect.")
@click.option("--k8s-endpoint", default="", metavar="URL", help="Kubernetes endpoint to use instead of the node's own.")
@click.option("--server/--no-server", default=True, show_default=True, help="The node checks, not this client.")
def health(
    session: Session,
    wait_timeout: float,
    control_plane_nodes: tuple[str, ...],
    worker_nodes: tuple[str, ...],
    k8s_endpoint: str,
    server: bool,
) -> None:
    """Check a cluster step by step and wait until all is well.

    The checks are run by a control plane node, which discovers the others unless they are named. Each line says what
    it waits for; the command fails with the first thing that does not come right in time.
    """
    if not server:
        raise click.UsageError("This client has no checks of its own: leave --server=false out, and the node checks.")

    async def check(node: Node) -> None:
        lines = node.health(
            wait_timeout, split_commas(control_plane_nodes), split_commas(worker_nodes), endpoint=k8s_endpoint
        )
        async for line in lines:
            click.echo(line)

    session.each_in_turn(check)
