"""Which measured values lie inside the intervals that sampled predictions give."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from math import exp, log
from typing import Any

from hetsim.run import Discrepancy
from hetsim.validate._score import METRICS, Outcome

__all__ = ["LEVELS", "NAMES", "inside_of", "interval_of", "situation_of"]

LEVELS = (0.5, 0.8, 0.95)
NAMES = {0.5: "inside_50", 0.8: "inside_80", 0.95: "inside_95"}
_STRATA = 33
"""Equally likely values of the discrepancy on every sample of the parameters."""


def situation_of(outcome: Outcome) -> dict[str, str]:
    """Return which scales of the discrepancy a row has; waiting rules no TTFT that is scored."""
    apart = outcome.row.text("mode") == "disagg"
    own = outcome.prediction.grade in ("measured", "fitted")
    return {
        "mode": "disaggregated" if apart else "aggregated",
        "evidence": "own" if own else "borrowed",
        "load": "flowing",
    }


@lru_cache(maxsize=1)
def _scores() -> Any:
    import numpy as np
    from scipy.special import ndtri

    middle = ndtri((np.arange(_STRATA) + 0.5) / _STRATA)
    return np.repeat(middle[:, None], len(METRICS), axis=1)


def interval_of(
    outcome: Outcome, metric: str, known: Discrepancy | None, level: float
) -> tuple[float, float]:
    """Return the middle ``level`` of the predictions of a metric.

    Every sample of the parameters is taken with every likely value of what the model leaves out;
    without a discrepancy it is the interval of the parameters alone.
    """
    import numpy as np

    values = np.array([log(value) for value in (outcome.samples or {})[metric]])
    if known is not None:
        factors = known.factors(situation_of(outcome), _scores()).get(metric)
        if factors is not None:
            values = (values[:, None] + np.log(factors)).ravel()
    low, high = np.quantile(values, [0.5 - 0.5 * level, 0.5 + 0.5 * level], method="hazen")
    return exp(float(low)), exp(float(high))


def inside_of(
    outcomes: Iterable[Outcome],
    known: Callable[[Outcome], Discrepancy | None],
    level: float,
) -> Mapping[str, float | None]:
    """Return the share of measured values inside their interval, by metric; None without rows."""
    counts: dict[str, list[bool]] = {name: [] for name in METRICS}
    for outcome in outcomes:
        for name in outcome.samples or {}:
            low, high = interval_of(outcome, name, known(outcome), level)
            counts[name].append(low <= outcome.pairs[name].measured <= high)
    return {name: sum(found) / len(found) if found else None for name, found in counts.items()}
