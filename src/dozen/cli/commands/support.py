"""Support bundles."""

from __future__ import annotations

import tempfile
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

import click

from dozen.cli.session import Session, command

if TYPE_CHECKING:
    from dozen.client.kubernetes import Kubernetes
    from dozen.client.machine import Node
    from dozen.client.sealing import Recipient
    from dozen.client.support import Bundle


@command("support")
@click.option("-O", "--output", type=click.Path(path_type=Path),
              help="The archive.  [default: support.zip, or support.zip.age when it is encrypted]")  # fmt: skip
@click.option("--encrypt", "recipients", multiple=True, metavar="PUBLIC-KEY",
              help="Only who has the private key can read it: a key of age (age1…) or SSH; several times.")  # fmt: skip
@click.option("-v", "--verbose", is_flag=True, help="Say what is collected.")
def support(session: Session, output: Path | None, recipients: tuple[str, ...], verbose: bool) -> None:
    """Collect logs, resources, events and the cluster's objects of nodes into one ZIP archive.

    Keys and tokens are left out. What remains still says a lot about a cluster: --encrypt keeps it for those who help.
    """
    from dozen.client.support import Bundle

    readers = _read_recipients(recipients)
    output = output or Path("support.zip.age" if readers else "support.zip")
    if output.exists():
        raise FileExistsError(17, "exists already", str(output))
    # Only its owner may read it.
    output.touch(0o600)
    with output.open("wb") as file, tempfile.TemporaryFile() if readers else nullcontext(file) as archive:
        bundle = Bundle(archive, lambda line: click.echo(line, err=True) if verbose else None)
        try:
            session.run(_collect(session, bundle))
        finally:
            bundle.close()
            if readers:
                from dozen.client.sealing import seal

                archive.seek(0)
                seal(archive, file, readers)
    missing = f"; {len(bundle.errors)} things could not be had: see errors.txt in it" if bundle.errors else ""
    click.echo(f"{output} is written{missing}")


def _read_recipients(texts: tuple[str, ...]) -> list[Recipient]:
    """Before anything is collected: a key that is mistyped is told at once."""
    if not texts:
        return []
    from dozen.client.sealing import read_recipient

    try:
        return [read_recipient(text) for text in texts]
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--encrypt") from None


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
