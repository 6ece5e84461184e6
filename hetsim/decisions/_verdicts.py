"""From replicates of a regret to bounds and a word, with many pairs judged at once."""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt

__all__ = ["CONFIDENCE", "THRESHOLD", "Verdict", "bounds", "interval", "verdict"]

THRESHOLD = 0.02
"""Regret from which a pair counts as binding; stated before any result was seen."""
CONFIDENCE = 0.95
Samples = npt.NDArray[np.float64]
Verdict = Literal["binding", "independent", "undecided"]


def bounds(regret: Samples, apart: Samples, cells: Samples, family: int) -> tuple[float, float]:
    """Return a lower and an upper bound of a regret that hold for all ``family`` at once.

    ``regret[sample]``, ``apart[sample]`` (what deciding apart is worth) and ``cells[sample, cell]``
    are replicates, the first of each the estimate itself.

    Bonferroni: each side leaves out ``(1 - confidence) / family``. A pair can be called wrongly on
    one side only (it is above the threshold or below it), so the chance that any verdict of the
    family is wrong is at most 5 %. Chosen over step-down methods because a reader can check every
    verdict against the interval printed beside it, and over resampling of the maximum because it
    needs no assumption on how the pairs depend on each other.

    The best of many noisy cells looks better than the best true one. So the lower bound is the
    largest of those of the single cells, ``1 - apart / cell``, each at its share of the error; and
    from the replicates, which carry the effect twice, the upper bound takes it off.
    """
    tail = (1.0 - CONFIDENCE) / max(1, family)
    dose = float(np.median(regret[1:])) - float(regret[0])
    high = float(np.quantile(np.maximum(regret[1:] - 2.0 * dose, 0.0), 1.0 - tail))
    return min(_lower(apart, cells, tail), high), high


def _lower(apart: Samples, cells: Samples, tail: float) -> float:
    from scipy.special import ndtri

    with np.errstate(divide="ignore", invalid="ignore"):
        gain = np.where(cells > 0.0, 1.0 - apart[:, None] / cells, 0.0)
    reach = -float(ndtri(tail / max(1, cells.shape[1] - 1)))
    return max(0.0, float((gain[0] - reach * gain[1:].std(axis=0)).max()))


def interval(samples: Samples) -> tuple[float, float]:
    """Return the interval of one quantity alone, the middle 95 %."""
    low, high = np.quantile(samples, [0.5 - 0.5 * CONFIDENCE, 0.5 + 0.5 * CONFIDENCE])
    return float(low), float(high)


def verdict(low: float, high: float, threshold: float = THRESHOLD) -> Verdict:
    """Return the word for a regret between two bounds.

    >>> verdict(0.03, 0.09), verdict(0.0, 0.01), verdict(0.0, 0.09)
    ('binding', 'independent', 'undecided')
    """
    if low > threshold:
        return "binding"
    return "independent" if high < threshold else "undecided"
