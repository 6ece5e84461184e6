"""Lengths without memory: the service law of M/M/1, rounded to whole tokens."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from hetsim.spec import spec
from hetsim.workload._types import Positive, Tokens, refuse

__all__ = ["Exponential"]


@spec(kind="exponential", family="lengths")
class Exponential:
    """Exponential with the given mean: ``q(u) = -mean ln(1 - u)``, rounded up.

    Rounding up adds half a token on average, which is taken off first, so that ``mean`` is the mean
    of the whole tokens to second order in 1 / mean.

    Source: the geometric law as the ceiling of an exponential one. Valid for: mean >= 1.

    >>> Exponential(mean=1000.0).quantile(np.array([0.5])).tolist()  # median = mean ln 2
    [693]
    """

    kind: Literal["exponential"] = "exponential"
    mean: Positive
    """Mean length in tokens, at least 1."""
    max: Tokens | None = None
    """Longest length in tokens; left out: no limit."""

    def __post_init__(self) -> None:
        refuse((self.mean < 1, f"mean must be at least 1 token, not {self.mean:g}"))

    def quantile(self, u: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
        """Return ``-(mean - 1/2) ln(1 - u)``, rounded up, at least 1."""
        raw = -(self.mean - 0.5) * np.log1p(-np.minimum(u, 1 - 2.0**-53))
        ceiling = self.max if self.max is not None else 2**31 - 1
        return np.clip(np.ceil(raw), 1, ceiling).astype(np.int64)

    def resolve(self, base_dir: Path) -> Exponential:
        """Return itself: nothing is read from files."""
        return self
