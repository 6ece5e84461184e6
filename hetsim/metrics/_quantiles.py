"""Quantiles: of plain columns, and of inter-token latencies kept as arithmetic runs."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["Runs", "distribution", "run_quantile", "runs_mean"]

Array = npt.NDArray[np.float64]


def distribution(values: Array) -> dict[str, float]:
    """Return mean and percentiles of the values that are there (NaN is missing).

    Percentiles are order statistics: the smallest value that at least that share does not exceed.

    >>> distribution(np.array([1.0, 2.0, 3.0, 4.0]))["p50"]
    2.0
    """
    there = np.sort(values[~np.isnan(values)])
    if not len(there):
        nan = float("nan")
        return {"mean": nan, "p50": nan, "p90": nan, "p99": nan}
    result = {"mean": float(there.mean())}
    for name, share in (("p50", 0.5), ("p90", 0.9), ("p99", 0.99)):
        index = max(0, int(np.ceil(share * len(there) - 1e-9)) - 1)
        result[name] = float(there[index])
    return result


class Runs:
    """Values ``first + i * slope`` for ``i < count``, each with a weight: what a segment leaves.

    Slopes are not negative: contexts only grow.
    """

    __slots__ = ("count", "first", "last", "slope", "weight")

    def __init__(self, first: Array, slope: Array, count: Array, weight: Array) -> None:
        keep = (count > 0) & (weight > 0)
        self.first = first[keep]
        self.slope = slope[keep]
        self.count = count[keep]
        self.weight = weight[keep]
        self.last = self.first + (self.count - 1.0) * self.slope

    @property
    def total(self) -> float:
        """Number of values, weighted."""
        return float((self.count * self.weight).sum())

    def below(self, limit: float) -> float:
        """Return how many values are at most ``limit``, weighted."""
        gap = limit - self.first
        with np.errstate(divide="ignore", invalid="ignore"):
            steps = np.floor(gap / self.slope + 1e-9) + 1.0
        steps = np.where(self.slope > 0.0, steps, self.count)
        steps = np.where(gap >= 0.0, np.clip(steps, 0.0, self.count), 0.0)
        return float((steps * self.weight).sum())

    def select(self, keep: npt.NDArray[np.bool_]) -> Runs:
        """Return some of the runs."""
        return Runs(self.first[keep], self.slope[keep], self.count[keep], self.weight[keep])


def runs_mean(runs: Runs) -> float:
    """Return the weighted mean of all values."""
    if not runs.total:
        return float("nan")
    sums = runs.count * runs.first + 0.5 * runs.count * (runs.count - 1.0) * runs.slope
    return float((sums * runs.weight).sum() / runs.total)


def run_quantile(runs: Runs, share: float) -> float:
    """Return the smallest value that at least ``share`` of the values does not exceed.

    Bisection on the counting function, whose terms are closed forms: exact to the rounding of a
    float, at a cost that does not grow with the number of tokens.
    """
    if not runs.total:
        return float("nan")
    wanted = share * runs.total - 1e-6
    low = float(runs.first.min())
    if runs.below(low) >= wanted:
        return low
    high = float(runs.last.max())
    under, last = 0.0, runs
    for turn in range(80):
        middle = 0.5 * (low + high)
        if middle in (low, high):
            break
        if under + last.below(middle) >= wanted:
            high = middle
        else:
            low = middle
        if turn % 4 == 3 and len(last.first) > 64:
            # Runs that lie wholly below are counted once, those wholly above never again.
            done = last.last <= low
            under += float((last.count * last.weight)[done].sum())
            last = last.select(~done & (last.first <= high))
    return high


def columns(table: Any, *names: str) -> list[Any]:
    """Return columns of an Arrow table as numpy arrays; words are shared Python strings."""
    return [_column(table.column(name)) for name in names]


def _column(column: Any) -> Any:
    import pyarrow as pa

    if not (pa.types.is_string(column.type) or pa.types.is_dictionary(column.type)):
        return column.to_numpy(zero_copy_only=False)
    # One Python string per word, not one per row.
    coded = (
        column.combine_chunks().dictionary_encode()
        if pa.types.is_string(column.type)
        else (column.unify_dictionaries().combine_chunks())
    )
    if isinstance(coded, pa.ChunkedArray):
        coded = coded.combine_chunks()
    words = np.array(coded.dictionary.to_pylist() or [""], dtype=object)
    return words[coded.indices.to_numpy(zero_copy_only=False)]
