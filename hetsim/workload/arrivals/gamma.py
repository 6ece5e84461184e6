"""Renewal arrivals whose gaps have a stated coefficient of variation."""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt

from hetsim.spec import spec
from hetsim.workload._streams import stream
from hetsim.workload._types import Positive, RequestsPerSecond

__all__ = ["Gamma"]


@spec(kind="gamma", family="arrivals")
class Gamma:
    """Gaps are gamma distributed with mean 1/rate and deviation ``cv``/rate (shape 1/cv^2).

    ``cv`` 1 is a Poisson process, below 1 more regular, above 1 bursty.
    Valid for: cv from 0.01 to 30; beyond, a gap underflows or never comes.
    """

    kind: Literal["gamma"] = "gamma"
    rate: RequestsPerSecond
    """Mean arrivals per second."""
    cv: Positive
    """Deviation of the gaps over their mean; 1 is a Poisson process, above 1 bursty."""

    def __post_init__(self) -> None:
        if not 0.01 <= self.cv <= 30:
            raise ValueError(f"cv must lie between 0.01 and 30, not {self.cv:g}")

    def times(self, count: int, seed: int) -> npt.NDArray[np.float64]:
        """Return the first ``count`` arrival times in s."""
        shape = self.cv**-2
        gaps = stream(seed, "arrivals").standard_gamma(shape, count) / shape
        return np.cumsum(gaps) / self.rate
