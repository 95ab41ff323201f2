"""Upgrading the Kubernetes of a cluster."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from dozen.cli.session import Session, command

if TYPE_CHECKING:
    from dozen.client.kubernetes import Kubernetes
    from dozen.client.machine import Node


@command("upgrade-k8s")
@click.option("--to", "target", required=True, metavar="VERSION", help="The version to upgrade to.")
@click.option("--dry-run", is_flag=True, help="Check, and only show what would change.")
@click.option("--upgrade-kubelet/--no-upgrade-kubelet", default=True, show_default=True, help="Kubelets too.")
@click.option("--ignore-removed", is_flag=True, help="Go on although something that the new version removes is used.")
@click.option("--endpoint", default="", metavar="URL", help="Where to reach the Kubernetes API from here.")
@click.option(
    "--kubeconfig", "path", type=click.Path(path_type=Path, exists=True), help="Instead of the one the node gives."
)
def upgrade_k8s(
    session: Session,
    target: str,
    dry_run: bool,
    upgrade_kubelet: bool,
    ignore_removed: bool,
    endpoint: str,
    path: Path | None,
) -> None:
    """Upgrade Kubernetes on all nodes of a cluster: control plane, kube-proxy, kubelets.

    It is checked first that nothing is used that the new version no longer has. Each program is changed on one node
    after another and waited for. An upgrade that was interrupted is begun again with the same command.
    """
    from dozen.client.machine import Node
    from dozen.client.upgrade import Upgrade
    from dozen.machinery.kubernetes.upgrades import read_version

    version = read_version(target)
    if len(session.node_names()) > 1:
        raise click.UsageError("Name one control plane node: the others are found by it.")

    async def work(node: Node) -> None:
        kubernetes = await _kubernetes(node, path, endpoint)
        upgrade = Upgrade(
            lambda address: Node(node.connection, address),
            kubernetes,
            click.echo,
            kubelets=upgrade_kubelet,
            dry_run=dry_run,
            ignore_removed=ignore_removed,
        )
        await upgrade.run(version)

    session.each_in_turn(work)


async def _kubernetes(node: Node, path: Path | None, endpoint: str) -> Kubernetes:
    """The cluster's API as its administrator."""
    from dozen.client.kubernetes import open_kubernetes

    return open_kubernetes(path.read_text() if path is not None else await node.kubeconfig(), endpoint)
