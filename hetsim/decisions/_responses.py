"""From the points of a sweep to arrays: what each design is worth in each regime, seed by seed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from hetsim.decisions._counted import COUNTED, bound_in_words
from hetsim.errors import Problem, ScenarioError
from hetsim.sweep import sense_of

if TYPE_CHECKING:
    import pandas as pd

    from hetsim.sweep import SweepResult

__all__ = ["Factor", "Responses", "responses", "shape_of"]

Matrix = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]
EVERYWHERE = "all"
"""Name of the only regime of a sweep without conditions."""


@dataclass(frozen=True, slots=True)
class Factor:
    """A decision: an axis with two levels or more."""

    name: str
    levels: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Responses:
    """One regime: ``codes[design, factor]`` numbers of levels, ``values[design, seed]``.

    Values are larger where a design is better; zero where it cannot run. ``core`` marks the
    designs that use all pairs of levels evenly, if the sweep has such; others lie around the base.
    """

    regime: str
    factors: tuple[Factor, ...]
    codes: Codes
    values: Matrix
    feasible: npt.NDArray[np.bool_]
    core: npt.NDArray[np.bool_]
    words: tuple[str, ...] = ()
    """The bottleneck of every design, as its first seed tells it."""
    at_ceiling: float = 0.0
    """Part of the runs at a fixed rate in which all but 1 % of what is offered is good."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Numbers of levels."""
        return shape_of(self.factors)

    def relative(self) -> Matrix:
        """Return the values of every seed over the mean feasible design of that seed.

        With common random numbers a seed moves all designs alike; this takes the common part out.
        """
        mean = self.values[self.feasible].mean(axis=0) if self.feasible.any() else np.ones(1)
        relative: Matrix = self.values / np.where(mean > 0.0, mean, 1.0)
        return relative


def shape_of(factors: tuple[Factor, ...]) -> tuple[int, ...]:
    """Return the numbers of levels of some factors."""
    return tuple(len(factor.levels) for factor in factors)


def responses(result: SweepResult) -> list[Responses]:
    """Return the responses of a sweep, one entry per combination of its conditions.

    Raises
    ------
    ScenarioError
        If points were screened (the bad designs are needed as well), or the sweep holds no
        response or fewer than two decisions.
    """
    table, metric = result.points, str(result.manifest["response"]["metric"])
    factors, problems = _factors(result), []
    if len(factors) < 2:
        problems.append(Problem("has fewer than two decisions with two levels or more", "axes"))
    if metric not in table:
        problems.append(Problem(f"no point has a {metric!r}", "response.metric"))
    if (table["status"] == "screened").any():
        problems.append(
            Problem("leaves points out; interactions need them: use keep: all", "screen.keep")
        )
    if problems:
        raise ScenarioError(problems)
    keys = [f"axis.{name}" for name in result.conditions]
    if not keys:
        return [_one(result, EVERYWHERE, table, factors, metric)]
    return [
        _one(result, ", ".join(str(part) for part in label), part_of, factors, metric)
        for label, part_of in table.groupby(keys, observed=True, sort=True)
    ]


def _factors(result: SweepResult) -> tuple[Factor, ...]:
    found = []
    for name in result.axes:
        column = result.points[f"axis.{name}"]
        levels = tuple(str(level) for level in column.cat.categories)
        if name not in result.conditions and len(levels) > 1:
            found.append(Factor(name, levels))
    return tuple(found)


def _one(
    result: SweepResult, label: str, table: pd.DataFrame, factors: tuple[Factor, ...], metric: str
) -> Responses:
    seeds = len(result.manifest["seeds"])
    first = table.iloc[::seeds]
    codes: Any = np.stack(
        [first[f"axis.{f.name}"].cat.codes.to_numpy(np.int64) for f in factors], 1
    )
    good = np.asarray(table["status"] == "simulated", dtype=bool).reshape(-1, seeds)
    raw = table[metric].to_numpy(float).reshape(-1, seeds)
    values = _oriented(raw, sense_of(metric, result.manifest["response"]["sense"]))
    feasible: Any = good.all(axis=1) & np.isfinite(values).all(axis=1)
    most = result.manifest.get("design", {}).get("core_points", len(result.points))
    words = first["bottleneck"] if "bottleneck" in first else [""] * len(first)
    counted = {
        name: np.nan_to_num(table[name].to_numpy(float)).reshape(-1, seeds).mean(axis=1)
        for name in COUNTED
        if name in table
    }
    return Responses(
        regime=label,
        factors=factors,
        codes=codes,
        values=np.where(feasible[:, None], values, 0.0),
        feasible=feasible,
        core=first["point"].to_numpy() < most,
        words=tuple(
            bound_in_words(str(word or ""), {name: float(at[row]) for name, at in counted.items()})
            for row, word in enumerate(words)
        ),
        at_ceiling=_ceiling(table[good.ravel()], metric),
    )


def _oriented(raw: Matrix, sense: float) -> Matrix:
    """Return values of which more is better; of costs and latencies, their inverse."""
    if sense > 0.0:
        return raw
    with np.errstate(divide="ignore"):
        return np.where(raw > 0.0, 1.0 / raw, np.nan)


def _ceiling(table: Any, metric: str) -> float:
    """Return the part of the rows of a fixed rate in which all but 1 % of the requests are good."""
    if not metric.startswith("goodput") or "rate_req_s" in table or not len(table):
        return 0.0
    return float((table["slo_attainment"] >= 0.99).mean()) if "slo_attainment" in table else 0.0
