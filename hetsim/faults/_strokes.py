"""When a fault strikes at random: draws belong to the fault and to what it may hit."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import log1p

__all__ = ["hits", "poisson_times"]

Draw = Callable[..., float]
"""``draw(stream, *identity)``: a number in [0, 1) that belongs to the identity."""

STREAM = "faults"


def poisson_times(draw: Draw, index: int, per_hour: float, from_s: float = 0.0) -> Iterator[float]:
    """Yield the times of a fault that strikes ``per_hour`` times an hour on average.

    Gaps are exponential, by inversion: ``-ln(1 - u) / rate``. A rate of 0 never strikes.

    >>> times = poisson_times(lambda *_: 0.5, 0, 3600.0)
    >>> round(next(times), 3), round(next(times), 3)
    (0.693, 1.386)
    >>> list(poisson_times(lambda *_: 0.5, 0, 0.0))
    []
    """
    if per_hour <= 0.0:
        return
    at_s, number = from_s, 0
    while True:
        at_s += -log1p(-draw(STREAM, index, number)) * 3600.0 / per_hour
        number += 1
        yield at_s


def hits(draw: Draw, index: int, probability: float | None, rid: int, ordinal: int) -> bool:
    """Return whether a fault hits thing ``ordinal`` of a request; no probability hits always.

    >>> hits(lambda *_: 0.3, 0, 0.5, 1, 0), hits(lambda *_: 0.3, 0, 0.1, 1, 0)
    (True, False)
    """
    if probability is None:
        return True
    return probability > 0.0 and draw(f"{STREAM}/things", index, rid, ordinal) < probability
