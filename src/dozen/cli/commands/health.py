"""The health of a cluster, as one of its control plane nodes sees it."""

from __future__ import annotations

from collections.abc import AsyncIterator
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
@click.option(
    "--server/--no-server", default=True, show_default=True, help="Whether a control plane node checks, or this client."
)
def health(
    session: Session,
    wait_timeout: float,
    control_plane_nodes: tuple[str, ...],
    worker_nodes: tuple[str, ...],
    k8s_endpoint: str,
    server: bool,
) -> None:
    """Check a cluster step by step and wait until all is well.

    The checks are run by a control plane node, which discovers the others unless they are named; with --server=false
    by this client, which asks every node itself and needs the rights of an administrator. Each line says what it waits
    for; the command fails with the first thing that does not come right in time.
    """
    control_planes, workers = split_commas(control_plane_nodes), split_commas(worker_nodes)

    async def check(node: Node) -> None:
        ask = check_by_node if server else check_by_client
        async for line in ask(node, wait_timeout, control_planes, workers, k8s_endpoint):
            click.echo(line)

    session.each_in_turn(check)


def check_by_node(
    node: Node, wait: float, control_planes: list[str], workers: list[str], endpoint: str
) -> AsyncIterator[str]:
    return node.health(wait, control_planes, workers, endpoint=endpoint)


async def check_by_client(
    node: Node, wait: float, control_planes: list[str], workers: list[str], endpoint: str
) -> AsyncIterator[str]:
    from dozen.client.errors import ClientError
    from dozen.client.health import ClusterView
    from dozen.machinery.health.checks import CHECKS
    from dozen.machinery.health.run import Unhealthy, run_checks

    try:
        async for line in run_checks(ClusterView(node, control_planes, workers, endpoint), CHECKS, wait):
            yield line
    except Unhealthy as error:
        raise ClientError(str(error)) from None
