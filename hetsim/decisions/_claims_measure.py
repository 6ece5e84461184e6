"""From a table of measurements to one outcome per condition."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from math import exp, inf, log, sqrt
from typing import NamedTuple

import numpy as np

from hetsim.decisions._claims_cells import FAR, Cell, ClaimTable, Outcome, Values
from hetsim.decisions._claims_types import Clause, Comparison, Limit, Observation
from hetsim.decisions._constraints import constraint_of
from hetsim.decisions._verdicts import CONFIDENCE

__all__ = ["chosen", "comparison_cells", "limit_cells", "observation_cells"]


def comparison_cells(test: Comparison, table: ClaimTable) -> list[Cell]:
    """Return who wins each condition (and each bound of the error)."""
    metric = test.metric or next(iter(table.columns))
    cells = []
    for bound in table.bounds or (None,):
        allowed = _allowed(table, bound)
        sides = [[n for n in chosen(p, table) if n in allowed] for p in (test.first, test.second)]
        for number, condition in _where(table, test.where):
            named = condition if bound is None else {**condition, "error": f"<= {bound:.1%}"}
            cells.append(_duel(table, metric, sides, number, named, test.tolerance))
    return cells


def chosen(patterns: Iterable[str], table: ClaimTable) -> list[int]:
    """Return the alternatives that one of the patterns names, in the order of the table."""
    wanted = tuple(patterns)
    return [
        n
        for n, label in enumerate(table.alternatives)
        if any(label == p or fnmatchcase(label, p) for p in wanted)
    ]


def _allowed(table: ClaimTable, bound: float | None) -> set[int]:
    every = range(len(table.alternatives))
    return {n for n in every if bound is None or table.errors[n] <= bound}


def _where(
    table: ClaimTable, where: Mapping[str, Sequence[str]]
) -> list[tuple[int, Mapping[str, str]]]:
    return [
        (n, c)
        for n, c in enumerate(table.conditions)
        if all(c.get(name) in levels for name, levels in where.items())
    ]


def _duel(
    table: ClaimTable,
    metric: str,
    sides: list[list[int]],
    number: int,
    condition: Mapping[str, str],
    tolerance: float,
) -> Cell:
    """Return who wins one condition: each side sends its best by the mean over seeds."""
    worth = [_worths(table, metric, side, number) for side in sides]
    if not sides[0] or not sides[1]:
        return Cell(condition, "none", says="no alternative of one side is allowed")
    best = [int(np.argmax(rows.mean(axis=1))) for rows in worth]
    a, b = (rows[n] for rows, n in zip(worth, best, strict=True))
    names = [table.alternatives[side[n]] for side, n in zip(sides, best, strict=True)]
    edge = log(1.0 + tolerance)
    ratio = _ratio(a, b, edge)
    if ratio is None:
        says = "neither meets the objectives"
        return Cell(condition, "none", first=names[0], second=names[1], says=says)
    outcome: Outcome = "holds" if ratio.low > edge else "fails" if ratio.high <= edge else "open"
    return Cell(
        condition,
        outcome,
        p_wrong=ratio.p_wrong,
        ratio=exp(ratio.middle),
        interval=(exp(ratio.low), exp(ratio.high)),
        first=names[0],
        second=names[1],
        loses=ratio.high < -edge,
    )


def _worths(table: ClaimTable, metric: str, side: list[int], number: int) -> Values:
    """Return ``[alternative, seed]``, more is better, 0 where an alternative cannot run."""
    values = table.columns[metric][side, number]
    if table.senses[metric] < 0.0:
        with np.errstate(divide="ignore"):
            values = np.where(values > 0.0, 1.0 / values, np.where(values == 0.0, inf, np.nan))
    worth: Values = np.minimum(np.nan_to_num(values, nan=0.0, posinf=1e12), 1e12)
    return worth


class _Ratio(NamedTuple):
    """A ratio over seeds, in logarithms."""

    middle: float
    low: float
    high: float
    p_wrong: float
    """Chance that the mean is on the other side of the edge."""


def _ratio(a: Values, b: Values, edge: float) -> _Ratio | None:
    """Return the ratio of two alternatives on common seeds; None if neither runs on any.

    Student's interval of the mean log ratio. Where one alternative cannot run on some seeds only,
    there is no mean: the seeds vote, and all must agree (sign test).
    """
    from scipy.stats import t as student

    either = (a > 0.0) | (b > 0.0)
    if not either.any():
        return None
    with np.errstate(divide="ignore"):
        ratios = np.clip(np.log(a[either]) - np.log(b[either]), -log(FAR), log(FAR))
    count, far = len(ratios), np.abs(ratios) >= log(FAR)
    if far.any() and not far.all():
        return _vote(ratios, edge)
    middle = float(ratios.mean())
    if count < 2:
        return _Ratio(middle, -log(FAR), log(FAR), 0.5)
    spread = float(ratios.std(ddof=1)) / sqrt(count)
    reach = float(student.ppf(0.5 + 0.5 * CONFIDENCE, count - 1)) * spread
    wrong = float(student.sf(abs(middle - edge) / spread, count - 1)) if spread > 0.0 else 0.0
    return _Ratio(middle, middle - reach, middle + reach, wrong)


def _vote(ratios: Values, edge: float) -> _Ratio:
    low, high, middle = float(ratios.min()), float(ratios.max()), float(np.median(ratios))
    wrong = 0.5 ** len(ratios)
    if wrong > 0.5 - 0.5 * CONFIDENCE:
        low, high = -log(FAR), log(FAR)
    return _Ratio(middle, low, high, wrong if low > edge or high <= edge else 0.5)


def observation_cells(test: Observation, table: ClaimTable) -> list[Cell]:
    """Return whether every clause holds, by condition and alternative."""
    return [cell for clause in test.clauses for cell in _clause(clause, table)]


def _clause(clause: Clause, table: ClaimTable) -> Iterable[Cell]:
    for number, condition in _where(table, clause.where):
        for one in chosen(clause.alternatives, table):
            values = table.columns[clause.metric][one, number]
            low = -inf if clause.at_least is None else clause.at_least
            high = inf if clause.at_most is None else clause.at_most
            good = bool(np.all((values >= low) & (values <= high)))
            seen = f"{values.min():.4g}" if values.min() == values.max() else _range(values)
            name = table.alternatives[one]
            yield Cell(
                {**condition, "alternative": name},
                "holds" if good else "fails",
                says=f"{clause.metric} {seen}",
                first=name,
            )


def _range(values: Values) -> str:
    return f"{values.min():.4g} to {values.max():.4g}"


def limit_cells(test: Limit, table: ClaimTable) -> list[Cell]:
    """Return whether the bottleneck is of a stated kind, by condition and alternative."""
    cells = []
    for number, condition in _where(table, test.where):
        for one in chosen(test.alternatives, table):
            words = table.bottlenecks.get((one, number), "")
            kind, name = constraint_of(words), table.alternatives[one]
            outcome: Outcome = "holds" if kind in test.constraints else "fails"
            outcome = outcome if words else "none"
            where = {**condition, "alternative": name}
            cells.append(Cell(where, outcome, says=kind, first=name))
    return cells
