"""Arrivals whose rate switches between a quiet and a busy state."""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt

from hetsim.spec import spec
from hetsim.workload._streams import stream
from hetsim.workload._types import Positive, RequestsPerSecond, Seconds, refuse

__all__ = ["Mmpp"]

_CHUNK = 1024


@spec(kind="mmpp", family="arrivals")
class Mmpp:
    """Markov-modulated Poisson process of two states, with mean rate ``rate``.

    The busy state has ``burst_ratio`` times the quiet state's rate; both last exponential times
    with the means ``quiet`` and ``busy``. The quiet rate follows from the mean:
    ``rate (quiet + busy) / (quiet + burst_ratio busy)``. The process starts quiet.

    Arrivals are unit exponentials carried back through the accumulated rate, so that another
    ``rate`` keeps the bursts where they are in time and only puts more requests into them.

    Source: Fischer and Meier-Hellstern, The Markov-modulated Poisson process cookbook,
    Performance Evaluation 18 (1993). Valid for: quiet and busy above 0 s.
    """

    kind: Literal["mmpp"] = "mmpp"
    rate: RequestsPerSecond
    """Mean arrivals per second over both states."""
    burst_ratio: Positive
    """Rate of the busy state over that of the quiet one, at least 1."""
    quiet: Seconds
    """Mean time in the quiet state."""
    busy: Seconds
    """Mean time in the busy state."""

    def __post_init__(self) -> None:
        refuse(
            (self.burst_ratio < 1, f"burst_ratio must be at least 1, not {self.burst_ratio:g}"),
            (self.quiet <= 0 or self.busy <= 0, "quiet and busy must last longer than 0 s"),
        )

    def times(self, count: int, seed: int) -> npt.NDArray[np.float64]:
        """Return the first ``count`` arrival times in s."""
        wanted = np.cumsum(stream(seed, "arrivals").standard_exponential(count))
        edges_s, load = self._accumulated(float(wanted[-1]) if count else 0.0, seed)
        return np.interp(wanted, load, edges_s)

    def _accumulated(
        self, until: float, seed: int
    ) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """Return state edges in s and the expected arrivals up to each, beyond ``until``."""
        means = np.array([self.quiet, self.busy])
        quiet_rate = self.rate * means.sum() / (self.quiet + self.burst_ratio * self.busy)
        rates = quiet_rate * np.array([1.0, self.burst_ratio])
        draws = stream(seed, "arrivals.states")
        edges_s, load = [np.zeros(1)], [np.zeros(1)]
        while load[-1][-1] <= until:
            dwell_s = draws.standard_exponential((_CHUNK, 2)) * means
            edges_s.append(edges_s[-1][-1] + np.cumsum(dwell_s))
            load.append(load[-1][-1] + np.cumsum(dwell_s * rates))
        return np.concatenate(edges_s), np.concatenate(load)
