"""Overlapping intervals, side by side: slices of one track must not overlap."""

from __future__ import annotations

from collections.abc import Sequence
from heapq import heappop, heappush

__all__ = ["lanes_of"]


def lanes_of(starts: Sequence[int], ends: Sequence[int]) -> list[int]:
    """Return the lane of each interval ``[start, end)``; within a lane none overlap.

    Intervals come in the order of their starts; the lowest free lane is taken, so that the number
    of lanes is the largest number of intervals at once.

    >>> lanes_of([0, 5, 10], [10, 8, 12])
    [0, 1, 0]
    """
    busy: list[tuple[int, int]] = []
    free: list[int] = []
    lanes: list[int] = []
    count = 0
    for start, end in zip(starts, ends, strict=True):
        while busy and busy[0][0] <= start:
            heappush(free, heappop(busy)[1])
        if free:
            lane = heappop(free)
        else:
            lane, count = count, count + 1
        lanes.append(lane)
        heappush(busy, (end, lane))
    return lanes
