"""A table of projections in m: seconds per weight at the measured numbers of rows.

``t = t0 + n k f(m)`` with f interpolated in the logarithms between the measured m. A roofline
cannot follow a library that changes its kernel with m; a table can, inside what was measured.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hetsim.spec import spec

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["RowTable", "fit_rows", "rising", "table_seconds"]

LEAST_SHAPES = 3
"""Shapes (n, k) that a row of the table needs."""
_SWEEPS = 8


@spec
class RowTable:
    """The table, smallest m first."""

    m: tuple[float, ...]
    s_per_weight: tuple[float, ...]
    standard_error: tuple[float, ...]
    """Relative, by row."""
    pooled: int
    """Rows that were levelled with a neighbour, since more rows cannot be faster."""


def rising(values: Any, weights: Any) -> Any:
    """Return the nearest values that never fall (pool adjacent violators).

    >>> [float(v) for v in rising([1.0, 3.0, 2.0, 4.0], [1.0, 1.0, 1.0, 1.0])]
    [1.0, 2.5, 2.5, 4.0]
    """
    import numpy as np

    pools: list[list[float]] = []
    for value, weight in zip(values, weights, strict=True):
        pools.append([float(value), float(weight), 1.0])
        while len(pools) > 1 and pools[-2][0] > pools[-1][0]:
            high, low = pools[-2], pools.pop()
            total = high[1] + low[1]
            high[0] = (high[0] * high[1] + low[0] * low[1]) / total
            high[1], high[2] = total, high[2] + low[2]
    return np.concatenate([np.full(int(count), value) for value, _, count in pools])


def fit_rows(frame: pd.DataFrame, t0_s: float) -> RowTable | None:
    """Return the table of some measured projections; None if no m has enough shapes.

    Every shape has a level of its own (median polish), so that an m at which only small shapes were
    measured is not thought faster; the table is at the median level.
    """
    import numpy as np

    counts = frame.groupby("m")["time_s"].transform("size")
    frame = frame[counts >= LEAST_SHAPES]
    if frame["m"].nunique() < 2:
        return None
    rows, row = np.unique(frame["m"].to_numpy(float), return_inverse=True)
    weights = frame["n"].to_numpy(float) * frame["k"].to_numpy(float)
    _, shape = np.unique(weights, return_inverse=True)
    time_s = frame["time_s"].to_numpy(float)
    value = np.log(np.maximum(time_s - t0_s, 0.1 * time_s) / weights)
    level = np.zeros(int(shape.max()) + 1)
    height = np.zeros(len(rows))
    for _ in range(_SWEEPS):
        height = _medians(value - level[shape], row, len(rows))
        level = _medians(value - height[row], shape, len(level))
        level -= np.median(level)
    rest = value - height[row] - level[shape]
    number = np.bincount(row)
    # What one shape differs from the next is what the table does not know.
    spread = 1.4826 * _medians(np.abs(rest + level[shape]), row, len(rows))
    level_rows = rising(height, number)
    return RowTable(
        m=tuple(float(m) for m in rows),
        s_per_weight=tuple(float(v) for v in np.exp(level_rows)),
        standard_error=tuple(float(v) for v in spread / np.sqrt(number)),
        pooled=int(np.sum(np.abs(level_rows - height) > 1e-9)),
    )


def _medians(values: Any, index: Any, count: int) -> Any:
    import numpy as np

    return np.array([np.median(values[index == i]) for i in range(count)])


def table_seconds(table: RowTable, t0_s: float, frame: pd.DataFrame) -> Any:
    """Return the seconds that the table gives for some projections; its ends beyond them."""
    import numpy as np

    at = np.log(frame["m"].to_numpy(float))
    each = np.exp(np.interp(at, np.log(table.m), np.log(table.s_per_weight)))
    return t0_s + frame["n"].to_numpy(float) * frame["k"].to_numpy(float) * each
