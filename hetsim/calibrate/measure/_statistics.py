"""How often a kernel is repeated, how sure its median is, and which readings are outliers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import ceil, floor, sqrt
from statistics import median
from typing import TypeVar

from hetsim.calibrate.measure._types import Reading
from hetsim.spec import spec

__all__ = ["Effort", "half_width", "inner_count", "outliers", "repeat_until_tight"]

Made = TypeVar("Made")


@spec
class Effort:
    """When a visit to a point ends."""

    tight: float = 0.03
    """Half-width of the interval of the median, relative, that is enough."""
    least: int = 5
    most: int = 40
    visit_s: float = 0.4
    """Wall time of one visit, beyond which three readings are enough."""
    reading_s: float = 4e-4
    """What one reading takes at least: short kernels run several times in it."""


def half_width(values: Sequence[float]) -> float:
    """Return half of the 95 % interval of the median over the median, from order statistics.

    Ranks ``n/2 -+ 0.98 sqrt(n)``, which assumes nothing about the distribution; below six values
    the whole range.

    Source: Conover, Practical Nonparametric Statistics, 3rd edition, section 3.2.

    >>> half_width([1.0, 1.0, 1.0]), half_width([0.9, 1.0, 1.1])
    (0.0, 0.1)
    """
    ordered = sorted(values)
    n = len(ordered)
    if n < 2:
        return float("inf")
    low, high = 0, n - 1
    if n >= 6:
        reach = 0.98 * sqrt(n)
        low, high = max(0, floor(n / 2 - reach)), min(n - 1, ceil(n / 2 + reach))
    middle = median(ordered)
    return round((ordered[high] - ordered[low]) / (2.0 * middle), 12) if middle > 0.0 else 0.0


def outliers(values: Sequence[float]) -> list[bool]:
    """Say which readings are far too slow: 5 robust deviations and 2 % above the median.

    Only slow ones: interruptions make a kernel slower, nothing makes it faster.

    >>> outliers([1.0, 1.01, 0.99, 1.0, 3.0])
    [False, False, False, False, True]
    """
    if len(values) < 4:
        return [False] * len(values)
    middle = median(values)
    spread = 1.4826 * median(abs(value - middle) for value in values)
    limit = middle + max(5.0 * spread, 0.02 * middle)
    return [value > limit for value in values]


def inner_count(once_s: float, effort: Effort) -> int:
    """Return how many executions make one reading.

    >>> inner_count(1e-5, Effort(reading_s=1e-3)), inner_count(1.0, Effort())
    (100, 1)
    """
    return max(1, min(10_000, ceil(effort.reading_s / max(once_s, 1e-7))))


def repeat_until_tight(
    read: Callable[[], Reading], effort: Effort, now: Callable[[], float]
) -> list[Reading]:
    """Return readings until their median is tight, their number or the visit's time is used up."""
    started = now()
    readings: list[Reading] = []
    while len(readings) < effort.most:
        readings.append(read())
        spent = now() - started
        if len(readings) >= 3 and spent > effort.visit_s:
            break
        if len(readings) < effort.least:
            continue
        times = [reading.time_s for reading in readings]
        kept = [t for t, wild in zip(times, outliers(times), strict=True) if not wild]
        if half_width(kept) <= effort.tight:
            break
    return readings
