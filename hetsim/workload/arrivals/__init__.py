"""Arrival processes, one file each. A new one needs ``kind``, ``times`` and a line below.

A process maps unit draws to times, so that another rate moves the same requests closer together
instead of drawing new ones, and the first n arrivals do not depend on how many are asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import numpy as np
import numpy.typing as npt

from hetsim.workload.arrivals import all_at_once, gamma, mmpp, poisson, uniform

__all__ = ["ArrivalLaw", "Arrivals", "all_at_once", "gamma", "mmpp", "poisson", "uniform"]


class ArrivalLaw(Protocol):
    """What an arrival process offers."""

    def times(self, count: int, seed: int) -> npt.NDArray[np.float64]:
        """Return the first ``count`` arrival times, in s from 0 on, in order."""


if TYPE_CHECKING:
    Arrivals = ArrivalLaw
else:
    from hetsim.spec._check import tagged

    Arrivals = tagged("arrivals")
