"""How a node is put together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from dozen.cli.session import Session, command

if TYPE_CHECKING:
    from dozen.cli.graph import Graph
    from dozen.client.machine import Node

# Wire values of inspect.DependencyEdgeType, as Graphviz draws them; an arrow leads the way that data goes.
_WRITES = {0: "bold", 3: "solid"}
_READS = {1: "solid", 2: "dashed", 4: "dotted"}


@click.group("inspect")
def inspect() -> None:
    """Show how a node is put together."""


@command("dependencies")
@click.option("--with-resources", is_flag=True, help="The resources that there are, not only their types.")
@click.option("-o", "--output", type=click.Choice(("dot", "svg")), default="dot", show_default=True,
              help="Text for Graphviz, or a picture.")  # fmt: skip
def dependencies(session: Session, with_resources: bool, output: str) -> None:
    """Print who reads and writes which resources: text for Graphviz (`| dot -T svg`), or a picture at once.

    Boxes are controllers. A bold arrow is a sole writer, a dashed one a reader that holds nothing up.
    """
    from dozen.cli.graph import render_dot, render_svg

    async def work(node: Node) -> None:
        graph = make_graph(await node.dependencies(), await _read_ids(node) if with_resources else {})
        click.echo(render_svg(graph) if output == "svg" else render_dot(graph), nl=False)

    session.each_in_turn(work)


def make_graph(edges: list[Any], ids: dict[str, list[str]]) -> Graph:
    """The graph of controllers and types. ``ids``: type → its resources, which are drawn in its place."""
    from dozen.cli.graph import Edge, Graph

    arrows = []
    for edge in edges:
        style = _WRITES.get(edge.edge_type)
        for id in [edge.resource_id] if edge.resource_id else ids.get(edge.resource_type, [""]):
            name = f"{edge.resource_type} {id}" if ids and id else edge.resource_type
            label = "" if ids else edge.resource_id
            ends = (edge.controller_name, name)
            source, target = ends if style else ends[::-1]
            arrows.append(Edge(source, target, style or _READS.get(edge.edge_type, "dotted"), label))
    return Graph(frozenset(edge.controller_name for edge in edges), tuple(arrows))


async def _read_ids(node: Node) -> dict[str, list[str]]:
    from dozen.client.state import definitions, list_records

    return {
        each.type: [record.id async for record in list_records(node, each.type, each.namespace)] or [""]
        for each in await definitions(node)
    }


inspect.add_command(dependencies)
