"""Drawing a directed graph: as text for Graphviz (DOT), and as a picture (SVG) where there is no Graphviz.

The picture has layers from left to right (Sugiyama's method): edges that close a cycle are set aside, each node comes
behind all that lead to it, and within a layer nodes stand where their neighbours are, so that lines cross less often.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple
from xml.sax.saxutils import escape

SWEEPS = 6
ROW, COLUMN_GAP, MARGIN, BOX = 26, 130, 20, 20  # pixels
CHARACTER = 6.6  # width of one in the font that is used, pixels


class Edge(NamedTuple):
    """An arrow. ``style`` is Graphviz' word: bold, solid, dashed, dotted."""

    source: str
    target: str
    style: str = "solid"
    label: str = ""


class Graph(NamedTuple):
    """``boxes`` are drawn as such, all other ends of edges as ellipses."""

    boxes: frozenset[str]
    edges: tuple[Edge, ...]

    @property
    def nodes(self) -> list[str]:
        return sorted(self.boxes | {end for edge in self.edges for end in edge[:2]})


def render_dot(graph: Graph) -> str:
    lines = ["digraph node {", "  rankdir=LR;", "  node [fontname=sans];"]
    lines += [f"  {_quote(name)} [shape=box, style=filled, fillcolor=lightsteelblue];" for name in sorted(graph.boxes)]
    lines += [f"  {_quote(name)};" for name in graph.nodes if name not in graph.boxes]
    for edge in graph.edges:
        label = f", label={_quote(edge.label)}" if edge.label else ""
        lines.append(f"  {_quote(edge.source)} -> {_quote(edge.target)} [style={edge.style}{label}];")
    return "\n".join([*lines, "}", ""])


def _quote(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


# -- The picture.


def render_svg(graph: Graph) -> str:
    layers = order(graph, rank(graph))
    widths = [max(CHARACTER * len(name) + BOX for name in layer) for layer in layers]
    lefts = [MARGIN + sum(widths[:at]) + COLUMN_GAP * at for at in range(len(layers))]
    tallest = max((len(layer) for layer in layers), default=0)
    places = {
        name: (lefts[at], MARGIN + ROW * (row + (tallest - len(layer)) / 2), widths[at])
        for at, layer in enumerate(layers)
        for row, name in enumerate(layer)
    }
    width = MARGIN + (lefts[-1] + widths[-1] if layers else 0)
    height = 2 * MARGIN + ROW * tallest
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}" '
            'font-family="sans-serif" font-size="11">',
            '<defs><marker id="tip" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
            '<path d="M0 0L8 4L0 8z" fill="#555"/></marker></defs>',
            *(_draw_edge(edge, places) for edge in graph.edges),
            *(_draw_node(name, places[name], name in graph.boxes) for name in graph.nodes),
            "</svg>",
            "",
        ]
    )


def rank(graph: Graph) -> dict[str, int]:
    """The layer of each node: behind all that lead to it, but for edges that close a cycle."""
    followers: dict[str, list[str]] = {name: [] for name in graph.nodes}
    for edge in graph.edges:
        followers[edge.source].append(edge.target)
    finished = _in_order(followers)
    position = {name: at for at, name in enumerate(finished)}
    ranks = dict.fromkeys(followers, 0)
    for name in finished:
        for other in followers[name]:
            if position[other] > position[name]:
                ranks[other] = max(ranks[other], ranks[name] + 1)
    return ranks


def _in_order(followers: Mapping[str, Sequence[str]]) -> list[str]:
    """All nodes, each before its followers wherever no cycle forbids: depth first, finished last comes first."""
    done: dict[str, bool] = {}
    finished: list[str] = []
    for start in followers:
        stack = [(start, iter(followers[start]))] if start not in done else []
        done.setdefault(start, False)
        while stack:
            name, rest = stack[-1]
            other = next((each for each in rest if each not in done), None)
            if other is None:
                finished.append(name)
                stack.pop()
            else:
                done[other] = False
                stack.append((other, iter(followers[other])))
    return finished[::-1]


def order(graph: Graph, ranks: Mapping[str, int]) -> list[list[str]]:
    """The nodes of each layer from top to bottom, close to their neighbours in the layers beside it."""
    layers: list[list[str]] = [[] for _ in range(max(ranks.values(), default=-1) + 1)]
    for name in graph.nodes:
        layers[ranks[name]].append(name)
    neighbours: dict[str, set[str]] = {name: set() for name in graph.nodes}
    for edge in graph.edges:
        neighbours[edge.source].add(edge.target)
        neighbours[edge.target].add(edge.source)
    for _ in range(SWEEPS):
        for layer in layers:
            heights = {name: at / len(each) for each in layers for at, name in enumerate(each)}
            near = {
                name: sum(heights[other] for other in neighbours[name]) / len(neighbours[name])
                if neighbours[name]
                else heights[name]
                for name in layer
            }
            layer.sort(key=lambda name: (near[name], name))
    return layers


def _draw_node(name: str, place: tuple[float, float, float], box: bool) -> str:
    x, y, width = place
    radius, fill = (2, "#b0c4de") if box else (10, "#f4f4f4")
    return (
        f'<g><rect x="{x:.0f}" y="{y:.0f}" width="{width:.0f}" height="{BOX}" rx="{radius}" fill="{fill}" '
        f'stroke="#555"/><text x="{x + width / 2:.0f}" y="{y + 14:.0f}" text-anchor="middle">{escape(name)}</text></g>'
    )


def _draw_edge(edge: Edge, places: Mapping[str, tuple[float, float, float]]) -> str:
    x, y, width = places[edge.source]
    to_x, to_y, _ = places[edge.target]
    from_x, from_y, to_y = x + width, y + BOX / 2, to_y + BOX / 2
    bend = COLUMN_GAP / 2
    dash = {"dashed": ' stroke-dasharray="5 3"', "dotted": ' stroke-dasharray="1 3"'}.get(edge.style, "")
    title = f"<title>{escape(edge.label)}</title>" if edge.label else ""
    return (
        f'<path d="M{from_x:.0f} {from_y:.0f}C{from_x + bend:.0f} {from_y:.0f} {to_x - bend:.0f} {to_y:.0f} '
        f'{to_x:.0f} {to_y:.0f}" fill="none" stroke="#555" stroke-width="{2 if edge.style == "bold" else 1}"{dash} '
        f'marker-end="url(#tip)">{title}</path>'
    )
