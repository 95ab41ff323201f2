"""Control groups of a node."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from dozen.cli.output import print_table
from dozen.cli.session import Session, command

if TYPE_CHECKING:
    from dozen.client.cgroups import Group
    from dozen.client.machine import Node

PRESETS = ("cpu", "cpuset", "io", "memory", "process", "psi", "swap")


@command("cgroups")
@click.option("--preset", type=click.Choice(PRESETS), default="memory", show_default=True, help="Which columns.")
@click.option("--skip-cri-resolve", is_flag=True, help="Leave ids of containers as they are.")
def cgroups(session: Session, preset: str, skip_cri_resolve: bool) -> None:
    """Show what the control groups of a node use and may use."""
    from dozen.client import cgroups as groups

    async def work(node: Node) -> tuple[list[Group], dict[str, str]]:
        found = await groups.read_groups(node)
        return found, {} if skip_cri_resolve else await _names(node)

    def show(answers: list[tuple[str, tuple[list[Group], dict[str, str]]]]) -> None:
        columns = groups.PRESETS[preset]
        rows = [
            (label, "  " * group.depth + names.get(group.name, group.name), *(read(group.files) for _, read in columns))
            for label, (found, names) in answers
            for group in found
        ]
        print_table(("NAME", *(title for title, _ in columns)), rows)

    session.each(work, show)


async def _names(node: Node) -> dict[str, str]:
    """Names of containers, where containers run: a node without containerd has groups all the same."""
    from dozen.client.cgroups import name_containers
    from dozen.rpc.status import Code, RpcError

    try:
        return await name_containers(node)
    except RpcError as error:
        if error.code is not Code.UNAVAILABLE:
            raise
        return {}
