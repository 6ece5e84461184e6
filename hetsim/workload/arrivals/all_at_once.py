"""Everything is there at the start: offline work."""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt

from hetsim.spec import spec

__all__ = ["AllAtOnce"]


@spec(kind="all_at_once", family="arrivals")
class AllAtOnce:
    """All requests arrive at time 0.

    >>> AllAtOnce().times(2, seed=0).tolist()
    [0.0, 0.0]
    """

    kind: Literal["all_at_once"] = "all_at_once"

    def times(self, count: int, seed: int) -> npt.NDArray[np.float64]:
        """Return zeros; the seed has no say."""
        return np.zeros(count)
