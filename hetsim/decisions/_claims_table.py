"""From the points of a claim's sweep to the table that its verdict is read from."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np

from hetsim.decisions._claims_cells import ClaimTable
from hetsim.decisions._claims_load import LoadedClaim
from hetsim.decisions._claims_types import Comparison, Joint, Observation
from hetsim.decisions._interactions import interactions
from hetsim.errors import Problem, ScenarioError
from hetsim.sweep import sense_of

if TYPE_CHECKING:
    from hetsim.sweep import SweepResult

__all__ = ["grades_of", "table_of"]


def table_of(claim: LoadedClaim, result: SweepResult) -> ClaimTable:
    """Return what was measured, by alternative, condition and seed.

    Raises
    ------
    ScenarioError
        If a point is illegal or failed (a claim must set up what it compares), or a test asks for
        a metric that no run has.
    """
    if all(isinstance(test, Joint) for test in claim.spec.tests):
        return _joint_table(result)
    points = result.points
    problems = [*_broken(points, claim), *_missing(points, claim)]
    if problems:
        raise ScenarioError(problems)
    axes = claim.sweep.axes
    shape = [len(axis.levels) for axis in axes]
    conditions = [n for n, axis in enumerate(axes) if axis.condition]
    levels = list(product(*(range(shape[n]) for n in conditions)))
    order = [
        [_place(axes, alternative, level) for level in levels]
        for alternative in claim.alternatives.values()
    ]
    index = np.array([[np.ravel_multi_index(place, shape) for place in row] for row in order])
    names = _metrics(claim)
    return ClaimTable(
        alternatives=tuple(claim.alternatives),
        conditions=tuple(
            {axes[n].name: axes[n].labels[at] for n, at in zip(conditions, level, strict=True)}
            for level in levels
        ),
        columns={name: _column(points, name, result)[index] for name in names},
        senses={name: _sense(claim, name) for name in names},
        bottlenecks=_bottlenecks(points, index, len(result.manifest["seeds"])),
        errors=claim.errors,
        bounds=claim.spec.quality.bounds if claim.spec.quality is not None else (),
        joint=interactions(result) if any(isinstance(t, Joint) for t in claim.spec.tests) else None,
    )


def grades_of(result: SweepResult) -> dict[str, int]:
    """Return the calibration grades that the simulated points rest on, and how many on each."""
    if "calibration_grade" not in result.points:
        return {}
    counts = result.points["calibration_grade"].dropna().value_counts()
    return {str(name): int(count) for name, count in sorted(counts.items())}


def _place(axes: Any, alternative: tuple[int, ...], level: tuple[int, ...]) -> tuple[int, ...]:
    decided, given = list(alternative), list(level)
    return tuple(given.pop(0) if axis.condition else decided.pop(0) for axis in axes)


def _broken(points: Any, claim: LoadedClaim) -> list[Problem]:
    bad = points[points["status"].isin(["illegal", "failed"])]
    reasons = dict.fromkeys(str(reason) for reason in bad["reason"])
    return [
        Problem(f"a point cannot be set up: {reason}", "axes", claim.file) for reason in reasons
    ]


def _metrics(claim: LoadedClaim) -> list[str]:
    """Return the columns that the tests read, the response's first."""
    wanted = [claim.spec.response.metric]
    for test in claim.spec.tests:
        if isinstance(test, Comparison) and test.metric:
            wanted.append(test.metric)
        if isinstance(test, Observation):
            wanted += [clause.metric for clause in test.clauses]
    return list(dict.fromkeys(wanted))


def _missing(points: Any, claim: LoadedClaim) -> list[Problem]:
    return [
        Problem(f"no run has a {name!r}", "tests", claim.file)
        for name in _metrics(claim)
        if name not in points
    ]


def _sense(claim: LoadedClaim, name: str) -> float:
    response = claim.spec.response
    return sense_of(name, response.sense if name == response.metric else None)


def _column(points: Any, name: str, result: SweepResult) -> Any:
    seeds = len(result.manifest["seeds"])
    values = points[name].astype(float).to_numpy()
    return np.where(points["status"] == "simulated", values, np.nan).reshape(-1, seeds)


def _bottlenecks(points: Any, index: Any, seeds: int) -> dict[tuple[int, int], str]:
    """Return the bottleneck that most seeds name, the first where they tie."""
    if "bottleneck" not in points:
        return {}
    words = points["bottleneck"].fillna("").astype(str).to_numpy().reshape(-1, seeds)
    found = {}
    for (one, number), row in np.ndenumerate(index):
        said = list(words[row])
        found[one, number] = max(dict.fromkeys(said), key=said.count)
    return found


def _joint_table(result: SweepResult) -> ClaimTable:
    """Return what the study of interactions says of a sweep: the claim's own, or a larger one."""
    found = interactions(result)
    regimes = tuple({"regime": name} for name in found["regimes"])
    return ClaimTable((), regimes, {}, {}, joint=found)
