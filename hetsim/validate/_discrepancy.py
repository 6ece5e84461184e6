"""How far predictions are off beyond their parameters' spread: scales by situation, held out.

A residual is taken as the sum, in the logarithm, of what the sampled parameters explain (normal)
and a discrepancy (Student's t). Scales are those at which four fifths of the rows lie in the middle
80 %; the degrees of freedom those that bring the middle 50 and 95 % nearest. Every pair of device
and model counts alike, however many rows it has: what is asked is how far off a pair is of which
nothing was measured. Over rows the intervals are then wider than need be, since pairs with many
rows are predicted better.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import expm1
from typing import Any

from hetsim.run import Discrepancy, Scale
from hetsim.spec import spec
from hetsim.validate._common_part import correlations, mixtures
from hetsim.validate._inside import LEVELS
from hetsim.validate._residuals import Residual
from hetsim.validate._score import METRICS

__all__ = ["Coverage", "Estimate", "estimate", "scales_of"]

_DOFS = (2.0, 3.0, 4.0, 6.0, 10.0, 30.0)
_LEAST_ROWS, _LEAST_PAIRS = 30, 5
"""A situation with fewer has the scale of the more general one."""
_MOST = 4.0
_STEPS = 40
_FOLDS = 10


@spec
class Coverage:
    """Shares of measured values inside the middle 50, 80 and 95 %, of pairs left out."""

    metric: str
    rows: int
    pairs: int
    by_row: tuple[float, ...]
    by_pair: tuple[float, ...]
    """Every pair counting alike."""
    parameters_only: tuple[float, ...]
    """By row, without the discrepancy."""


@spec
class Estimate:
    """A discrepancy, and how it did on pairs that it was not estimated from."""

    found: Discrepancy
    coverage: tuple[Coverage, ...]
    without: dict[str, Discrepancy]
    """By pair: estimated without its fold."""


def estimate(residuals: Sequence[Residual], date: str = "", source: str = "") -> Estimate:
    """Return the discrepancy of residuals, and its coverage of folds of pairs that are left out."""
    flowing = _spreads([item for item in residuals if item.load == "flowing"])
    found = Discrepancy(
        date=date,
        source=source,
        metrics=_scales(residuals),
        correlation=correlations(flowing),
        shared=mixtures(flowing),
    )
    pairs = sorted({item.pair for item in residuals})
    without: dict[str, Discrepancy] = {}
    for fold in range(min(_FOLDS, len(pairs))):
        left_out = set(pairs[fold::_FOLDS])
        rest = _scales([item for item in residuals if item.pair not in left_out])
        without.update(
            dict.fromkeys(left_out, Discrepancy(metrics=rest, correlation={}, shared={}))
        )
    coverage = tuple(
        _coverage(metric, flowing, without)
        for metric in METRICS
        if any(item.metric == metric for item in flowing)
    )
    return Estimate(found=found, coverage=coverage, without=without)


def _scales(residuals: Sequence[Residual]) -> dict[str, tuple[Scale, ...]]:
    known = _spreads(residuals)
    return {
        metric: scales_of([item for item in known if item.metric == metric])
        for metric in METRICS
        if any(item.metric == metric and item.load == "flowing" for item in known)
    }


def _spreads(residuals: Sequence[Residual]) -> list[Residual]:
    """Return the residuals, those that were not sampled with the middle spread of their like."""
    import numpy as np

    def likes(item: Residual) -> tuple[tuple[str, ...], ...]:
        return (item.metric, item.mode, item.evidence), (item.metric,)

    known: dict[tuple[str, ...], list[float]] = {}
    for item in residuals:
        if item.spread is not None:
            for like in likes(item):
                known.setdefault(like, []).append(item.spread)
    middle = {like: float(np.median(values)) for like, values in known.items()}
    made = []
    for item in residuals:
        spread = item.spread
        if spread is None:
            spread = next((middle[like] for like in likes(item) if like in middle), 0.0)
        made.append(item._replace(spread=spread))
    return made


def scales_of(residuals: Sequence[Residual]) -> tuple[Scale, ...]:
    """Return the scales of one metric: of all rows, by mode, by evidence within it, of queues."""
    flowing = [item for item in residuals if item.load == "flowing"]
    found = [_scale(flowing)]
    for mode in ("aggregated", "disaggregated"):
        part = [item for item in flowing if item.mode == mode]
        if part and _enough(part):
            found.append(_scale(part, mode=mode))
        for evidence in ("own", "borrowed"):
            some = [item for item in part if item.evidence == evidence]
            if len(some) < len(part) and _enough(some):
                found.append(_scale(some, mode=mode, evidence=evidence))
    queued = [item for item in residuals if item.load == "queued"]
    return (*found, *([_scale(queued, load="queued")] if _enough(queued) else []))


def _enough(part: Sequence[Residual]) -> bool:
    return len(part) >= _LEAST_ROWS and len({item.pair for item in part}) >= _LEAST_PAIRS


def _scale(part: Sequence[Residual], **words: str) -> Scale:
    import numpy as np

    size, spread, weight = _arrays(part)
    misses = []
    for dof in _DOFS:
        scale = _at_80(size, spread, weight, dof)
        inside = [_inside(size, spread, weight, scale, dof, level) for level in LEVELS]
        misses.append((sum((a - b) ** 2 for a, b in zip(inside, LEVELS, strict=True)), dof, scale))
    _, dof, scale = min(misses)
    errors = np.array([abs(expm1(-item.log_ratio)) for item in part])
    order = np.argsort(errors)
    share = np.cumsum(weight[order]) / weight.sum()
    return Scale(
        **words,
        scale=round(scale, 4),
        dof=dof,
        within_half=round(float(errors[order][int(np.searchsorted(share, 0.5))]), 3),
        rows=len(part),
        pairs=len({item.pair for item in part}),
    )


def _arrays(part: Sequence[Residual]) -> tuple[Any, Any, Any]:
    """Return how far rows are off, their parameters' spreads, and weights that add up to pairs."""
    import numpy as np

    names = [item.pair for item in part]
    counts = {name: names.count(name) for name in set(names)}
    return (
        np.array([abs(item.log_ratio) for item in part]),
        np.array([item.spread or 0.0 for item in part]),
        np.array([1.0 / counts[name] for name in names]),
    )


