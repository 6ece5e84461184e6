"""Length distributions, one file each. A new one needs ``kind``, ``quantile`` and a line below.

Every distribution is given by its quantile function, so that a draw is one uniform number that
belongs to a request: the same request keeps its place in the distribution when the mean changes.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt

from hetsim.workload.lengths import empirical, exponential, fixed, lognormal, uniform

__all__ = [
    "LengthLaw",
    "Lengths",
    "empirical",
    "exponential",
    "fixed",
    "lognormal",
    "mean_tokens",
    "uniform",
]


class LengthLaw(Protocol):
    """What a length distribution offers."""

    def quantile(self, u: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
        """Return the lengths below which the fractions ``u`` of all requests lie, in tokens."""

    def resolve(self, base_dir: Path) -> LengthLaw:
        """Return the same law with everything read from files that it refers to."""


if TYPE_CHECKING:
    Lengths = LengthLaw
else:
    from hetsim.spec._check import tagged

    Lengths = tagged("lengths")


def mean_tokens(law: Any, points: int = 4096) -> float:
    """Return the mean of a length law, from equally likely strata of its quantile function."""
    middle = (np.arange(points) + 0.5) / points
    return float(law.quantile(middle).mean())
