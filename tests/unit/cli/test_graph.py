"""Drawing who reads and writes what: layers from left to right, in words for Graphviz and as a picture."""

from __future__ import annotations

import xml.etree.ElementTree as Tree

from hypothesis import given
from hypothesis import strategies as st

from dozen.cli.graph import Edge, Graph, order, rank, render_dot, render_svg

CHAIN = Graph(
    frozenset(("names", "hosts")),
    (
        Edge("Config", "names", "dashed", "v1alpha1"),
        Edge("names", "Hostname", "bold"),
        Edge("Hostname", "hosts", "dashed"),
        Edge("hosts", "Config", "solid"),
    ),
)
SVG = "{http://www.w3.org/2000/svg}"


def test_what_follows_stands_to_the_right_and_a_cycle_ends_somewhere() -> None:
    ranks = rank(CHAIN)
    assert ranks["Config"] < ranks["names"] < ranks["Hostname"] < ranks["hosts"]
    assert order(CHAIN, ranks) == [["Config"], ["names"], ["Hostname"], ["hosts"]]


def test_neighbours_stand_beside_each_other() -> None:
    edges = tuple(Edge(f"a{at}", f"b{2 - at}") for at in range(3))
    first, second = order(Graph(frozenset(), edges), rank(Graph(frozenset(), edges)))
    assert [name[1] for name in second] == [str(2 - int(name[1])) for name in first]


def test_a_picture_has_every_node_and_arrow() -> None:
    picture = Tree.fromstring(render_svg(CHAIN))
    assert sorted(text.text or "" for text in picture.iter(f"{SVG}text")) == ["Config", "Hostname", "hosts", "names"]
    arrows = [path for path in picture.iter(f"{SVG}path") if "marker-end" in path.attrib]
    assert len(arrows) == 4
    assert [path.find(f"{SVG}title").text for path in arrows if len(path)] == ["v1alpha1"]  # type: ignore[union-attr]


def test_names_cannot_break_out() -> None:
    graph = Graph(frozenset(('a"<b>',)), (Edge('a"<b>', "c"),))
    assert Tree.fromstring(render_svg(graph)) is not None
    assert '"a\\"<b>" -> "c" [style=solid];' in render_dot(graph)


def test_nothing_is_a_picture_too() -> None:
    assert Tree.fromstring(render_svg(Graph(frozenset(), ()))).tag == f"{SVG}svg"


@given(st.lists(st.tuples(st.integers(0, 8), st.integers(0, 8)), max_size=30))
def test_any_graph_can_be_drawn(pairs: list[tuple[int, int]]) -> None:
    graph = Graph(frozenset(), tuple(Edge(f"n{a}", f"n{b}") for a, b in pairs))
    layers = order(graph, rank(graph))
    assert sorted(name for layer in layers for name in layer) == graph.nodes
    assert len(list(Tree.fromstring(render_svg(graph)).iter(f"{SVG}text"))) == len(graph.nodes)
