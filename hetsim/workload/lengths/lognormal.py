"""Lengths whose logarithm is normal: many short requests and a long tail."""

from __future__ import annotations

import math
from pathlib import Path
from statistics import NormalDist
from typing import Literal

import numpy as np
import numpy.typing as npt

from hetsim.spec import spec
from hetsim.workload._types import Positive, Tokens, refuse

__all__ = ["Lognormal"]


@spec(kind="lognormal", family="lengths")
class Lognormal:
    """Lognormal with the given mean, and either ``cv`` (deviation over mean) or ``sigma``.

    ``sigma^2 = ln(1 + cv^2)`` and ``mu = ln(mean) - sigma^2 / 2``, so that ``mean`` is the mean
    of the law before it is rounded to whole tokens and clipped to ``min`` and ``max``.

    Source: moments of the lognormal law, Johnson, Kotz and Balakrishnan, Continuous Univariate
    Distributions 1, ch. 14. Valid for: mean >= 1.

    >>> law = Lognormal(mean=1000.0, cv=1.0)
    >>> law.quantile(np.array([0.5])).tolist()  # median = mean / sqrt(1 + cv^2)
    [707]
    """

    kind: Literal["lognormal"] = "lognormal"
    mean: Positive
    """Mean length in tokens, at least 1, before clipping."""
    cv: Positive | None = None
    """Deviation over mean; or ``sigma``."""
    sigma: Positive | None = None
    """Deviation of the logarithm; or ``cv``."""
    min: Tokens = 1
    """Shortest length in tokens."""
    max: Tokens | None = None
    """Longest length in tokens; left out: no limit."""

    def __post_init__(self) -> None:
        both = (self.cv is None) == (self.sigma is None)
        top = self.max
        refuse(
            (both, "needs one of 'cv' and 'sigma', not both"),
            (self.mean < 1, f"mean must be at least 1 token, not {self.mean:g}"),
            (top is not None and self.min > top, f"min ({self.min}) is above max ({top})"),
        )

    def quantile(self, u: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
        """Return ``exp(mu + sigma z(u))``, rounded and clipped."""
        sigma = self.sigma if self.sigma is not None else math.sqrt(math.log1p(self.cv**2))  # type: ignore[operator]
        mu = math.log(self.mean) - 0.5 * sigma**2
        # A uniform draw can be exactly 0, where the normal quantile does not exist.
        inside = np.clip(u, 2.0**-54, 1 - 2.0**-53)
        normal = NormalDist(mu, sigma)
        logs = np.fromiter(map(normal.inv_cdf, inside.tolist()), np.float64, len(inside))
        ceiling = self.max if self.max is not None else 2**31 - 1
        tokens = np.exp(np.minimum(logs, math.log(2.0**31)))
        return np.clip(np.rint(tokens), self.min, ceiling).astype(np.int64)

    def resolve(self, base_dir: Path) -> Lognormal:
        """Return itself: nothing is read from files."""
        return self
