"""How far each request is from its objectives: 1 is just in time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from hetsim.metrics._quantiles import columns

if TYPE_CHECKING:
    from hetsim.metrics._summary import SloSpec

__all__ = ["severities", "worst_allowed"]


def severities(requests: Any, slo: SloSpec) -> npt.NDArray[np.float64]:
    """Return of every measured request the largest of its latencies over their objectives.

    A request meets the service level where this is at most 1; one that did not finish, or is
    corrupt, has infinity. A single token has no TPOT, and misses none.
    """
    names = ("measured", "status", "corrupt", "ttft_s", "tpot_s", "e2e_s")
    measured, status, corrupt, ttft, tpot, e2e = columns(requests, *names)
    worst = np.fmax(ttft / slo.ttft_s, tpot / slo.tpot_s)
    if slo.e2e_s is not None:
        worst = np.fmax(worst, e2e / slo.e2e_s)
    lost = (status != "finished") | corrupt.astype(bool) | np.isnan(worst)
    found: npt.NDArray[np.float64] = np.where(lost, np.inf, worst)[measured.astype(bool)]
    return found


def worst_allowed(values: npt.NDArray[np.float64], percentile: float) -> float:
    """Return the severity that must be at most 1 for the service level to hold.

    It is the largest that remains when the misses that ``percentile`` allows are left out.

    >>> worst_allowed(np.array([0.5, 3.0, 0.9, 0.7]), 75.0)
    0.9
    """
    if not len(values):
        return float("inf")
    needed = int(np.ceil(len(values) * percentile / 100.0 - 1e-9))
    return float(np.sort(values)[max(needed, 1) - 1])
