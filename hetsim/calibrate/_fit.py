"""Robust weighted least squares in log space, and errors on families that were held back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from zlib import crc32

from hetsim.spec import spec

__all__ = ["Bound", "Fitted", "Sample", "fit", "fold_of", "judge"]

FOLDS = 4
LEAST_RSE = 0.03
"""Two versions of a framework, or two specimens of a device, differ by about this much."""
MOST_ROWS = 3000
"""Rows that one fit looks at; more change parameters by less than their standard errors."""


@spec
class Bound:
    """One parameter: where the search starts and between which values it stays."""

    name: str
    start: float
    low: float
    high: float
    log: bool = False
    """Whether the logarithm is searched; then values within 1 % of ``low`` are taken as zero."""

    @property
    def free(self) -> bool:
        """Whether it is searched at all; equal bounds fix it."""
        return self.low < self.high


@spec
class Sample:
    """Measured rows as arrays, ready to be fitted."""

    time_s: Any
    weight: Any
    family: Any
    """A label per row; whole families are held back together."""
    inside: Any
    """Which rows count when errors are stated: the range that the result is valid for."""
    columns: Mapping[str, Any]

    def __len__(self) -> int:
        return len(self.time_s)

    def take(self, rows: Any) -> Sample:
        """Return some of the rows."""
        return Sample(
            time_s=self.time_s[rows],
            weight=self.weight[rows],
            family=self.family[rows],
            inside=self.inside[rows],
            columns={name: values[rows] for name, values in self.columns.items()},
        )


Predict = Callable[[Mapping[str, float], Mapping[str, Any]], Any]


@spec
class Fitted:
    """Parameters and how far they miss, in and out of sample."""

    parameters: Mapping[str, float]
    standard_error: Mapping[str, float]
    """Relative, robust against correlation within a family."""
    correlation: Mapping[str, float]
    """Of the estimates, by ``first/second``."""
    points: int
    families: int
    median_in: float
    p90_in: float
    median_out: float
    p90_out: float
    bias_out: float
    """Weighted mean of the log error on held-back families: negative is too fast."""
    rse: float


def fit(bounds: tuple[Bound, ...], predict: Predict, sample: Sample) -> dict[str, float]:
    """Return the parameters that minimise the weighted soft-L1 of ``log(predicted / measured)``."""
    x, _ = _solve(bounds, predict, _thin(sample))
    return _values(bounds, x)


def judge(bounds: tuple[Bound, ...], predict: Predict, sample: Sample) -> Fitted:
    """Fit all rows, and again without each quarter of the families, which is then predicted.

    The relative standard error is the robust spread of the held-back families' mean log error
    (what a layer shape that was never measured will be off by), and at least the sampling error of
    the fitted curve itself.
    """
    import numpy as np

    x, jacobian = _solve(bounds, predict, _thin(sample))
    parameters = _values(bounds, x)
    inner = np.log(predict(parameters, sample.columns) / sample.time_s)
    outer = _held_back(bounds, predict, sample)
    covariance = _covariance(bounds, x, jacobian, _thin(sample), predict)
    inside = sample.inside if sample.inside.any() else np.ones(len(sample), dtype=bool)
    miss_in, miss_out = (np.abs(np.expm1(e[inside])) for e in (inner, outer))
    spread = _family_spread(outer[inside], sample.family[inside], sample.weight[inside])
    variance = np.mean(np.einsum("ij,jk,ik->i", jacobian, covariance, jacobian))
    sampling = float(np.sqrt(max(0.0, float(variance))))  # rounding may leave a little below zero
    return Fitted(
        parameters=parameters,
        standard_error=_relative(bounds, x, covariance),
        correlation=_correlation(bounds, covariance),
        points=len(sample),
        families=len(np.unique(sample.family)),
        median_in=float(np.median(miss_in)),
        p90_in=float(np.quantile(miss_in, 0.9)),
        median_out=float(np.median(miss_out)),
        p90_out=float(np.quantile(miss_out, 0.9)),
        bias_out=float(np.average(outer[inside], weights=sample.weight[inside])),
        rse=max(spread, sampling, LEAST_RSE),
    )


def _held_back(bounds: tuple[Bound, ...], predict: Predict, sample: Sample) -> Any:
    import numpy as np

    folds = fold_of(sample)
    error = np.zeros(len(sample))
    for fold in np.unique(folds):
        rows = folds == fold
        parameters = fit(bounds, predict, sample.take(~rows))
        test = sample.take(rows)
        error[rows] = np.log(predict(parameters, test.columns) / test.time_s)
    return error


def fold_of(sample: Sample) -> Any:
    """Return the fold of every row: families are dealt out in the order of a hash of their name.

    Fewer families than folds are cut into ranges of size, which are then held back instead.
    """
    import numpy as np

    names, index = np.unique(sample.family, return_inverse=True)
    if len(names) < FOLDS:
        moved = sample.columns["bytes"]
        size = np.searchsorted(np.quantile(moved, (0.25, 0.5, 0.75)), moved)
        names, index = np.unique(np.char.add(sample.family, size.astype(str)), return_inverse=True)
    order = sorted(range(len(names)), key=lambda i: (crc32(str(names[i]).encode()), i))
    fold = np.zeros(len(names), dtype=int)
    for position, which in enumerate(order):
        fold[which] = position % FOLDS
    return fold[index]


def _thin(sample: Sample) -> Sample:
    import numpy as np

    if len(sample) <= MOST_ROWS:
        return sample
    # Fibonacci hashing of the row number: evenly spread, and free of the grid's own period.
    mixed = (np.arange(len(sample), dtype=np.uint64) * np.uint64(2654435761)) % np.uint64(2**32)
    return sample.take(mixed < np.uint64(2**32 * MOST_ROWS / len(sample)))


def _solve(bounds: tuple[Bound, ...], predict: Predict, sample: Sample) -> tuple[Any, Any]:
    """Return the searched parameters at the optimum, and the Jacobian of the residuals there."""
    import numpy as np
    from scipy.optimize import least_squares

    root = np.sqrt(sample.weight / sample.weight.mean())
    target = np.log(sample.time_s)

    def residual(x: Any) -> Any:
        return root * (np.log(predict(_raw(bounds, x), sample.columns)) - target)

    start, low, high = (_searched(bounds, which) for which in ("start", "low", "high"))
    found = least_squares(
        residual, start, bounds=(low, high), loss="soft_l1", f_scale=0.2, max_nfev=60
    )
    return found.x, found.jac


def _searched(bounds: tuple[Bound, ...], which: str) -> list[float]:
    from math import log

    return [log(getattr(b, which)) if b.log else getattr(b, which) for b in bounds if b.free]


def _raw(bounds: tuple[Bound, ...], x: Any) -> dict[str, float]:
    from math import exp

    values = iter(x)
    made = {}
    for b in bounds:
        value = float(next(values)) if b.free else b.start
        made[b.name] = exp(value) if b.log and b.free else value
    return made


def _values(bounds: tuple[Bound, ...], x: Any) -> dict[str, float]:
    raw = _raw(bounds, x)
    for b in bounds:
        raw[b.name] = min(max(raw[b.name], b.low), b.high)
        if b.log and b.free and raw[b.name] < 1.01 * b.low:
            raw[b.name] = 0.0
    return raw


def _covariance(
    bounds: tuple[Bound, ...], x: Any, jacobian: Any, sample: Sample, predict: Predict
) -> Any:
    """Return the sandwich covariance of the searched parameters, with families as clusters."""
    import numpy as np

    miss = np.log(predict(_raw(bounds, x), sample.columns) / sample.time_s)
    root = np.sqrt(sample.weight / sample.weight.mean())
    bread = np.linalg.pinv(jacobian.T @ jacobian)
    # Influence is bounded as in the fit, so that a few wild rows do not set the error.
    score = jacobian * (root * np.clip(miss, -0.5, 0.5))[:, None]
    _, index = np.unique(sample.family, return_inverse=True)
    sums = np.zeros((int(index.max()) + 1, len(x)))
    np.add.at(sums, index, score)
    return bread @ (sums.T @ sums) @ bread


def _relative(bounds: tuple[Bound, ...], x: Any, covariance: Any) -> dict[str, float]:
    import numpy as np

    deviation = np.sqrt(np.clip(np.diag(covariance), 0.0, None))
    free = [b for b in bounds if b.free]
    return {
        b.name: float(d if b.log else d / max(abs(value), 1e-9))
        for b, d, value in zip(free, deviation, x, strict=True)
    }


def _correlation(bounds: tuple[Bound, ...], covariance: Any) -> dict[str, float]:
    import numpy as np

    deviation = np.sqrt(np.clip(np.diag(covariance), 1e-30, None))
    scaled = np.clip(covariance / np.outer(deviation, deviation), -1.0, 1.0)
    free = [b.name for b in bounds if b.free]
    return {
        f"{a}/{b}": float(scaled[i, j])
        for i, a in enumerate(free)
        for j, b in enumerate(free)
        if i < j
    }


def _family_spread(error: Any, family: Any, weight: Any) -> float:
    import numpy as np

    _, index = np.unique(family, return_inverse=True)
    total = np.bincount(index, weights=weight)
    means = np.bincount(index, weights=weight * error) / total
    return float(1.4826 * np.median(np.abs(means)))
