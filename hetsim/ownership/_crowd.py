"""Several requests on a few instances: every state, breadth first, as sorted arrays of integers.

A state is the multiset of (node of the request's automaton, its P, its D); requests are alike, and
so are the instances of a side, so of all ways to number them the smallest word stands for the
state. What couples requests: room on an instance and in the pool, the wish to evict, the death or
stall of an instance, and the one fault of a history. All else is in ``_alone.py``.

Explored over the merged nodes of ``_quotient.py`` an instance is small enough to be whole; over the
nodes before merging the same search gives the shortest story of a violation, step by step.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hetsim.ownership._alone import PAID, STEPS
from hetsim.ownership._quotient import SPEND, Ints, Web, names_of

__all__ = ["Crowd", "Seen", "Size"]

_CHUNK = 100_000
_P, _D, _X = 1, 2, 4
_ROOM = {2: _P, 3: _D, 4: _X}
_SIDES = {6: _P, 7: _D, 8: _X, 9: _P, 10: _D}


class Size(NamedTuple):
    """An instance: how many of what, and how many requests each device has room for."""

    requests: int = 3
    prefill: int = 2
    decode: int = 2
    slots: int = 1


class Seen(NamedTuple):
    """What a search saw."""

    states: int
    steps: int
    depth: int
    whole: bool
    ends: int
    """States in which nothing more happens, or only circles that lead nowhere."""
    doomed: int
    """States from which the requests can no longer all come to rest (known if whole)."""
    broken: dict[str, int]
    """Steps from the start to the first violation of each invariant."""
    levels: list[Ints]


class Crowd:
    """The automata of several requests put together; see :meth:`explore`."""

    def __init__(self, web: Web, size: Size) -> None:
        self.web = web
        self.size = size
        self.bits = 2 + max(1, int(web.nodes - 1).bit_length())
        order = np.lexsort((web.source, web.kind))
        self.target, self.broken = web.target[order], web.broken[order]
        place = web.kind[order] * web.nodes + web.source[order]
        edges = np.searchsorted(place, np.arange(len(STEPS) * web.nodes + 1))
        self.first = edges[:-1].reshape(len(STEPS), web.nodes)
        self.count = np.diff(edges).reshape(len(STEPS), web.nodes)
        self.kinds = [kind for kind in range(len(STEPS)) if self.count[kind].any()]

    # --- states as words ------------------------------------------------------------------

    def begin(self) -> Ints:
        """Return the states at the start: every placement of the requests."""
        places = [p * 2 + d for p in range(self.size.prefill) for d in range(self.size.decode)]
        words = np.array(list(product(places, repeat=self.size.requests)), dtype=np.int64)
        return np.unique(self.pack(words))

    def pack(self, words: Ints) -> Ints:
        """Return one number for each row of (node << 2 | p << 1 | d), whatever its numbering."""
        best: Ints | None = None
        for swap in self._swaps():
            rows = np.sort(words ^ swap, axis=1)
            packed = rows[:, 0].copy()
            for column in range(1, self.size.requests):
                packed = packed << self.bits | rows[:, column]
            best = packed if best is None else np.minimum(best, packed)
        assert best is not None
        return best

    def _swaps(self) -> list[int]:
        ps = (0, 2) if self.size.prefill == 2 else (0,)
        ds = (0, 1) if self.size.decode == 2 else (0,)
        return [p | d for p in ps for d in ds]

    def unpack(self, states: Ints) -> Ints:
        """Return the rows of words of some states."""
        mask = (1 << self.bits) - 1
        columns = range(self.size.requests - 1, -1, -1)
        return np.stack([states >> self.bits * column & mask for column in columns], axis=1)

    # --- steps ----------------------------------------------------------------------------

    def steps(self, words: Ints) -> Iterator[tuple[int, int, Ints, Ints, Ints]]:
        """Yield (kind, request or place, rows they start from, words after, violations)."""
        for kind in self.kinds:
            if kind == SPEND:
                continue
            if kind in _SIDES:
                for place in range(self._places(_SIDES[kind])):
                    yield kind, place, *self._shared(words, kind, place)
            else:
                for column in range(self.size.requests):
                    yield kind, column, *self._single(words, kind, column)

    def _places(self, side: int) -> int:
        return {_P: self.size.prefill, _D: self.size.decode, _X: 1}[side]

    def _single(self, words: Ints, kind: int, column: int) -> tuple[Ints, Ints, Ints]:
        """One request moves; a fault is one that the others can no longer have."""
        rows = np.flatnonzero(self.count[kind][words[:, column] >> 2])
        rows = rows[self._allowed(words[rows], kind, column)]
        after, broken = words[rows], np.zeros(len(rows), dtype=np.int64)
        others = range(self.size.requests) if kind == 1 else (column,)
        for other in others:
            what = kind if other == column else SPEND
            rows, after, broken = self._expand(rows, after, broken, other, what)
        return rows, after, broken

    def _allowed(self, words: Ints, kind: int, column: int) -> NDArray[np.bool_]:
        """Return where there is room to take, or (an eviction) none and somebody who wants it."""
        holds = self.web.holds[words >> 2]
        if kind == 5:
            full = ((holds & _X) > 0).sum(axis=1) >= self.size.slots
            wanted: NDArray[np.bool_] = full & self.web.wants_x[words >> 2].any(axis=1)
            return wanted
        if kind not in _ROOM:
            return np.ones(len(words), dtype=bool)
        bit = _ROOM[kind]
        near = (words ^ words[:, [column]]) & {_P: 2, _D: 1, _X: 0}[bit] == 0
        room: NDArray[np.bool_] = (((holds & bit) > 0) & near).sum(axis=1) < self.size.slots
        return room

    def _shared(self, words: Ints, kind: int, place: int) -> tuple[Ints, Ints, Ints]:
        """All requests of one instance feel a fault; the others can no longer have one."""
        side = _SIDES[kind]
        there = np.ones(words.shape, dtype=bool)
        if side != _X:
            there = (words >> (1 if side == _P else 0)) & 1 == place
        rows = np.flatnonzero(there.any(axis=1) & (self.count[SPEND][words[:, 0] >> 2] > 0))
        after, broken = words[rows], np.zeros(len(rows), dtype=np.int64)
        for column in range(self.size.requests):
            what = np.where(there[rows, column], kind, SPEND)
            rows, after, broken = self._expand(rows, after, broken, column, what)
        return rows, after, broken

    def _expand(
        self, rows: Ints, words: Ints, broken: Ints, column: int, kind: int | Ints
    ) -> tuple[Ints, Ints, Ints]:
        """Let one request take each of its steps of a kind."""
        nodes = words[:, column] >> 2
        counts = self.count[kind, nodes]
        each = np.repeat(np.arange(len(rows)), counts)
        offset = np.arange(len(each)) - np.repeat(np.cumsum(counts) - counts, counts)
        edges = np.repeat(self.first[kind, nodes], counts) + offset
        after = words[each]
        after[:, column] = self.target[edges] << 2 | after[:, column] & 3
        return rows[each], after, broken[each] | self.broken[edges]

    # --- search ---------------------------------------------------------------------------

    def explore(self, limit: int = 10_000_000, until: str = "", keep: bool = False) -> Seen:
        """Visit all states, or ``limit``, or those up to the first violation of ``until``.

        ``keep``: keep the states of each level (for :meth:`doomed` and stories).
        """
        known = frontier = self.begin()
        levels, broken = [frontier], dict[str, int]()
        steps = ends = 0
        whole = False
        while until not in broken and len(known) < limit:
            found: list[Ints] = []
            for start in range(0, len(frontier), _CHUNK):
                part = self.unpack(frontier[start : start + _CHUNK])
                moved = np.zeros(len(part), dtype=bool)
                for _, _, rows, after, masks in self.steps(part):
                    steps += len(rows)
                    moved[rows] = True
                    for name in names_of(int(np.bitwise_or.reduce(masks, initial=0))):
                        broken.setdefault(name, len(levels))
                    found.append(_fresh(self.pack(after), known))
                ends += len(part) - int(moved.sum())
                if not self._rest(part[~moved]).all():
                    broken.setdefault("I2", len(levels) - 1)
            frontier = _union(found)
            whole = not len(frontier)
            if whole:
                break
            known = np.concatenate([known, frontier])
            known.sort(kind="stable")
            levels.append(frontier)
        depth = len(levels) - 1
        doomed = self._doomed(known) if whole else 0
        if doomed:
            broken.setdefault("I2", depth)
        return Seen(len(known), steps, depth, whole, ends, doomed, broken, levels if keep else [])

    def _doomed(self, known: Ints) -> int:
        """Count the states from which no further steps, faults aside, lead all requests to rest."""
        sources: list[Ints] = []
        targets: list[Ints] = []
        hopeful = np.zeros(len(known), dtype=bool)
        for start in range(0, len(known), _CHUNK):
            part = self.unpack(known[start : start + _CHUNK])
            hopeful[start : start + len(part)] = self._rest(part)
            for kind, _, rows, after, _ in self.steps(part):
                if kind not in PAID:
                    sources.append(rows + start)
                    targets.append(np.searchsorted(known, self.pack(after)))
        if not sources:
            return int((~hopeful).sum())
        source, target = np.concatenate(sources), np.concatenate(targets)
        before = -1
        while before != (before := int(hopeful.sum())):
            hopeful[source[hopeful[target]]] = True
        return len(known) - before

    def _rest(self, words: Ints) -> NDArray[np.bool_]:
        found: NDArray[np.bool_] = self.web.rests[words >> 2].all(axis=1)
        return found


def _fresh(states: Ints, known: Ints) -> Ints:
    states = np.unique(states)
    place = np.minimum(np.searchsorted(known, states), len(known) - 1)
    return np.compress(known[place] != states, states)


def _union(parts: list[Ints]) -> Ints:
    return np.unique(np.concatenate(parts)) if parts else np.zeros(0, dtype=np.int64)
