"""The largest part of a design in which every combination can run."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["largest_rectangle"]

_MOST = 4000
"""Partial choices that are looked at; the best found by then is taken."""

Kept = tuple[frozenset[int], ...]


def largest_rectangle(
    codes: npt.NDArray[np.int64], shape: tuple[int, ...], feasible: npt.NDArray[np.bool_]
) -> tuple[tuple[int, ...], ...]:
    """Return the levels to keep of each factor so that most points remain, all of them feasible.

    Some level of every infeasible point must go, so the choices branch on which. Two levels of a
    factor are kept where that can be.

    >>> codes = np.array([[0, 0], [0, 1], [1, 0], [1, 1], [2, 0], [2, 1]])
    >>> largest_rectangle(codes, (3, 2), np.array([1, 1, 1, 1, 1, 0], bool))
    ((0, 1), (0, 1))
    """
    start: Kept = tuple(frozenset(range(levels)) for levels in shape)
    best: tuple[tuple[int, int], Kept] = ((-1, -1), start)
    waiting, seen = [start], {start}
    while waiting and len(seen) < _MOST:
        kept = waiting.pop()
        inside = _inside(codes, kept)
        score = (sum(len(levels) > 1 for levels in kept), int(inside.sum()))
        if score[1] < 1 or (score[1] <= best[0][1] and score[0] <= best[0][0]):
            continue
        bad = codes[inside & ~feasible]
        if not len(bad):
            best = max(best, (score, kept), key=lambda pair: pair[0])
            continue
        for part in _without(kept, bad, shape):
            if part not in seen:
                seen.add(part)
                waiting.append(part)
    return (
        tuple(tuple(sorted(levels)) for levels in best[1]) if best[0][1] > 0 else ((),) * len(shape)
    )


def _inside(codes: npt.NDArray[np.int64], kept: Kept) -> npt.NDArray[np.bool_]:
    inside = np.ones(len(codes), dtype=bool)
    for factor, levels in enumerate(kept):
        inside &= np.isin(codes[:, factor], sorted(levels))
    return inside


def _without(kept: Kept, bad: npt.NDArray[np.int64], shape: tuple[int, ...]) -> list[Kept]:
    """Return the choices without one level of the first bad point, the most harmful level last.

    The last is looked at first, so that a good choice is found early.
    """
    found = []
    for factor in range(len(shape)):
        level = int(bad[0, factor])
        rest = kept[factor] - {level}
        if rest:
            harm = float((bad[:, factor] == level).mean()) / (1.0 / len(kept[factor]))
            found.append((harm, factor, (*kept[:factor], rest, *kept[factor + 1 :])))
    return [part for _, _, part in sorted(found, key=lambda one: one[:2])]
