"""What the means over a few seeds could have been as well: a bootstrap over seeds."""

from __future__ import annotations

from math import sqrt

import numpy as np
import numpy.typing as npt

__all__ = ["REPLICATES", "RESOLUTION", "replicates"]

Matrix = npt.NDArray[np.float64]
REPLICATES = 10_000
RESOLUTION = 0.01
"""Relative width within which the search for a rate leaves it open."""


def replicates(
    values: Matrix, count: int, rng: np.random.Generator, *, resolution: float = RESOLUTION
) -> Matrix:
    """Return ``count + 1`` rows of means ``[row, design]``; the first are the means themselves.

    Half of the variance moves all designs together by the residuals of the seeds with random normal
    weights, ``sum_s w_s r_s / sqrt(S (S - 1))``: for every comparison of designs this has the
    variance that the seeds show for it, common random numbers included, and unlike resampling it is
    not limited to the few ways of drawing three seeds out of three. But a few seeds may agree by
    chance; so the other half moves each design on its own, by the relative variance that all
    designs have on average, and within the resolution of the search at least.

    Source: multiplier (wild) bootstrap, Wu 1986; Mammen 1993; pooling of variances as usual.
    """
    seeds = values.shape[1]
    mean = values.mean(axis=1)
    made = np.tile(mean, (count + 1, 1))
    variance = resolution**2 / (12.0 * seeds)
    if seeds > 1:
        residual = values - mean[:, None]
        weights = rng.standard_normal((count, seeds)) / sqrt(2.0 * seeds * (seeds - 1.0))
        made[1:] += weights @ residual.T
        on = mean > 0.0
        relative = (residual[on] ** 2).sum(axis=1) / mean[on] ** 2 / (seeds - 1.0)
        variance += 0.5 * float(relative.mean()) / seeds if on.any() else 0.0
    made[1:] += rng.standard_normal((count, len(mean))) * mean * sqrt(variance)
    positive: Matrix = np.maximum(made, 0.0)
    return positive
