"""Lengths spread evenly between two bounds."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from hetsim.spec import spec
from hetsim.workload._types import Tokens, refuse

__all__ = ["Uniform"]


@spec(kind="uniform", family="lengths")
class Uniform:
    """Every whole number from ``min`` to ``max``, both included, equally often.

    >>> Uniform(min=1, max=4).quantile(np.array([0.0, 0.3, 0.5, 0.99])).tolist()
    [1, 2, 3, 4]
    """

    kind: Literal["uniform"] = "uniform"
    min: Tokens
    """Shortest length in tokens."""
    max: Tokens
    """Longest length in tokens."""

    def __post_init__(self) -> None:
        refuse((self.min > self.max, f"min ({self.min}) is above max ({self.max})"))

    def quantile(self, u: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
        """Return ``min + floor(u (max - min + 1))``."""
        return self.min + np.floor(u * (self.max - self.min + 1)).astype(np.int64)

    def resolve(self, base_dir: Path) -> Uniform:
        """Return itself: nothing is read from files."""
        return self
