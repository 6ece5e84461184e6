"""Which combinations of levels are points: matrices of level numbers, one row per point."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt

from hetsim.errors import Problem, nearest
from hetsim.sweep._types import MAX_POINTS, Fractional, FullFactorial, Listed

__all__ = ["core_points", "design_points", "design_problems", "factors_of"]

Points = npt.NDArray[np.int32]


def factors_of(number: int) -> list[int]:
    """Return the prime factors of a number, the smallest first.

    >>> factors_of(12)
    [2, 2, 3]
    """
    found, factor = [], 2
    while factor * factor <= number:
        while number % factor == 0:
            found.append(factor)
            number //= factor
        factor += 1
    return [*found, number] if number > 1 else found


def design_problems(design: Any, shape: Sequence[int], labels: Any) -> list[Problem]:
    """Return what stands against a design over axes of ``shape`` levels.

    ``labels`` are the labels of each axis by its name.
    """
    count = prod(shape)
    if isinstance(design, (FullFactorial, Fractional)) and count > MAX_POINTS * 8:
        return [_too_many(count)]
    if isinstance(design, FullFactorial) and count > MAX_POINTS:
        return [_too_many(count)]
    if isinstance(design, Fractional):
        return _fraction_problems(design.fraction, shape)
    if isinstance(design, Listed):
        return _listed_problems(design, labels)
    return []


def _too_many(count: int) -> Problem:
    return Problem(
        f"{count:.3g} combinations, more than {MAX_POINTS:,}, and no sample size: say how many, "
        "such as design: {kind: sobol, samples: 1024}",
        "design",
    )


def _fraction_problems(fraction: int, shape: Sequence[int]) -> list[Problem]:
    for prime in factors_of(fraction):
        axes = sum(1 for levels in shape if levels % prime == 0)
        relations = factors_of(fraction).count(prime)
        if axes < relations + 1:
            return [
                Problem(
                    f"is {fraction}, with the prime {prime}; that needs {relations + 1} axes whose "
                    f"number of levels {prime} divides, there are {axes}: levels {list(shape)}",
                    "design.fraction",
                )
            ]
    return []


def _listed_problems(design: Listed, labels: Any) -> list[Problem]:
    problems = []
    if not design.points:
        problems.append(Problem("holds no point", "design.points"))
    for number, point in enumerate(design.points):
        where = f"design.points[{number}]"
        for name in point:
            if name not in labels:
                problems.append(
                    Problem(f"no such axis; {nearest(name, labels)}", f"{where}.{name}")
                )
        for name, known in labels.items():
            if name not in point:
                problems.append(Problem(f"states no level of axis {name!r}", where))
            elif str(point[name]) not in known:
                hint = nearest(str(point[name]), known)
                problems.append(Problem(f"no level {point[name]!r}; {hint}", f"{where}.{name}"))
    return problems


def design_points(
    design: Any, shape: Sequence[int], labels: Any, decisions: Sequence[int] = ()
) -> Points:
    """Return the points of a design without problems, in a fixed order, none twice.

    ``decisions`` are the numbers of the axes that are not conditions.
    """
    if isinstance(design, FullFactorial):
        return _grid(np.arange(prod(shape)), shape)
    if isinstance(design, Fractional):
        fraction = _fraction(design.fraction, shape)
        if not design.near_base:
            return fraction
        return _unique(np.concatenate([fraction, _near(design.near_base, shape, decisions)]))
    if isinstance(design, Listed):
        rows = [
            [known.index(str(point[name])) for name, known in labels.items()]
            for point in design.points
        ]
        return _unique(np.array(rows, dtype=np.int32))
    return _unique(_sampled(design, shape))


def _grid(rows: npt.NDArray[np.int64], shape: Sequence[int]) -> Points:
    return np.stack(np.unravel_index(rows, tuple(shape)), axis=1).astype(np.int32)


def _fraction(fraction: int, shape: Sequence[int]) -> Points:
    """Return the runs on which every defining relation (a sum of levels modulo a prime) is 0.

    The first relation of a prime sums all axes whose levels it divides, so that as many axes as
    possible must be confounded together; later ones give them the weights 1, 2, 3, ...
    """
    points = _grid(np.arange(prod(shape)), shape)
    keep = np.ones(len(points), dtype=bool)
    seen: dict[int, int] = {}
    for prime in factors_of(fraction):
        power = seen[prime] = seen.get(prime, -1) + 1
        axes = [axis for axis, levels in enumerate(shape) if levels % prime == 0]
        weights = _weights(len(axes), prime, power)
        total = sum(
            w * points[:, axis].astype(np.int64) for w, axis in zip(weights, axes, strict=True)
        )
        keep &= np.asarray(total) % prime == 0
    return points[keep]


def _near(most: int, shape: Sequence[int], decisions: Sequence[int]) -> Points:
    """Return the points that leave the first level in at most ``most`` of the ``decisions``."""
    points = _grid(np.arange(prod(shape)), shape)
    moved = (points[:, list(decisions)] > 0).sum(axis=1)
    near: Points = points[moved <= most]
    return near


def core_points(design: Any, shape: Sequence[int], points: int) -> int:
    """Return how many of a design's points, from the first on, use all pairs of levels evenly."""
    if isinstance(design, Fractional):
        return prod(shape) // design.fraction
    return points


def _weights(axes: int, prime: int, power: int) -> list[int]:
    """Return the weights of relation number ``power``: independent of those before it."""
    if power == 0:
        return [1] * axes
    if prime == 2:
        # Halves, quarters, ... of the axes: 1010..., 1100..., as in two-level fractions.
        return [(axis >> (power - 1)) & 1 for axis in range(axes)]
    return [
        pow(axis + 1, power, prime) if axis + 1 < prime else axis % prime for axis in range(axes)
    ]


def _sampled(design: Any, shape: Sequence[int]) -> Points:
    from scipy.stats import qmc

    axes, samples = len(shape), design.samples
    if design.kind == "sobol":
        engine = qmc.Sobol(axes, scramble=True, rng=np.random.default_rng(design.seed))
        unit = engine.random_base2(max(0, (samples - 1).bit_length()))[:samples]
    else:
        unit = qmc.LatinHypercube(axes, rng=np.random.default_rng(design.seed)).random(samples)
    levels = np.array(shape)
    chosen = np.minimum((unit * levels).astype(np.int64), levels - 1)
    sampled: Points = chosen.astype(np.int32)
    return sampled


def _unique(points: Points) -> Points:
    """Return the points without repetitions, in the order of their first appearance."""
    _, first = np.unique(points, axis=0, return_index=True)
    kept: Points = points[np.sort(first)]
    return kept
