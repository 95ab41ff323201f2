"""Support bundles."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from dozen.cli.session import Session, command

if TYPE_CHECKING:
    from dozen.client.kubernetes import Kubernetes
    from dozen.client.machine import Node
    from dozen.client.support import Bundle


@command("support")
@click.option("-O", "--output", type=click.Path(path_type=Path), default="support.zip", show_default=True,
              help="The archive.")  # fmt: skip
@click.option("-v", "--verbose", is_flag=True, help="Say what is collected.")
def support(session: Session, output: Path, verbose: bool) -> None:
    """Collect logs, resources, events and the cluster's objects of nodes into one ZIP archive.

    Keys and tokens are left out. The archive is not encrypted: it still says a lot about a cluster.
    """
    from dozen.client.support import Bundle

    if output.exists():
        raise FileExistsError(17, "exists already", str(output))
    # Only its owner may read it.
    output.touch(0o600)
    with output.open("wb") as file:
        bundle = Bundle(file, lambda line: click.echo(line, err=True) if verbose else None)
        try:
            session.run(_collect(session, bundle))
        finally:
            bundle.close()
    missing = f"; {len(bundle.errors)} things could not be had: see errors.txt in it" if bundle.errors else ""
    click.echo(f"{output} is written{missing}")


async def _collect(session: Session, bundle: Bundle) -> None:
    from dozen.client.machine import Node
    from dozen.client.support import cluster_items, node_items
    from dozen.rpc.status import RpcError

    async with session.connect(session) as connection:
        for name in session.node_names():
            node = Node(connection, name)
            try:
                await bundle.add(await node_items(node))
            except RpcError as error:
                bundle.errors.append(f"{node.label}: {error.message}")
                click.echo(f"dozenctl: {node.label}: {error.message}", err=True)
        try:
            await bundle.add(cluster_items(await _kubernetes(Node(connection, session.node_names()[0]))))
        except (RpcError, OSError, ValueError) as error:
            bundle.errors.append(f"cluster: {error}")


async def _kubernetes(node: Node) -> Kubernetes:
    from dozen.client.kubernetes import Kubernetes
    from dozen.machinery.kubeconfig import read_kubeconfig

    return Kubernetes(read_kubeconfig(await node.kubeconfig()), seconds=5.0)
