"""Engine constants from the sensitivities of rows: robust least squares with a weak prior.

A prediction is taken as linear in the constants (times add up, so that it nearly is). Residuals
are logarithms of predicted over measured; a pair of device and model counts as the square root of
its rows, since rows of one pair err together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import exp, log, sqrt
from typing import Any, NamedTuple

from hetsim.spec import spec
from hetsim.validate._constants import CONSTANTS, Constants

__all__ = ["Fit", "Observation", "linear", "refit"]

_SCALE = {"tpot": 0.1, "ttft": 0.2, "throughput": 0.1}
"""Log errors beyond which a row counts less and less: about what rows miss by."""

_FLOOR = 0.1
"""A linear prediction never falls below this part of the one that it starts from."""


class Observation(NamedTuple):
    """One metric of one row: a time, and how it moves with each constant.

    Throughput stands as seconds per token, since times are what adds up.
    """

    row_id: str
    pair: str
    metric: str
    measured: float
    predicted: float
    slopes: Mapping[str, float]


@spec
class Fit:
    """Constants, and how sure they are."""

    constants: Constants
    rse: Mapping[str, float]
    """Relative standard errors, robust against what rows of one pair have in common."""
    correlation: Mapping[str, Mapping[str, float]]
    observations: int
    pairs: tuple[str, ...]


def linear(item: Observation, start: Constants, constants: Constants) -> float:
    """Return the prediction of an observation at other ``constants`` than it was made at.

    >>> item = Observation("r", "p", "ttft", 2.0, 1.0, {"vllm.host_step_s": 100.0})
    >>> linear(item, {"vllm.host_step_s": 0.001}, {"vllm.host_step_s": 0.003})
    1.2
    """
    moved = item.predicted + sum(
        slope * (constants[key] - start[key]) for key, slope in item.slopes.items()
    )
    return max(moved, _FLOOR * item.predicted)


def refit(observations: Sequence[Observation], start: Constants) -> Fit:
    """Return the constants that fit ``observations``, which were made at ``start``."""
    import numpy as np
    from scipy.optimize import least_squares

    keys = sorted(start)
    system = _System(observations, start, keys)
    low, high = (np.array([log(getattr(_of(k), b)) for k in keys]) for b in ("low", "high"))
    first = np.clip([log(_of(key).neutral) for key in keys], low + 1e-6, high - 1e-6)
    # The second loss nearly ignores rows that no constant can explain (queues, warm-ups, clients);
    # it has several minima, so that it starts where the first, which has one, has ended.
    for loss in ("soft_l1", "cauchy"):
        found = least_squares(
            system.residual, first, jac=system.jacobian, bounds=(low, high), loss=loss
        )
        first = found.x
    covariance = system.covariance(found.x)
    deviation = np.sqrt(np.diag(covariance))
    correlation = covariance / np.outer(deviation, deviation)
    return Fit(
        constants={key: exp(float(x)) for key, x in zip(keys, found.x, strict=True)},
        rse={key: float(d) for key, d in zip(keys, deviation, strict=True)},
        correlation={
            a: {b: float(correlation[i, j]) for j, b in enumerate(keys) if j != i}
            for i, a in enumerate(keys)
        },
        observations=len(observations),
        pairs=tuple(sorted({item.pair for item in observations})),
    )


def _of(key: str) -> Any:
    return CONSTANTS[key.split(".")[1]]


class _System:
    """Observations as arrays, and the prior as one more residual per constant."""

    def __init__(
        self, observations: Sequence[Observation], start: Constants, keys: Sequence[str]
    ) -> None:
        import numpy as np

        place = {key: i for i, key in enumerate(keys)}
        self.slopes = np.zeros((len(observations), len(keys)))
        for row, item in enumerate(observations):
            for key, slope in item.slopes.items():
                self.slopes[row, place[key]] = slope
        self.start = np.array([start[key] for key in keys])
        self.predicted = np.array([item.predicted for item in observations])
        self.measured = np.array([item.measured for item in observations])
        self.scale = np.array([_SCALE[item.metric] for item in observations])
        names = [item.pair for item in observations]
        counts = {name: names.count(name) for name in names}
        self.root = np.array([sqrt(1.0 / sqrt(counts[name])) for name in names])
        _, self.cluster = np.unique(names, return_inverse=True)
        self.neutral = np.array([log(_of(key).neutral) for key in keys])
        self.sd = np.array([_of(key).sd_log for key in keys])

    def _moved(self, x: Any) -> Any:
        import numpy as np

        moved = self.predicted + self.slopes @ (np.exp(x) - self.start)
        return np.maximum(moved, _FLOOR * self.predicted)

    def residual(self, x: Any) -> Any:
        import numpy as np

        miss = self.root * np.log(self._moved(x) / self.measured) / self.scale
        return np.concatenate([miss, (x - self.neutral) / self.sd])

    def jacobian(self, x: Any) -> Any:
        import numpy as np

        lean = (self.root / self.scale / self._moved(x))[:, None] * self.slopes * np.exp(x)
        return np.vstack([lean, np.diag(1.0 / self.sd)])

    def covariance(self, x: Any) -> Any:
        """Return the sandwich covariance in the logarithms, with pairs as clusters."""
        import numpy as np

        residual, jacobian = self.residual(x), self.jacobian(x)
        count = len(self.predicted)
        weight = 1.0 / (1.0 + residual**2)
        bread = np.linalg.pinv((jacobian * weight[:, None]).T @ jacobian)
        sums = np.zeros((int(self.cluster.max(initial=0)) + 1, len(x)))
        scores = jacobian[:count] * (weight * residual)[:count, None]
        np.add.at(sums, self.cluster, scores)
        return bread @ (sums.T @ sums + np.diag(self.sd**-2.0)) @ bread
