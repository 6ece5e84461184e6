"""Merge the states of a request that nothing outside it can tell apart.

A :class:`Web` is the automaton of one request as arrays, in two layers: before and after the one
fault of a history. The fault of another request is a step too (``spend``), from a state to the same
state in the second layer.

Two states are merged when they hold the same slots, wait for the same room, rest or do not, and can
do the same to the outside with the same effect (*branching bisimulation* that respects endless
cycles, by refinement of signatures after Blom and Orzan, 2003). Steps that concern nobody else are
silent. They commute with every step of the other requests, which is the argument of a partial-order
reduction; here it is taken to its end, since what differs by silent steps alone becomes one state.
The relation is a congruence for composition (Glabbeek, Luttik and Trcka, 2009): a violation, a dead
end or an endless cycle of several requests can be reached among the merged states exactly if it can
among all. A step that violates an invariant is never silent.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hetsim.ownership._alone import PAID, STEPS, Alone
from hetsim.ownership._spec import INVARIANTS

__all__ = ["Web", "mask_of", "merge", "names_of", "quotient", "unfold"]

Ints = NDArray[np.int64]

SPEND = STEPS.index("spend")
_WIDTH = 32


class Web(NamedTuple):
    """The automaton of one request, as arrays; node 0 is where it begins."""

    source: Ints
    kind: Ints
    broken: Ints
    """Invariants that a step violates, one bit each (:func:`mask_of`)."""
    target: Ints
    holds: Ints
    wants_x: NDArray[np.bool_]
    rests: NDArray[np.bool_]
    spins: NDArray[np.bool_]
    """Whether a node may go round for ever by itself (only known of merged nodes)."""
    layer: Ints
    state: Ints
    """Number of (one of) the states of :class:`Alone` that a node stands for."""

    @property
    def nodes(self) -> int:
        """How many nodes there are."""
        return len(self.holds)


def mask_of(names: tuple[str, ...]) -> int:
    """Return the bits of some invariants.

    >>> mask_of(("I1", "I3")), names_of(5)
    (5, ('I1', 'I3'))
    """
    return sum(1 << INVARIANTS.index(name) for name in names)


def names_of(mask: int) -> tuple[str, ...]:
    """Return the invariants of some bits, in order."""
    return tuple(name for bit, name in enumerate(INVARIANTS) if mask >> bit & 1)


def unfold(found: Alone) -> Web:
    """Return the two layers of the automaton of one request.

    A request that a shared fault does not touch (it has not arrived) takes it without a change.
    """
    clean = found.clean()
    first = {state: node for node, state in enumerate(clean)}
    after = len(clean)
    shared = sorted({e.kind for edges in found.edges for e in edges if 6 <= e.kind <= 10})
    rows: list[tuple[int, int, int, int]] = []
    for state, edges in enumerate(found.edges):
        node = first.get(state)
        for edge in edges:
            mask = mask_of(edge.broken)
            if edge.kind in PAID:
                if node is not None:
                    rows.append((node, edge.kind, mask, after + edge.to))
                continue
            rows.append((after + state, edge.kind, mask, after + edge.to))
            if node is not None:
                rows.append((node, edge.kind, mask, first[edge.to]))
        if node is not None:
            known = {edge.kind for edge in edges}
            idle = [kind for kind in shared if kind not in known]
            rows += [(node, kind, 0, after + state) for kind in (*idle, SPEND)]
    source, kind, broken, target = np.array(rows, dtype=np.int64).T
    state_of = np.array([*clean, *range(len(found.edges))], dtype=np.int64)
    return Web(
        source,
        kind,
        broken,
        target,
        np.array(found.holds, dtype=np.int64)[state_of],
        np.array(found.wants_x)[state_of],
        np.array(found.rests)[state_of],
        np.zeros(len(state_of), dtype=bool),
        (np.arange(len(state_of)) >= after).astype(np.int64),
        state_of,
    )


def merge(web: Web, silent: bool = True) -> Ints:
    """Return the class of each node; ``silent``: own steps do not count (else all steps do).

    Signatures are told apart by 64 bits.
    """
    if not silent:
        return _refine(web, _strong)
    strong = _refine(web, _strong)
    small = quotient(web, strong)
    return _refine(small, _branching)[strong]


def quotient(web: Web, classes: Ints) -> Web:
    """Return the automaton of the classes; own steps inside one class become ``spins``."""
    count = int(classes.max()) + 1
    one = np.zeros(count, dtype=np.int64)
    one[classes[::-1]] = np.arange(web.nodes)[::-1]
    source, target = classes[web.source], classes[web.target]
    inert = _silent(web) & (source == target)
    spins = np.zeros(count, dtype=bool)
    spins[classes[_cycling(web, inert)]] = True
    spins[classes[web.spins]] = True
    kept = np.unique(_pack(source, web.kind, web.broken, target)[~inert], axis=0)
    return Web(
        *_unpack(kept),
        web.holds[one],
        web.wants_x[one],
        web.rests[one],
        spins,
        web.layer[one],
        web.state[one],
    )


def _pack(source: Ints, kind: Ints, broken: Ints, target: Ints) -> Ints:
    return source << 40 | kind << 36 | broken << 20 | target


def _unpack(packed: Ints) -> tuple[Ints, Ints, Ints, Ints]:
    return packed >> 40, packed >> 36 & 15, packed >> 20 & 0xFFFF, packed & 0xFFFFF


def _silent(web: Web) -> NDArray[np.bool_]:
    found: NDArray[np.bool_] = (web.kind == 0) & (web.broken == 0)
    return found


def _refine(web: Web, signature: Any) -> Ints:
    colour = web.holds | web.wants_x << 3 | web.rests << 4 | web.layer << 5
    classes: Ints = np.unique(colour, return_inverse=True)[1].astype(np.int64)
    while True:
        before = classes.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        marks = _mix(_mix(signature(web, classes)) + before)
        finer = np.unique(marks, return_inverse=True)[1].astype(np.int64)
        if finer.max() == classes.max():
            return _from_zero(finer)
        classes = finer


def _from_zero(classes: Ints) -> Ints:
    """Swap two names, so that node 0 is in class 0."""
    renamed = classes.copy()
    renamed[classes == classes[0]] = 0
    renamed[classes == 0] = classes[0]
    return renamed


def _mix(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Scatter 64 bits (the finaliser of SplitMix64)."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


def _strong(web: Web, classes: Ints) -> NDArray[np.uint64]:
    """Sum, for each node, the marks of its distinct (kind, violation, class after)."""
    steps = np.unique(_pack(web.source, web.kind, web.broken, classes[web.target]))
    return _sums(steps, web.nodes)


def _sums(steps: Ints, nodes: int) -> NDArray[np.uint64]:
    total = np.zeros(nodes, dtype=np.uint64)
    what = (steps & (1 << 40) - 1).astype(np.uint64)
    np.add.at(total, steps >> 40, _mix(what + np.uint64(0x9E3779B97F4A7C15)))
    return total


def _branching(web: Web, classes: Ints) -> NDArray[np.uint64]:
    """Mark, for each node, what can be done after silent steps inside its class."""
    inert = _silent(web) & (classes[web.source] == classes[web.target])
    knots, knot = _knots(web, inert)
    outside = ~inert
    steps = np.unique(
        _pack(
            knot[web.source[outside]],
            web.kind[outside],
            web.broken[outside],
            classes[web.target[outside]],
        )
    )
    sets = _collect(steps, knots)
    endless = np.append(_cycling(web, inert, knot), np.flatnonzero(web.spins))
    for node in np.unique(knot[endless]).tolist():
        sets[node] = sets[node] | {-1}
    within = np.unique(knot[web.source[inert]] << _WIDTH | knot[web.target[inert]])
    _spread(sets, within)
    known: dict[frozenset[int], int] = {}
    marks = np.array([known.setdefault(one, len(known)) for one in sets], dtype=np.uint64)
    found: NDArray[np.uint64] = marks[knot]
    return found


def _collect(steps: Ints, count: int) -> list[frozenset[int]]:
    places = np.searchsorted(steps >> 40, np.arange(count + 1)).tolist()
    words = (steps & (1 << 40) - 1).tolist()
    return [frozenset(words[a:b]) for a, b in pairwise(places)]


def _knots(web: Web, inert: NDArray[np.bool_]) -> tuple[int, Ints]:
    """Return the number of strongly connected parts of the silent steps, and that of each node."""
    from scipy.sparse import csr_matrix
    from scipy.sparse.csgraph import connected_components

    ones = np.ones(int(inert.sum()), dtype=np.int8)
    shape = (web.nodes, web.nodes)
    graph = csr_matrix((ones, (web.source[inert], web.target[inert])), shape=shape)
    count, knot = connected_components(graph, directed=True, connection="strong")
    return int(count), knot.astype(np.int64)


def _cycling(web: Web, inert: NDArray[np.bool_], knot: Ints | None = None) -> Ints:
    """Return the nodes from which a silent step leads round in a circle."""
    if knot is None:
        knot = _knots(web, inert)[1]
    round_ = knot[web.source[inert]] == knot[web.target[inert]]
    return np.unique(web.source[inert][round_])


def _spread(sets: list[frozenset[int]], within: Ints) -> None:
    """Give each part what the parts after it have; ``within`` is free of cycles but for loops."""
    after: dict[int, list[int]] = {}
    for pair in within.tolist():
        here, there = pair >> _WIDTH, pair & (1 << _WIDTH) - 1
        if here != there:
            after.setdefault(here, []).append(there)
    done: set[int] = set()
    for start in after:
        stack = [start]
        while stack:
            here = stack[-1]
            open_ = [there for there in after.get(here, ()) if there not in done]
            if open_:
                stack += open_
                continue
            stack.pop()
            if here not in done:
                done.add(here)
                for there in after.get(here, ()):
                    if not sets[there] <= sets[here]:
                        sets[here] = sets[here] | sets[there]
