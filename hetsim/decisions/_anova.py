"""Functional ANOVA: how much of the variance each decision, and each pair of them, accounts for."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import numpy.typing as npt

__all__ = ["Effect", "anova_shares", "effects_of", "model_matrix"]

Matrix = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]
Effect = tuple[int, ...]
"""The factors of an effect: one, or two for what a pair adds to its members."""


def effects_of(factors: int) -> list[Effect]:
    """Return all main effects and all pairs.

    >>> effects_of(3)
    [(0,), (1,), (2,), (0, 1), (0, 2), (1, 2)]
    """
    return [*((f,) for f in range(factors)), *combinations(range(factors), 2)]


def anova_shares(codes: Codes, shape: tuple[int, ...], values: Matrix) -> dict[Effect, Matrix]:
    """Return the share of each effect in the variance, one per row of ``values[sample, design]``.

    ``y = m + sum_i f_i(x_i) + sum_ij f_ij(x_i, x_j) + rest``, every effect with mean zero over each
    of its factors (levels weighted equally), fitted by least squares; the share is the mean square
    of the effect over its levels, over the variance of ``y``. In a balanced design this is the
    classical decomposition, and shares and the rest add up to 1.

    Source: functional ANOVA, Hoeffding 1948; first and second order Sobol' indices of discrete,
    uniform inputs. Valid for: designs in which main effects and pairs can be told apart.

    >>> codes = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])
    >>> shares = anova_shares(codes, (2, 2), np.array([[0.0, 0.0, 0.0, 4.0]]))
    >>> [round(float(share[0]), 3) for share in shares.values()]
    [0.333, 0.333, 0.333]
    """
    effects = [e for e in effects_of(len(shape)) if all(shape[f] > 1 for f in e)]
    matrix, columns = model_matrix(codes, shape, effects)
    fitted = values @ np.linalg.pinv(matrix).T
    total = values.var(axis=1)
    shares = {}
    for effect in effects:
        grid = np.array(list(np.ndindex(*(shape[f] for f in effect))), dtype=np.int64)
        cells = _coded(grid, tuple(shape[f] for f in effect))
        square = ((fitted[:, columns[effect]] @ cells.T) ** 2).mean(axis=1)
        shares[effect] = np.where(total > 0.0, square / np.where(total > 0.0, total, 1.0), 0.0)
    return shares


def model_matrix(
    codes: Codes, shape: tuple[int, ...], effects: list[Effect]
) -> tuple[Matrix, dict[Effect, slice]]:
    """Return the columns of a constant and of each effect, and where each effect stands."""
    parts, columns, at = [np.ones((len(codes), 1))], {}, 1
    for effect in effects:
        part = _coded(codes[:, list(effect)], tuple(shape[f] for f in effect))
        columns[effect] = slice(at, at + part.shape[1])
        parts.append(part)
        at += part.shape[1]
    return np.concatenate(parts, axis=1), columns


def _coded(codes: Codes, shape: tuple[int, ...]) -> Matrix:
    """Return products of sum-to-zero codes: of ``n`` levels, ``n - 1`` columns."""
    made = np.ones((len(codes), 1))
    for factor, levels in enumerate(shape):
        basis = np.vstack([np.eye(levels - 1), -np.ones((1, levels - 1))])
        one = basis[codes[:, factor]]
        made = (made[:, :, None] * one[:, None, :]).reshape(len(codes), -1)
    return made
