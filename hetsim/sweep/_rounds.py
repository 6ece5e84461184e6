"""Screen, then simulate: rounds of points in the order of their bounds.

Incumbents change between rounds only, and a round is made of the bounds and of earlier rounds
alone. So the same points are screened whatever the number of workers, and however often a sweep
was interrupted: a restart plays the rounds again and finds the finished points in the journal.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from hetsim.sweep._load import LoadedSweep
from hetsim.sweep._objectives import beaten, sense_of
from hetsim.sweep._screen import Bounds

__all__ = ["Contest", "play"]

Matrix = npt.NDArray[np.float64]
_ALL_AT_ONCE = 1024
"""Points of a round where nothing is screened."""


class Contest:
    """What points compete for, and who is ahead in each condition."""

    def __init__(self, sweep: LoadedSweep, bounds: Bounds | None) -> None:
        spec = sweep.spec
        self.sweep = sweep
        self.keep = spec.screen.keep if bounds is not None else "all"
        self.metrics: tuple[str, ...] = (spec.response.metric,)
        senses = [sense_of(spec.response.metric, spec.response.sense)]
        if self.keep == "front":
            self.metrics = spec.screen.objectives
            senses = [sense_of(name) for name in self.metrics]
        self.senses = np.array(senses)
        self.group = _groups(sweep)
        self.hopes = self._hopes(bounds)
        self._ahead: dict[int, list[npt.NDArray[np.float64]]] = {}

    def _hopes(self, bounds: Bounds | None) -> Matrix | None:
        """Return the best that each point can be, larger is better, as the mean over seeds."""
        if self.keep == "all" or bounds is None:
            return None
        columns = []
        for name, sense in zip(self.metrics, self.senses, strict=True):
            mean = bounds.column(name).mean(axis=1) * sense
            columns.append(np.where(np.isnan(mean), np.inf, mean))
        return np.stack(columns, axis=1)

    def order(self, bounds: Bounds | None, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Return points in the order of trying: the most hopeful of every condition in turn."""
        if self.hopes is None or bounds is None:
            return rows
        hope = self.hopes[rows, 0]
        best_first = rows[np.lexsort((rows, -hope, self.group[rows]))]
        place = np.zeros(len(rows), dtype=np.int64)
        seen: dict[int, int] = {}
        for at, row in enumerate(best_first.tolist()):
            group = int(self.group[row])
            place[at] = seen.get(group, 0)
            seen[group] = int(place[at]) + 1
        ordered: npt.NDArray[np.int64] = best_first[np.lexsort((self.group[best_first], place))]
        return ordered

    def lost(self, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
        """Return which points cannot win any more."""
        out = np.zeros(len(rows), dtype=bool)
        if self.hopes is None:
            return out
        groups = self.group[rows]
        for group, ahead in self._ahead.items():
            mine = groups == group
            if mine.any():
                out[mine] = beaten(self.hopes[rows[mine]], np.array(ahead))
        return out

    def enter(self, row: int, values: npt.NDArray[np.float64]) -> None:
        """Let a simulated point compete: its metrics as the mean over seeds."""
        if np.isnan(values[0]):
            return
        oriented = np.where(np.isnan(values), -np.inf, values * self.senses)
        self._ahead.setdefault(int(self.group[row]), []).append(oriented)

    @property
    def round_points(self) -> int:
        """How many points a round has."""
        return _ALL_AT_ONCE if self.hopes is None else self.sweep.spec.screen.round


def _groups(sweep: LoadedSweep) -> npt.NDArray[np.int64]:
    """Return the number of every point's condition."""
    code = np.zeros(len(sweep.points), dtype=np.int64)
    for column, axis in enumerate(sweep.axes):
        if axis.condition:
            code = code * len(axis.levels) + sweep.points[:, column]
    return np.unique(code, return_inverse=True)[1]


Simulate = Callable[[list[int]], Mapping[int, list[dict[str, Any]]]]


def play(
    contest: Contest, bounds: Bounds | None, rows: npt.NDArray[np.int64], simulate: Simulate
) -> tuple[dict[int, list[dict[str, Any]]], list[int]]:
    """Return the rows of the simulated points by point, and the points that were screened.

    ``simulate`` gives for each of some points one row per seed.
    """
    waiting = contest.order(bounds, rows)
    done: dict[int, list[dict[str, Any]]] = {}
    screened: list[int] = []
    while len(waiting):
        lost = contest.lost(waiting)
        screened += waiting[lost].tolist()
        waiting = waiting[~lost]
        chosen, waiting = waiting[: contest.round_points], waiting[contest.round_points :]
        found = simulate(chosen.tolist())
        for row in chosen.tolist():
            done[row] = found[row]
            contest.enter(row, mean_of(found[row], contest.metrics))
    return done, screened


def mean_of(rows: list[dict[str, Any]], metrics: tuple[str, ...]) -> npt.NDArray[np.float64]:
    """Return metrics as the mean over seeds; NaN where a seed lacks one."""
    values = [[_number(row.get(name)) for row in rows] for name in metrics]
    return np.array([sum(row) / len(row) for row in values])


def _number(value: Any) -> float:
    return float(value) if isinstance(value, (int, float)) else float("nan")
