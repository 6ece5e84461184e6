"""What is lost when decisions that belong together are made one at a time."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import numpy.typing as npt

from hetsim.decisions._anova import effects_of, model_matrix

__all__ = [
    "INDIFFERENCE",
    "base_rows",
    "best_of",
    "cell_weights",
    "lost",
    "margins_of",
    "regret_from_base",
    "regret_uniform",
    "tables_of",
    "taken",
    "worth_apart",
    "worth_of",
    "worth_of_pairs",
]

Matrix = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]
INDIFFERENCE = 0.01
"""Relative difference of margins at which the worse level is still taken about one time in four:
half the threshold of a verdict, so that indifference alone makes no pair binding."""


def cell_weights(codes: Codes, shape: tuple[int, ...], group: tuple[int, ...]) -> Matrix:
    """Return ``[cells, designs]`` weights: a cell of ``group`` as the mean over the other levels.

    Where the design holds every level of the others equally often in every cell these are plain
    means; else those of a fit of main effects and pairs (and of the group itself).
    """
    sizes = tuple(shape[f] for f in group)
    cell = np.ravel_multi_index(tuple(codes[:, f] for f in group), sizes)
    cells = int(np.prod(sizes))
    if _balanced(codes, shape, cell, cells, group):
        counts = np.bincount(cell, minlength=cells)
        weights = np.zeros((cells, len(codes)))
        weights[cell, np.arange(len(codes))] = 1.0 / counts[cell]
        return weights
    effects = effects_of(len(shape))
    if len(group) > 2:
        effects.append(group)
    matrix, columns = model_matrix(codes, shape, effects)
    grid = np.zeros((cells, len(shape)), dtype=np.int64)
    grid[:, list(group)] = np.array(list(np.ndindex(*sizes)))
    wanted, _ = model_matrix(grid, shape, effects)
    for effect, place in columns.items():
        if not set(effect) <= set(group):
            wanted[:, place] = 0.0
    found: Matrix = wanted @ np.linalg.pinv(matrix)
    return found


def _balanced(
    codes: Codes, shape: tuple[int, ...], cell: Codes, cells: int, group: tuple[int, ...]
) -> bool:
    """Say whether every level of every other factor is equally frequent in every cell."""
    if len(np.unique(np.bincount(cell, minlength=cells))) != 1:
        return False
    for factor in set(range(len(shape))) - set(group):
        counts = np.bincount(
            cell * shape[factor] + codes[:, factor], minlength=cells * shape[factor]
        )
        if len(np.unique(counts)) != 1:
            return False
    return True


def base_rows(codes: Codes, shape: tuple[int, ...], group: tuple[int, ...]) -> Codes | None:
    """Return the design of each cell of ``group`` with the others at their first level, or None."""
    others = [f for f in range(len(shape)) if f not in group]
    at_base = (codes[:, others] == 0).all(axis=1)
    rows = np.full(int(np.prod([shape[f] for f in group])), -1, dtype=np.int64)
    cell = np.ravel_multi_index(tuple(codes[:, f] for f in group), [shape[f] for f in group])
    rows[cell[at_base]] = np.flatnonzero(at_base)
    return None if (rows < 0).any() else rows


def tables_of(means: Matrix, weights: Matrix, sizes: tuple[int, ...]) -> Matrix:
    """Return ``[sample, *sizes]`` tables of cells from ``means[sample, design]``."""
    table: Matrix = (means @ weights.T).reshape(len(means), *sizes)
    return table


def margins_of(tables: Matrix, *, from_base: bool) -> list[Matrix]:
    """Return by factor what its levels are worth to one who decides it alone, ``[sample, level]``.

    Uniform: the mean over the levels of the others. From the base: with the others at their first.
    """
    axes = range(1, tables.ndim)
    if not from_base:
        return [tables.mean(axis=tuple(o for o in axes if o != axis)) for axis in axes]
    found = []
    for axis in axes:
        index: list[int | slice] = [slice(None)] + [0] * (tables.ndim - 1)
        index[axis] = slice(None)
        found.append(tables[tuple(index)])
    return found


def taken(margin: Matrix) -> Matrix:
    """Return with which probability one who sees only this margin takes each level.

    The best, unless others are about as good: ``exp((m - best) / (INDIFFERENCE best))`` over its
    sum. Nobody can be sure to take the one of two equal levels that happens to suit the other
    decisions, and a rule for ties would decide it by the order in which levels stand in the file.

    >>> [round(float(p), 3) for p in taken(np.array([[1.0, 1.0, 0.9]]))[0]]
    [0.5, 0.5, 0.0]
    """
    best = margin.max(axis=1, keepdims=True)
    width = np.where(best > 0.0, best * INDIFFERENCE, 1.0)
    weight = np.exp((margin - best) / width)
    probability: Matrix = weight / weight.sum(axis=1, keepdims=True)
    return probability


def worth_apart(tables: Matrix, probabilities: list[Matrix]) -> Matrix:
    """Return the expected value of a table when every factor is decided on its own."""
    left = tables
    for probability in reversed(probabilities):
        shape = (len(left), *(1,) * (left.ndim - 2), probability.shape[1])
        left = (left * probability.reshape(shape)).sum(axis=-1)
    return left


def worth_of(tables: Matrix, *, from_base: bool) -> Matrix:
    """Return what a table is worth to those who decide each factor on its own margin."""
    margins = margins_of(tables, from_base=from_base)
    return worth_apart(tables, [taken(margin) for margin in margins])


def regret_uniform(tables: Matrix) -> Matrix:
    """Return ``1 - apart / best`` per table, margins uniform over the other levels.

    >>> float(regret_uniform(np.array([[[1.0, 1.0], [1.0, 1.0]]]))[0])
    0.0
    >>> round(float(regret_uniform(np.array([[[6.0, 5.0], [0.0, 8.0]]]))[0]), 6)   # 5 of 8
    0.375
    """
    return lost(worth_of(tables, from_base=False), best_of(tables))


def regret_from_base(tables: Matrix) -> Matrix:
    """Return ``1 - apart / best`` per table, each factor judged with the others at the base.

    >>> round(float(regret_from_base(np.array([[[6.0, 5.0], [0.0, 8.0]]]))[0]), 6)   # 6 of 8
    0.25
    """
    return lost(worth_of(tables, from_base=True), best_of(tables))


def best_of(tables: Matrix) -> Matrix:
    """Return the best cell of every table."""
    best: Matrix = tables.reshape(len(tables), -1).max(axis=1)
    return best


def lost(separate: Matrix, best: Matrix) -> Matrix:
    """Return ``1 - separate / best``; zero where nothing is worth anything."""
    regret: Matrix = np.where(best > 0.0, 1.0 - separate / np.where(best > 0.0, best, 1.0), 0.0)
    return regret


def worth_of_pairs(tables: Matrix) -> list[Matrix]:
    """Return what a triple is worth if one pair of it is decided together and the third apart.

    One entry for each of the three ways: where all of them lose, all three belong together.
    """
    found = []
    for first, second in combinations(range(3), 2):
        third = 3 - first - second
        moved = np.moveaxis(tables, (first + 1, second + 1, third + 1), (1, 2, 3))
        flat = moved.reshape(len(tables), -1, moved.shape[3])
        found.append(worth_apart(flat, [taken(flat.mean(axis=2)), taken(flat.mean(axis=1))]))
    return found
