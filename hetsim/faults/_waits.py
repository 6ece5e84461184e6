"""Who waits for whose blocks: a wait-for graph over requests and stores, and its deadlocks.

A store (the KV blocks of an instance) is waited for in order of asking and held by requests. A
holder that waits for nothing gives back what it holds, some day; so does one whose own turn comes
once others have given back. What is left when no such step remains is deadlocked: its requests
wait for each other (I12).

Source: reduction of resource allocation graphs, Holt, Some deadlock properties of computer systems,
ACM Computing Surveys 4(3), 1972. Valid for: first come, first served queues.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Deadlock", "Store", "Waiter", "find_deadlock", "stuck"]


@dataclass(slots=True)
class Waiter:
    """A request in the queue of a store, and the blocks that it needs there."""

    rid: int
    blocks: int


@dataclass(slots=True)
class Store:
    """Blocks that are free, who holds the others, and who waits, first to last."""

    name: str
    free: int
    held: dict[int, int] = field(default_factory=dict)
    waits: list[Waiter] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Deadlock:
    """Requests and stores in a circle of waits, and who is given up to break it."""

    cycle: tuple[str, ...]
    victim: int
    requests: tuple[int, ...]
    """Every request that cannot go on, the cycle's and those behind it."""


def stuck(stores: Sequence[Store]) -> tuple[int, ...]:
    """Return the requests whose turn can never come, in order of number.

    >>> p = Store("P", 0, {1: 4}, [Waiter(2, 4)])
    >>> d = Store("D", 0, {2: 4}, [Waiter(1, 4)])
    >>> stuck([p, d]), stuck([p])
    ((1, 2), ())
    """
    free = {store.name: store.free for store in stores}
    queues = {store.name: list(store.waits) for store in stores}
    waiting: dict[int, int] = {}
    for store in stores:
        for waiter in store.waits:
            waiting[waiter.rid] = waiting.get(waiter.rid, 0) + 1
    given: dict[int, None] = {}
    for store in stores:
        for rid in store.held:
            if rid not in waiting:
                given[rid] = None
    _release(stores, list(given), free)
    changed = True
    while changed:
        changed = False
        for store in stores:
            queue = queues[store.name]
            while queue and queue[0].blocks <= free[store.name]:
                # It gets its blocks, and gives all it holds back at its end: nothing is lost.
                rid = queue.pop(0).rid
                waiting[rid] -= 1
                changed = True
                if not waiting[rid]:
                    _release(stores, [rid], free)
    return tuple(sorted(rid for rid, count in waiting.items() if count))


def _release(stores: Sequence[Store], rids: Sequence[int], free: dict[str, int]) -> None:
    for store in stores:
        for rid in rids:
            free[store.name] += store.held.get(rid, 0)


def find_deadlock(stores: Sequence[Store], age: Mapping[int, float]) -> Deadlock | None:
    """Return the deadlock among ``stores``, or None; the victim is the youngest holder in it.

    ``age``: when each request arrived.

    >>> p = Store("P", 0, {1: 4}, [Waiter(2, 4)])
    >>> d = Store("D", 0, {2: 4}, [Waiter(1, 4)])
    >>> found = find_deadlock([p, d], {1: 0.0, 2: 1.0})
    >>> found.cycle, found.victim
    (('D', 'request 2', 'P', 'request 1', 'D'), 2)
    """
    import networkx as nx

    blocked = frozenset(stuck(stores))
    if not blocked:
        return None
    graph: Any = nx.DiGraph()
    for store in stores:
        for waiter in store.waits:
            if waiter.rid in blocked:
                graph.add_edge(f"request {waiter.rid}", store.name)
        for rid in sorted(store.held):
            if rid in blocked:
                graph.add_edge(store.name, f"request {rid}")
        # A queue is served in order: who stands behind waits for who stands before.
        for before, behind in zip(store.waits, store.waits[1:], strict=False):
            if before.rid in blocked and behind.rid in blocked:
                graph.add_edge(f"request {behind.rid}", f"request {before.rid}")
    holders = frozenset(rid for store in stores for rid in store.held)
    return _first_cycle(graph, blocked, holders, age)


def _first_cycle(
    graph: Any, blocked: frozenset[int], holders: frozenset[int], age: Mapping[int, float]
) -> Deadlock | None:
    import networkx as nx

    for start in sorted(graph.nodes):
        try:
            edges = nx.find_cycle(graph, start)
        except nx.NetworkXNoCycle:
            continue
        nodes = [edge[0] for edge in edges]
        first = nodes.index(min(nodes))
        ordered = (*nodes[first:], *nodes[:first])
        members = [int(node.split()[1]) for node in nodes if node.startswith("request ")]
        # Only who holds something makes room by going.
        holding = [rid for rid in members if rid in holders] or members
        victim = max(holding, key=lambda rid: (age.get(rid, 0.0), rid))
        return Deadlock((*ordered, ordered[0]), victim, tuple(sorted(blocked)))
    return None
