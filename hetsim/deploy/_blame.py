"""Which single parameter explains what was measured: a pure function of ratios and sensitivities.

How figures move with a parameter is a curve through a few runs: between two of them, the logarithm
of every figure is linear in that of the parameter. The best value of a parameter is a weighted
least-squares fit of one number; what it leaves says how well that parameter explains the whole.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import pairwise
from math import exp, log, sqrt

from hetsim.spec import spec

__all__ = ["Candidate", "Curve", "Logs", "Verdict", "blame"]

AGREES = 0.05
"""Deviation (log) of every family of figures below which a prediction is taken as confirmed."""
REPEATS = 0.02
"""Deviation (log) within which two explanations are the same: a measurement that is repeated
differs as much. A choice of this function; a table of repeated runs would give it per site."""
EXPLAINS = 0.6
"""Part of the squared deviation that a parameter has to explain."""
FARTHEST = log(100.0)
"""No parameter is believed to be further off."""


Logs = Mapping[str, float]


@spec
class Curve:
    """How figures move with a parameter: ``(log of the factor, logs of the changes)`` of runs.

    The prediction itself, where nothing is changed, belongs to every curve and is not listed.
    """

    points: tuple[tuple[float, Logs], ...]

    def with_point(self, factor: float, changes: Logs) -> Curve:
        """Return the curve with one more run."""
        return Curve(points=(*self.points, (log(factor), changes)))


@spec
class Candidate:
    """One parameter and how well it explains the ratios."""

    parameter: str
    factor: float
    """Times what was assumed."""
    explained: float
    """Part of the squared deviation that is gone with it."""
    residual: float
    """Weighted mean deviation (log) that is left."""


@spec
class Verdict:
    """What is most likely wrong."""

    parameter: str | None
    """None where nothing is wrong, or it cannot be told."""
    kind: str
    """agrees, found, tied or unexplained."""
    deviation: float
    """Weighted mean deviation (log) of all figures."""
    candidates: tuple[Candidate, ...]
    """The best first."""

    @property
    def tied(self) -> tuple[Candidate, ...]:
        """The candidates that explain as well as the best."""
        return tuple(one for one in self.candidates if _equal(one, self.candidates[0]))


def blame(ratios: Mapping[str, float], curves: Mapping[str, Curve]) -> Verdict:
    """Return which parameter explains observed over predicted best.

    Every family of figures (all of TTFT, all of TPOT, ...) has the same weight. A parameter is
    ``found`` only if it explains most of the deviation, and better than every other by more than
    measurements repeat.

    >>> curves = {
    ...     "overhead": Curve(points=((1.0, {"ttft_s.mean": 0.5}), (-1.0, {"ttft_s.mean": -0.5}))),
    ...     "memory": Curve(points=((1.0, {"tpot_s.mean": -1.0}), (-1.0, {"tpot_s.mean": 1.0}))),
    ... }
    >>> verdict = blame({"ttft_s.mean": 2.0, "tpot_s.mean": 1.0}, curves)
    >>> verdict.parameter, round(verdict.candidates[0].factor, 6)
    ('overhead', 4.0)
    >>> blame({"ttft_s.mean": 1.01}, curves).kind
    'agrees'
    """
    logs = {name: log(ratio) for name, ratio in ratios.items() if ratio > 0.0}
    weights = _weights(logs)
    deviation = _deviation(logs, weights)
    found = [_fit(name, one, logs, weights) for name, one in curves.items()]
    order = sorted((one for one in found if one is not None), key=lambda one: one.residual)
    kind = _kind(_worst(logs), order)
    return Verdict(
        parameter=order[0].parameter if kind == "found" else None,
        kind=kind,
        deviation=deviation,
        candidates=tuple(order),
    )


def _worst(logs: Logs) -> float:
    """Return the deviation of the family that is furthest off."""
    families: dict[str, list[float]] = {}
    for name, value in logs.items():
        families.setdefault(name.split(".")[0], []).append(value**2)
    return max((sqrt(sum(held) / len(held)) for held in families.values()), default=0.0)


def _kind(worst: float, order: list[Candidate]) -> str:
    if worst < AGREES:
        return "agrees"
    if not order or order[0].explained < EXPLAINS:
        return "unexplained"
    return "tied" if len(order) > 1 and _equal(order[1], order[0]) else "found"


def _equal(one: Candidate, best: Candidate) -> bool:
    return one.residual - best.residual < REPEATS and one.explained >= EXPLAINS


def _weights(names: Iterable[str]) -> dict[str, float]:
    """Return weights that add up to one, the same for every family."""
    families: dict[str, list[str]] = {}
    for name in names:
        families.setdefault(name.split(".")[0], []).append(name)
    return {
        name: 1.0 / len(members) / len(families)
        for members in families.values()
        for name in members
    }


def _deviation(logs: Logs, weights: Logs) -> float:
    return sqrt(sum(weights[name] * value**2 for name, value in logs.items()))


def _fit(name: str, curve: Curve, logs: Logs, weights: Logs) -> Candidate | None:
    """Return the best value of a parameter; None where nothing moves with it."""
    found = [
        one
        for first, last, ends in _segments(curve)
        if (one := _on_segment(first, last, ends, logs, weights)) is not None
    ]
    if not found:
        return None
    before = _deviation(logs, weights)
    shift, after = min(found, key=lambda one: one[1])
    explained = 1.0 - (after / before) ** 2 if before > 0.0 else 0.0
    return Candidate(parameter=name, factor=exp(shift), explained=explained, residual=after)


Point = tuple[float, Logs]


def _segments(curve: Curve) -> Iterator[tuple[Point, Point, tuple[float, float]]]:
    """Yield pairs of neighbours, and between which shifts each holds; the ends go on as before."""
    points: list[Point] = sorted([*curve.points, (0.0, {})], key=lambda point: point[0])
    for index, (first, last) in enumerate(pairwise(points)):
        low = first[0] if index else -FARTHEST
        high = last[0] if index < len(points) - 2 else FARTHEST
        yield first, last, (low, high)


def _on_segment(
    first: Point, last: Point, ends: tuple[float, float], logs: Logs, weights: Logs
) -> tuple[float, float] | None:
    """Return the best shift on a segment and what it leaves; None where nothing moves on it."""
    span = last[0] - first[0]
    if span <= 1e-9:
        return None
    slopes = {key: (last[1].get(key, 0.0) - first[1].get(key, 0.0)) / span for key in logs}
    power = sum(weights[key] * slope**2 for key, slope in slopes.items())
    if power <= 1e-8:
        return None
    left = {key: value - first[1].get(key, 0.0) for key, value in logs.items()}
    shift = first[0] + sum(weights[key] * slopes[key] * left[key] for key in logs) / power
    shift = min(ends[1], max(ends[0], shift))
    rest = {key: left[key] - slopes[key] * (shift - first[0]) for key in logs}
    return shift, _deviation(rest, weights)
