"""How a node is put together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from dozen.cli.session import Session, command

if TYPE_CHECKING:
    from dozen.client.machine import Node

# Wire values of inspect.DependencyEdgeType, as Graphviz draws them; an arrow leads the way that data goes.
_WRITES = {0: "bold", 3: "solid"}
_READS = {1: "solid", 2: "dashed", 4: "dotted"}


@click.group("inspect")
def inspect() -> None:
    """Show how a node is put together."""


@command("dependencies")
def dependencies(session: Session) -> None:
    """Print who reads and writes which resources, for Graphviz: `dozenctl inspect dependencies | dot -T svg`."""

    async def work(node: Node) -> None:
        click.echo(draw(await node.dependencies()), nl=False)

    session.each_in_turn(work)


def draw(edges: list[Any]) -> str:
    """The graph in Graphviz' language (DOT): boxes are controllers, ellipses kinds of resources.

    A bold arrow is a sole writer, a dashed one a reader that holds nothing up.
    """
    lines = ["digraph node {", "  rankdir=LR;", "  node [fontname=sans];"]
    for name in sorted({edge.controller_name for edge in edges}):
        lines.append(f"  {_quote(name)} [shape=box, style=filled, fillcolor=lightsteelblue];")
    for kind in sorted({edge.resource_type for edge in edges}):
        lines.append(f"  {_quote(kind)};")
    for edge in edges:
        ends = (edge.controller_name, edge.resource_type)
        style = _WRITES.get(edge.edge_type)
        source, target = ends if style else ends[::-1]
        label = f", label={_quote(edge.resource_id)}" if edge.resource_id else ""
        lines.append(
            f"  {_quote(source)} -> {_quote(target)} [style={style or _READS.get(edge.edge_type, 'dotted')}{label}];"
        )
    return "\n".join([*lines, "}", ""])


def _quote(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


inspect.add_command(dependencies)
