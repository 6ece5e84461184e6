"""Independent arrivals at a constant mean rate."""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt

from hetsim.spec import spec
from hetsim.workload._streams import stream
from hetsim.workload._types import RequestsPerSecond

__all__ = ["Poisson"]


@spec(kind="poisson", family="arrivals")
class Poisson:
    """Poisson process: gaps are unit exponentials over the rate.

    >>> slow, fast = Poisson(rate=1.0).times(3, seed=7), Poisson(rate=2.0).times(3, seed=7)
    >>> bool(np.allclose(slow, 2 * fast))
    True
    """

    kind: Literal["poisson"] = "poisson"
    rate: RequestsPerSecond
    """Mean arrivals per second."""

    def times(self, count: int, seed: int) -> npt.NDArray[np.float64]:
        """Return the first ``count`` arrival times in s."""
        gaps = stream(seed, "arrivals").standard_exponential(count)
        return np.cumsum(gaps) / self.rate
