"""Where a rising function crosses zero, in few evaluations."""

from __future__ import annotations

from collections.abc import Callable

__all__ = ["root_of"]

_STEP = 0.25
"""First step down from a point that is too high; the next ones are twice as long each."""
_GIVE_UP = 3.5
"""So far below ``top`` (a thirtieth, in logarithms of rates) the search for a low end stops."""
_NEAR, _LINEAR, _SLACK = 0.05, 0.6, 0.005
"""Distances from zero at which a point counts half, and not at all; how far outside its bracket the
result may lie."""
_EDGE = 0.1
"""A proposal stays this part of the bracket away from its ends."""


def root_of(
    function: Callable[[float], float],
    first: float,
    top: float,
    *,
    probes: int,
    width: float,
) -> float | None:
    """Return where ``function`` crosses zero below ``top``, or ``top`` if it does not.

    Starts at ``first``; regula falsi (Illinois) inside the bracket, and at last a line through the
    points near zero, since the function may be noisy. None if no point was found below zero.

    >>> found = root_of(lambda x: x ** 3 - 8.0, 1.5, 5.0, probes=9, width=0.01)
    >>> abs(found - 2.0) < 0.01
    True
    """
    bracket = _Bracket(function, top)
    bracket.probe(first)
    while bracket.probes < probes and not bracket.closed(width):
        bracket.probe(bracket.proposal())
    return bracket.root()


class _Bracket:
    """The highest point below zero, the lowest above, and weights that pull proposals inwards."""

    def __init__(self, function: Callable[[float], float], top: float) -> None:
        self.function = function
        self.top = top
        self.low: tuple[float, float] | None = None
        self.high: tuple[float, float] | None = None
        self.probes = 0
        self.seen: list[tuple[float, float]] = []
        self._pull = [1.0, 1.0]
        self._step = _STEP
        self._last: bool | None = None

    def probe(self, at: float) -> None:
        value = self.function(at)
        self.probes += 1
        self.seen.append((at, value))
        below = value <= 0.0
        if below:
            self.low = (at, value)
        else:
            self.high = (at, value)
        # Illinois: an end that stays twice running counts half, so that the other moves as well.
        self._pull[below] *= 0.5 if below is self._last else 1.0
        if below is not self._last:
            self._pull = [1.0, 1.0]
        self._last = below

    def closed(self, width: float) -> bool:
        if self.low is None:
            return self.high is not None and self.high[0] < self.top - _GIVE_UP
        if self.high is None:
            return self.low[0] >= self.top - width
        return self.high[0] - self.low[0] <= width

    def proposal(self) -> float:
        if self.low is None:
            assert self.high is not None
            at = self.high[0] - self._step
            self._step *= 2.0
            return at
        if self.high is None:
            return self.top
        at, span = self._falsi(), self.high[0] - self.low[0]
        return min(max(at, self.low[0] + _EDGE * span), self.high[0] - _EDGE * span)

    def _falsi(self) -> float:
        assert self.low is not None and self.high is not None
        (a, fa), (b, fb) = self.low, self.high
        fa, fb = fa * self._pull[0], fb * self._pull[1]
        return a - fa * (b - a) / (fb - fa) if fb > fa else 0.5 * (a + b)

    def root(self) -> float | None:
        if self.low is None:
            return None
        if self.high is None:
            return min(self.low[0], self.top)
        crossing = _line(self.seen)
        (a, fa), (b, fb) = self.low, self.high
        if crossing is None:
            crossing = a - fa * (b - a) / (fb - fa)
        slack = 0.5 * (b - a) + _SLACK
        return min(max(crossing, a - slack), b + slack, self.top)


def _line(points: list[tuple[float, float]]) -> float | None:
    """Return where the straight line through the points nearest to zero crosses it.

    Short runs are noisy, and every point near the crossing says something about it, not only the
    two that happened to be the last. Weights fall with the distance from zero.
    """
    near = [(x, y, 1.0 / (_NEAR + abs(y))) for x, y in points if abs(y) < _LINEAR]
    total = sum(w for _, _, w in near)
    if len(near) < 3:
        return None
    x0 = sum(w * x for x, _, w in near) / total
    y0 = sum(w * y for _, y, w in near) / total
    rise = sum(w * (x - x0) * (y - y0) for x, y, w in near)
    run = sum(w * (x - x0) ** 2 for x, _, w in near)
    return x0 - y0 * run / rise if rise > 0.0 else None
