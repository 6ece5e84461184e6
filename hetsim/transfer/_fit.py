"""Fits of the few parameters of a transfer engine to measured points, by relative least squares."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median
from typing import NamedTuple

__all__ = ["CeilingFit", "LineFit", "fit_ceiling", "fit_line"]


class LineFit(NamedTuple):
    """``seconds = fixed_s + bytes / bytes_per_s``."""

    fixed_s: float
    bytes_per_s: float
    median_error_ratio: float

    def seconds(self, size: float) -> float:
        """Return the predicted seconds for ``size`` bytes."""
        return self.fixed_s + size / self.bytes_per_s


class CeilingFit(NamedTuple):
    """``bytes/s = min(bytes_per_s, descriptor bytes * descriptors_per_s)``."""

    bytes_per_s: float
    descriptors_per_s: float
    median_error_ratio: float


def fit_line(sizes_bytes: Sequence[float], seconds: Sequence[float]) -> LineFit:
    """Fit a fixed time and a rate, every point weighted by its relative error.

    >>> made = fit_line([1e9, 2e9], [0.011, 0.021])
    >>> round(made.fixed_s, 6), round(made.bytes_per_s)
    (0.001, 100000000000)
    """
    import numpy as np

    x, t = np.asarray(sizes_bytes, float), np.asarray(seconds, float)
    table = np.column_stack([1.0 / t, x / t])
    fixed, slope = (float(v) for v in np.linalg.lstsq(table, np.ones(len(t)), rcond=None)[0])
    errors = [abs(fixed + slope * a - b) / b for a, b in zip(x.tolist(), t.tolist(), strict=True)]
    return LineFit(fixed, 1.0 / slope, float(median(errors)))


def fit_ceiling(piece_bytes: Sequence[float], bytes_per_s: Sequence[float]) -> CeilingFit:
    """Fit a rate limit and a descriptor limit to bandwidths at several piece sizes.

    For a given split of the points the best limit in the logarithm is the geometric mean of its
    side, so every split is tried.

    >>> made = fit_ceiling([1e3, 2e3, 1e6, 2e6], [1e9, 2e9, 50e9, 50e9])
    >>> round(made.descriptors_per_s), round(made.bytes_per_s / 1e9)
    (1000000, 50)
    """
    from math import exp, log

    points = sorted(zip(piece_bytes, bytes_per_s, strict=True))
    best: tuple[float, CeilingFit] | None = None
    for cut in range(1, len(points)):
        small, large = points[:cut], points[cut:]
        rate = exp(sum(log(b) for _, b in large) / len(large))
        count = exp(sum(log(b / a) for a, b in small) / len(small))
        predicted = [min(rate, a * count) for a, _ in points]
        loss = sum(log(p / b) ** 2 for p, (_, b) in zip(predicted, points, strict=True))
        errors = [abs(p / b - 1) for p, (_, b) in zip(predicted, points, strict=True)]
        if best is None or loss < best[0]:
            best = loss, CeilingFit(rate, count, float(median(errors)))
    if best is None:
        raise ValueError("a fit of two limits needs two points")
    return best[1]
