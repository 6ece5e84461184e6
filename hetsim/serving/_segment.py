"""The closed form of k decode steps in a row: the cumulative function all times come from."""

from __future__ import annotations

from math import sqrt

__all__ = ["Segment"]


class Segment:
    """A run of decode steps of one batch: step ``i`` (from 1) takes ``first + (i - 1) * slope``.

    ``S(k) = k * first + k (k - 1) / 2 * slope``; the boundary after step ``k`` is at
    ``start + S(k)``. Fast-forward and stepwise runs both read boundaries from here, so that they
    agree to the last bit.
    """

    __slots__ = ("first_s", "limit", "paid", "slope_s", "start_s")

    def __init__(self, start_s: float, first_s: float, slope_s: float) -> None:
        self.start_s = start_s
        self.first_s = first_s
        self.slope_s = slope_s
        self.limit = 1
        """Steps after which something changes, as far as is known now."""
        self.paid = 1
        """Steps whose KV blocks have been taken (the step in flight included)."""

    def at(self, steps: int) -> float:
        """Return the time at which ``steps`` steps are done."""
        return self.start_s + (steps * self.first_s + 0.5 * steps * (steps - 1) * self.slope_s)

    def done_by(self, now: float) -> int:
        """Return the largest number of steps whose boundary is at or before ``now``."""
        start, first, slope = self.start_s, self.first_s, self.slope_s
        elapsed = now - start
        if elapsed < first:
            return 0
        if slope <= 0.0:
            steps = int(elapsed / first)
        else:
            lead = first - 0.5 * slope
            steps = int((sqrt(lead * lead + 2.0 * slope * elapsed) - lead) / slope)
        # The root is rounded; the boundaries themselves decide (:meth:`at`, inlined).
        while steps > 0 and start + (steps * first + 0.5 * steps * (steps - 1) * slope) > now:
            steps -= 1
        while start + ((steps + 1) * first + 0.5 * (steps + 1) * steps * slope) <= now:
            steps += 1
        return steps
