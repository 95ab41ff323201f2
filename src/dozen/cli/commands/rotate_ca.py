"""Rotating authorities."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from dozen.cli.session import Session, command, split_commas, write_private

if TYPE_CHECKING:
    from dozen.machinery.talosconfig import Context

MEMBERS, CLUSTER = "Members.cluster.talos.dev", "cluster"


@command("rotate-ca")
@click.option("--dry-run/--no-dry-run", default=True, show_default=True, help="Only say what would be done.")
@click.option("--talos/--no-talos", default=True, show_default=True, help="The authority of the machine API.")
@click.option("--kubernetes/--no-kubernetes", default=False, show_default=True, help="That of Kubernetes.")
@click.option("--control-plane-nodes", multiple=True, metavar="NODE", help="The control planes, with commas.")
@click.option("--worker-nodes", multiple=True, metavar="NODE", help="The workers, with commas.")
@click.option("-o", "--output", type=click.Path(path_type=Path), default="talosconfig", show_default=True,
              help="Where the new client configuration goes.")  # fmt: skip
def rotate_ca(
    session: Session,
    dry_run: bool,
    talos: bool,
    kubernetes: bool,
    control_plane_nodes: tuple[str, ...],
    worker_nodes: tuple[str, ...],
    output: Path,
) -> None:
    """Put another authority in the place of the one that signs for the machine API, without locking anybody out.

    All nodes of the cluster have to be reached; they are found by its members unless they are named. Nothing is changed
    without --dry-run=false, and client configurations of the old authority are of no use afterwards.
    """
    from dozen.client.rotation import Rotation
    from dozen.machinery.talosconfig import Talosconfig, render

    if kubernetes or not talos:
        raise click.UsageError("Only the authority of the machine API can be rotated (--talos), not Kubernetes'.")
    if not dry_run and output.exists():
        raise FileExistsError(17, "exists already", str(output))
    context = session.context()
    if session.endpoints:
        import msgspec

        context = msgspec.structs.replace(context, endpoints=tuple(session.endpoints))
    named = [*split_commas(control_plane_nodes), *split_commas(worker_nodes)]
    name = session.context_name or session.read_config().context

    async def rotate() -> Context:
        nodes = named or await _members(session)
        return await Rotation(context, nodes, click.echo, dry_run=dry_run).run(name)

    made = session.run(rotate())
    if dry_run:
        click.echo("nothing was changed; --dry-run=false does it")
        return
    write_private(output, render(Talosconfig(name, {name: made})))
    click.echo(f"{output} has the new identity; `dozenctl config merge {output}` takes it over")


async def _members(session: Session) -> list[str]:
    """An address of each member of the cluster; the node itself where there are none."""
    from dozen.client.machine import Node
    from dozen.client.state import list_records

    async with session.connect(session) as connection:
        node = Node(connection, session.node_names()[0])
        found = [record.spec async for record in list_records(node, MEMBERS, CLUSTER)]
    return [each["addresses"][0] for each in found if each.get("addresses")] or [node.name]
