"""Arrivals at equal distances."""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt

from hetsim.spec import spec
from hetsim.workload._types import RequestsPerSecond

__all__ = ["Uniform"]


@spec(kind="uniform", family="arrivals")
class Uniform:
    """One request every 1/rate seconds, the first at 0.

    >>> Uniform(rate=2.0).times(3, seed=0).tolist()
    [0.0, 0.5, 1.0]
    """

    kind: Literal["uniform"] = "uniform"
    rate: RequestsPerSecond
    """Arrivals per second."""

    def times(self, count: int, seed: int) -> npt.NDArray[np.float64]:
        """Return the first ``count`` arrival times in s; the seed has no say."""
        return np.arange(count) / self.rate
