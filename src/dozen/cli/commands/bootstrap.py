"""The beginning of a cluster: its etcd, on one control plane, once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from dozen.cli.session import Session, command

if TYPE_CHECKING:
    from dozen.client.machine import Node

_CHUNK = 32 * 1024


@command("bootstrap")
@click.option(
    "--recover-from",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Snapshot of etcd to begin with.",
)
@click.option("--recover-skip-hash-check", is_flag=True, help="The snapshot is a copied database without a checksum.")
def bootstrap(session: Session, recover_from: Path | None, recover_skip_hash_check: bool) -> None:
    """Begin the cluster's etcd on ONE control plane; the others join it by themselves."""
    from dozen.client.errors import ClientError

    if recover_skip_hash_check and recover_from is None:
        raise ClientError("--recover-skip-hash-check says something about --recover-from", "name the snapshot too")
    if len(session.node_names()) != 1:
        raise ClientError("a cluster begins on one node", "name one control plane with --nodes")

    async def work(node: Node) -> None:
        if recover_from is not None:
            await node.send_snapshot(read_chunks(recover_from))
            click.echo(f"{node.label}: has the snapshot {recover_from}")
        await node.bootstrap(recover=recover_from is not None, skip_hash_check=recover_skip_hash_check)
        click.echo(f"{node.label}: etcd begins; `dozenctl health` follows the cluster from here")

    session.each_in_turn(work)


def read_chunks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            yield chunk
