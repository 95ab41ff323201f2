"""Upstream's conformance tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from dozen.cli.session import Session, command

if TYPE_CHECKING:
    from dozen.client.machine import Node


@click.group("conformance")
def conformance() -> None:
    """Run conformance tests in a cluster."""


@command("kubernetes")
@click.option("--mode", type=click.Choice(("fast", "certified")), default="fast", show_default=True,
              help="Those that run side by side, or all as certification wants them.")  # fmt: skip
@click.option("--timeout", default="3h", show_default=True, help="How long they may take.")
def kubernetes(session: Session, mode: str, timeout: str) -> None:
    """Run Kubernetes' conformance tests in a pod of the cluster; nodes pull its image (registry.k8s.io/conformance)."""
    from dozen.client import conformance as tests
    from dozen.client.kubernetes import Kubernetes
    from dozen.machinery.config.scalars import parse_duration
    from dozen.machinery.kubeconfig import read_kubeconfig

    async def work(node: Node) -> None:
        api = Kubernetes(read_kubeconfig(await node.kubeconfig()))
        click.echo(await tests.run(api, mode, click.echo, timeout=parse_duration(timeout)))

    session.each_one_by_one(work)


conformance.add_command(kubernetes)
