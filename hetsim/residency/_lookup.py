"""The longest prefix of a prompt that is somewhere below HBM, tier by tier."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from hetsim.residency._decide import Run

__all__ = ["runs_of"]


def runs_of(keys: Sequence[int], tiers: Sequence[Callable[[int], bool]]) -> list[Run]:
    """Return the leading units of ``keys`` that any tier holds, as runs of one tier each.

    ``tiers[i](key)`` says whether tier i holds a unit; the nearest that does gives it. The first
    unit that none holds ends the prefix: attention needs every token before the next.

    >>> near, far = {1, 2, 5}, {2, 3, 4}
    >>> tiers = [near.__contains__, far.__contains__]
    >>> [(run.tier, run.units) for run in runs_of([1, 2, 3, 4, 5, 6], tiers)]
    [(0, 2), (1, 2), (0, 1)]
    """
    found: list[Run] = []
    tier, units = -1, 0
    for key in keys:
        here = next((number for number, holds in enumerate(tiers) if holds(key)), -1)
        if here != tier:
            if units:
                found.append(Run(tier, units))
            tier, units = here, 0
        if here < 0:
            return found
        units += 1
    if units:
        found.append(Run(tier, units))
    return found