def _reach(spread: Any, scale: float, dof: float, level: float) -> Any:
    """Return how far from the prediction the middle ``level`` ends: normal and t, root of squares.

    Between a quantile of the sum and this lies less than a twentieth.
    """
    import numpy as np
    from scipy.special import ndtri, stdtrit

    high = 0.5 + 0.5 * level
    return np.hypot(ndtri(high) * spread, float(stdtrit(dof, high)) * scale)


def _inside(size: Any, spread: Any, weight: Any, scale: float, dof: float, level: float) -> float:
    inside = size <= _reach(spread, scale, dof, level)
    return float((weight * inside).sum() / weight.sum())


def _at_80(size: Any, spread: Any, weight: Any, dof: float) -> float:
    """Return the scale at which four fifths lie in the middle 80 %; 0 if they do without."""
    low, high = 0.0, _MOST
    if _inside(size, spread, weight, low, dof, 0.8) >= 0.8:
        return 0.0
    for _ in range(_STEPS):
        middle = 0.5 * (low + high)
        if _inside(size, spread, weight, middle, dof, 0.8) < 0.8:
            low = middle
        else:
            high = middle
    return high


def _coverage(metric: str, scored: Sequence[Residual], without: dict[str, Discrepancy]) -> Coverage:
    import numpy as np

    part = [item for item in scored if item.metric == metric]
    inside = np.zeros((len(part), len(LEVELS)))
    alone = np.zeros_like(inside)
    for row, item in enumerate(part):
        where = {"mode": item.mode, "evidence": item.evidence, "load": item.load}
        scale = without[item.pair].at(where).get(metric)
        for column, level in enumerate(LEVELS):
            size, spread = abs(item.log_ratio), item.spread or 0.0
            alone[row, column] = size <= _reach(spread, 0.0, 30.0, level)
            inside[row, column] = scale is not None and size <= _reach(
                spread, scale.scale, scale.dof, level
            )
    names = np.array([item.pair for item in part])
    each = [inside[names == name].mean(axis=0) for name in sorted(set(names.tolist()))]
    return Coverage(
        metric=metric,
        rows=len(part),
        pairs=len(each),
        by_row=tuple(inside.mean(axis=0).tolist()),
        by_pair=tuple(np.mean(each, axis=0).tolist()),
        parameters_only=tuple(alone.mean(axis=0).tolist()),
    )
