"""Fetch or recompute: what a prefix in a tier is worth, in seconds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

__all__ = ["Run", "choose", "fetch_s"]


class Run(NamedTuple):
    """Consecutive units of a prompt that one tier holds."""

    tier: int
    units: int
    seconds: float = 0.0
    """To fetch all that this tier gives up to the end of this run, at the rate it yields now."""


def fetch_s(nbytes: float, bytes_per_s: float, beside_s: float) -> float:
    """Return the seconds of a fetch: bytes over the rate, and what does not depend on bytes.

    >>> fetch_s(60e9, 30e9, 0.5)
    2.5
    """
    return nbytes / bytes_per_s + beside_s


def choose(runs: Sequence[Run], saved_s: Callable[[int], float]) -> int:
    """Return how many of ``runs``, from the first on, to fetch; the rest is computed.

    Tiers are read side by side, so the first n runs take the longest of their seconds; they save
    ``saved_s(units)`` of prefill. The n with the smallest sum wins, and a fetch must be faster,
    not as fast. A tier whose seconds grow is never chosen where it was not before: only the sums
    that contain it have grown.

    >>> runs = [Run(0, 4, 0.1), Run(2, 4, 0.9)]
    >>> choose(runs, lambda units: 0.1 * units), choose(runs, lambda units: 0.3 * units)
    (1, 2)
    """
    best, least_s = 0, 0.0
    units, seconds = 0, 0.0
    for number, run in enumerate(runs, 1):
        units += run.units
        seconds = max(seconds, run.seconds)
        total_s = seconds - saved_s(units)
        if total_s < least_s:
            best, least_s = number, total_s
    return best
