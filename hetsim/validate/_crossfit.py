"""Scores of pairs that were not fitted: engine constants are refitted without the scored pair.

Sensitivities are taken once, on at most 40 rows of each pair; the constants of a held-out pair
follow from those of all other pairs by linear least squares, and every row of the pair is then
simulated anew at them, so that the linearisation decides the constants but scores nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from hetsim.spec import spec
from hetsim.validate._constants import Constants, stated
from hetsim.validate._predict import predict_all
from hetsim.validate._refit import Fit, Observation, linear, refit
from hetsim.validate._score import Outcome, pair_of, quantile
from hetsim.validate._sensitivity import fit_rows, observe_all
from hetsim.validate._table import Row

__all__ = ["CrossFit", "Deal", "cross_fit"]

_ROWS_PER_TASK = 12
_SAMPLED_PER_PAIR = 12
"""Rows of a pair that are sampled, spread evenly: the spread of parameters varies little in one."""

Deal = Callable[[Callable[..., Any], Sequence[tuple[Any, ...]]], Iterable[Any]]
"""Calls a function with each of some arguments, in order, in as many processes as there are."""
Progress = Callable[[int, int], None]


@spec
class CrossFit:
    """Outcomes of rows at constants that their pair had no part in."""

    outcomes: tuple[Outcome, ...]
    fit: Fit
    """The fit to all pairs."""
    fitted: dict[str, int]
    """Rows in the fit to all pairs, by pair."""
    held_out: dict[str, Constants]
    """Constants that the rows of a pair were scored at."""
    linear_error: float
    """Median relative distance of the linear predictions of held-out pairs from simulations."""


def cross_fit(
    rows: Sequence[Row],
    deal: Deal,
    chunked: Callable[[list[int]], list[list[int]]],
    progress: Progress | None = None,
    draws: int = 0,
) -> CrossFit:
    """Return the outcomes of ``rows``, each at constants fitted without its pair.

    ``chunked`` cuts indices of rows into tasks. With ``draws``, at most twelve rows of each pair
    are sampled so often.
    """
    start = stated()
    observations = observed(fit_rows(rows), start, deal, progress)
    pairs = sorted({pair_of(row) for row in rows})
    fit = refit(observations, start)
    held = {
        pair: refit([o for o in observations if o.pair != pair], start).constants
        if pair in fit.pairs
        else fit.constants
        for pair in pairs
    }
    outcomes = _scored(rows, held, deal, chunked, draws, progress)
    fitted: dict[str, int] = {}
    for _, pair in sorted({(item.row_id, item.pair) for item in observations}):
        fitted[pair] = fitted.get(pair, 0) + 1
    return CrossFit(
        outcomes=tuple(outcomes),
        fit=fit,
        fitted=fitted,
        held_out=held,
        linear_error=_linear_error(observations, start, held, outcomes),
    )


def _scored(
    rows: Sequence[Row],
    held: Mapping[str, Constants],
    deal: Deal,
    chunked: Callable[[list[int]], list[list[int]]],
    draws: int,
    progress: Progress | None,
) -> list[Outcome]:
    """Return the outcomes of rows, each simulated at the constants of its pair."""
    members: dict[str, list[int]] = {pair: [] for pair in held}
    for index, row in enumerate(rows):
        members[pair_of(row)].append(index)
    tasks = [chunk for pair in held for chunk in chunked(members[pair])]
    sampled = _spread_rows(rows, members)
    work = [
        (
            [rows[i] for i in task],
            held[pair_of(rows[task[0]])],
            True,
            draws,
            [i in sampled for i in task],
        )
        for task in tasks
    ]
    made: dict[int, Outcome] = {}
    for task, answers in zip(tasks, deal(predict_all, work), strict=True):
        made.update(zip(task, answers, strict=True))
        if progress is not None:
            progress(len(made), len(rows))
    return [made[index] for index in range(len(rows))]


def _spread_rows(rows: Sequence[Row], members: Mapping[str, list[int]]) -> set[int]:
    """Return the rows that are sampled: of grade A, evenly spread over those of their pair."""
    found: set[int] = set()
    for indices in members.values():
        some = [i for i in indices if rows[i].grade == "A" and not rows[i].suspect]
        stride = max(1.0, len(some) / _SAMPLED_PER_PAIR)
        found.update(some[int(k * stride)] for k in range(min(len(some), _SAMPLED_PER_PAIR)))
    return found


def _linear_error(
    observations: Sequence[Observation],
    start: Constants,
    held: Mapping[str, Constants],
    outcomes: Sequence[Outcome],
) -> float:
    """Return how far linear predictions of held-out pairs lie from their simulations."""
    pairs = {outcome.row.row_id: outcome.pairs for outcome in outcomes}
    distances = []
    for item in observations:
        found = pairs[item.row_id].get(item.metric)
        if found is not None:
            value = found.predicted
            value = 1.0 / value if item.metric == "throughput" else value
            distances.append(abs(linear(item, start, held[item.pair]) / value - 1.0))
    return quantile(sorted(distances), 0.5) if distances else 0.0


def observed(
    chosen: list[Row], start: Constants, deal: Deal, progress: Progress | None = None
) -> list[Observation]:
    """Return the observations of some rows at ``start``."""
    work = [chosen[i : i + _ROWS_PER_TASK] for i in range(0, len(chosen), _ROWS_PER_TASK)]
    found: list[Observation] = []
    done = 0
    for part, answers in zip(work, deal(observe_all, [(w, start) for w in work]), strict=True):
        found += answers
        done += len(part)
        if progress is not None:
            progress(done, len(chosen))
    return found
