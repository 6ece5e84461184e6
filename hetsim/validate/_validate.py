"""Tables in, report out: rows dealt to processes, outcomes in the order of the tables."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from hetsim.errors import Problem, ScenarioError
from hetsim.validate._crossfit import CrossFit, cross_fit
from hetsim.validate._predict import predict_all
from hetsim.validate._record import fitted_pairs
from hetsim.validate._report import Report
from hetsim.validate._score import Outcome
from hetsim.validate._table import Row, read_tables

__all__ = ["validate"]

_CHUNK = 24.0
"""Work of one task, in rows: enough to share step models, little enough to end together."""

_USERS_PER_ROW = 200.0
"""So many users of a closed loop take as long as the rest of a row does."""

_ALIKE = ("accelerator", "model", "engine", "weight_dtype", "mode", "tp", "pp", "dp", "ep")


def validate(
    paths: Sequence[str | Path],
    *,
    workers: int = 1,
    every: int = 1,
    fit_by: str = "",
    transferred: bool = False,
    draws: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> Report:
    """Return predicted against measured for every row of the tables.

    ``every`` takes only each n-th row, for a quick look. ``fit_by="pair"`` refits the engines'
    constants for every pair of device and model without its rows, and scores it with them.
    ``transferred`` predicts every device from its relatives, as if it had never been measured.
    ``draws`` samples calibrations and constants so often, for intervals of the predictions (in a
    cross-fit of at most twelve rows of a pair).
    ``progress`` is told (done, total).

    Raises
    ------
    ScenarioError
        If a table cannot be read or has the columns of no kind.
    """
    if fit_by not in ("", "pair"):
        raise ScenarioError(Problem(f"is {fit_by!r}; rows can be held out by pair", "--cross-fit"))
    if fit_by and transferred:
        raise ScenarioError(Problem("and --transferred answer different questions", "--cross-fit"))
    tables = read_tables([Path(path) for path in paths])
    rows = [row for table in tables for row in table.rows][:: max(1, every)]
    names = [str(table.path) for table in tables]
    if fit_by:
        found = _crossed(rows, draws, max(1, workers), progress)
        return Report(names, found.outcomes, {}, found)
    how = (None, not transferred, draws)
    return Report(names, _outcomes(rows, how, max(1, workers), progress), fitted_pairs())


def _crossed(
    rows: list[Row], draws: int, workers: int, progress: Callable[[int, int], None] | None
) -> CrossFit:
    def chunked(indices: list[int]) -> list[list[int]]:
        return _chunks(rows, sorted(indices, key=lambda i: _likeness(rows[i], i)))

    def deal(call: Callable[..., Any], work: Sequence[tuple[Any, ...]]) -> Iterable[Any]:
        return _deal(call, work, workers)

    return cross_fit(rows, deal, chunked, progress, draws)


def _outcomes(
    rows: list[Row],
    how: tuple[Any, ...],
    workers: int,
    progress: Callable[[int, int], None] | None,
) -> list[Outcome]:
    order = sorted(range(len(rows)), key=lambda i: _likeness(rows[i], i))
    chunks = _chunks(rows, order)
    work = [([rows[i] for i in chunk], *how) for chunk in chunks]
    made: list[Outcome | None] = [None] * len(rows)
    done = 0
    for chunk, answers in zip(chunks, _deal(predict_all, work, workers), strict=True):
        for index, outcome in zip(chunk, answers, strict=True):
            made[index] = outcome
        done += len(chunk)
        if progress is not None:
            progress(done, len(rows))
    return [outcome for outcome in made if outcome is not None]


def _chunks(rows: list[Row], order: list[int]) -> list[list[int]]:
    """Return ``order`` cut where the work of a task is enough."""
    chunks: list[list[int]] = [[]]
    work = 0.0
    for index in order:
        if work >= _CHUNK:
            chunks.append([])
            work = 0.0
        chunks[-1].append(index)
        work += 1.0 + (rows[index].measured("concurrency") or 0.0) / _USERS_PER_ROW
    return chunks


def _likeness(row: Row, index: int) -> tuple[str, ...]:
    return (*(row.text(name) for name in _ALIKE), f"{index:09d}")


def _deal(call: Callable[..., Any], work: Sequence[tuple[Any, ...]], workers: int) -> Iterable[Any]:
    if workers == 1 or len(work) < 2:
        return (call(*arguments) for arguments in work)
    from joblib import Parallel, delayed

    tasks = (delayed(call)(*arguments) for arguments in work)
    answers: Iterable[Any] = Parallel(n_jobs=workers, return_as="generator")(tasks)
    return answers
