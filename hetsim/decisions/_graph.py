"""The decision graph: decisions joined by binding pairs; its components are decided together."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any

__all__ = ["components"]


def components(names: Sequence[str], ties: Iterable[Sequence[str]]) -> list[list[str]]:
    """Return the groups of decisions that must be made jointly, the largest first.

    A tie joins two decisions, or more.

    >>> components(["a", "b", "c", "d"], [("a", "c")])
    [['a', 'c'], ['b'], ['d']]
    """
    import networkx as nx

    graph: Any = nx.Graph()
    graph.add_nodes_from(names)
    for tie in ties:
        graph.add_edges_from(pairwise(tie))
    place = {name: number for number, name in enumerate(names)}
    found = [sorted(part, key=place.__getitem__) for part in nx.connected_components(graph)]
    return sorted(found, key=lambda part: (-len(part), place[part[0]]))
