"""Every request has the same length."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from hetsim.spec import spec
from hetsim.workload._types import Tokens

__all__ = ["Fixed"]


@spec(kind="fixed", family="lengths")
class Fixed:
    """``tokens`` for everybody.

    >>> Fixed(tokens=200).quantile(np.array([0.1, 0.9])).tolist()
    [200, 200]
    """

    kind: Literal["fixed"] = "fixed"
    tokens: Tokens
    """The length of every request, in tokens."""

    def quantile(self, u: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
        """Return ``tokens`` for every ``u``."""
        return np.full(len(u), self.tokens, dtype=np.int64)

    def resolve(self, base_dir: Path) -> Fixed:
        """Return itself: nothing is read from files."""
        return self
