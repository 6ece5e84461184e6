"""Where two alternatives swap along a line: a coarse look, then bisection of every swap."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

__all__ = ["crossings"]

Line = Callable[[float], float]


def crossings(
    line: Line, places: list[float], *, steps: int, exact: bool = False
) -> tuple[list[float], list[float]]:
    """Return the places where ``line`` changes its sign, and its values at ``places``.

    ``steps`` halvings each; with ``exact`` the last interval is interpolated, which needs a line
    that is finite and smooth there. Zero counts as below.

    >>> found, _ = crossings(lambda x: x * x - 0.25, [0.0, 1.0], steps=30)
    >>> round(found[0], 6)
    0.5
    """
    values = [line(place) for place in places]
    found = []
    for (a, fa), (b, fb) in pairwise(zip(places, values, strict=True)):
        if (fa > 0.0) != (fb > 0.0):
            found.append(_bisect(line, (a, fa), (b, fb), steps, exact=exact))
    return found, values


def _bisect(
    line: Line, low: tuple[float, float], high: tuple[float, float], steps: int, *, exact: bool
) -> float:
    for _ in range(steps):
        middle = 0.5 * (low[0] + high[0])
        value = line(middle)
        if (value > 0.0) == (low[1] > 0.0):
            low = (middle, value)
        else:
            high = (middle, value)
    (a, fa), (b, fb) = low, high
    span = fb - fa
    if exact and span and abs(span) < float("inf"):
        return a - fa * (b - a) / span
    return 0.5 * (a + b)
