"""How the predictions of rows move with each engine constant: one more simulation per constant."""

from __future__ import annotations

from collections.abc import Sequence

from hetsim.errors import HetsimError
from hetsim.validate._constants import Constants, engine_of, keys_of, nudged
from hetsim.validate._job import Job
from hetsim.validate._predict import jobs_of, predict
from hetsim.validate._recipes import drafts
from hetsim.validate._refit import Observation
from hetsim.validate._score import Outcome, pair_of
from hetsim.validate._serving import check_names
from hetsim.validate._simulate import Simulator
from hetsim.validate._table import Row

__all__ = ["fit_rows", "observe_all"]

MOST_USERS = 512
"""Users of a closed loop beyond which a row costs more than it says about an engine's constants."""
MOST_PER_PAIR = 40
"""Rows of one pair of device and model that enter a fit; more say the same again."""


def fit_rows(rows: Sequence[Row]) -> list[Row]:
    """Return the rows that a fit looks at: complete, not doubted, spread evenly over each pair.

    Rows whose layout would have to be searched, rows that mean the same simulation as an earlier
    one, and rows that must have been made with speculative decoding are left out.
    """
    found: dict[str, list[Row]] = {}
    seen: set[str] = set()
    for row in rows:
        job = _job(row)
        if job is None or row.kind != "serving" or row.grade != "A" or row.suspect:
            continue
        _, model, engine = check_names(row)
        if job.users > MOST_USERS or drafts(row, model, engine):
            continue
        if job.key not in seen:
            seen.add(job.key)
            found.setdefault(pair_of(row), []).append(row)
    chosen: list[Row] = []
    for pair in sorted(found):
        some = found[pair]
        stride = max(1.0, len(some) / MOST_PER_PAIR)
        chosen += [some[int(i * stride)] for i in range(min(len(some), MOST_PER_PAIR))]
    return chosen


def _job(row: Row) -> Job | None:
    try:
        jobs = jobs_of(row)
    except HetsimError:
        return None
    return jobs[0] if len(jobs) == 1 else None


def observe_all(rows: Sequence[Row], start: Constants) -> list[Observation]:
    """Return the observations of rows, one by one; rows that cannot be simulated have none."""
    nominal = Simulator(start)
    moved: dict[str, Simulator] = {}
    found: list[Observation] = []
    for row in rows:
        job, middle = _job(row), predict(row, nominal)
        if job is None or not middle.pairs:
            continue
        slopes: dict[str, dict[str, float]] = {metric: {} for metric in middle.pairs}
        for key in _keys(row, job):
            if key not in moved:
                moved[key] = Simulator(nudged(start, key))
            there = predict(row, moved[key])
            for metric, value in _times(there).items():
                if metric in slopes:
                    step = nudged(start, key)[key] - start[key]
                    slopes[metric][key] = (value - _times(middle)[metric]) / step
        found += _observations(row, middle, slopes, start)
    return found


def _keys(row: Row, job: Job) -> list[str]:
    _, model, _ = check_names(row)
    pools = list(job.data["pools"].values())
    moe = any(group.mlp.kind == "moe" for group in model.layers)
    return list(
        keys_of(engine_of(pools[0]["runtime"]), job.load, moe=moe, apart=len(pools) == 2).values()
    )


def _times(outcome: Outcome) -> dict[str, float]:
    """Return the scored predictions as times."""
    return {
        name: 1.0 / pair.predicted if name == "throughput" else pair.predicted
        for name, pair in outcome.pairs.items()
    }


def _observations(
    row: Row, middle: Outcome, slopes: dict[str, dict[str, float]], start: Constants
) -> list[Observation]:
    times, (_, model, _) = _times(middle), check_names(row)
    moe = any(group.mlp.kind == "moe" for group in model.layers)
    made = []
    for metric, pair in middle.pairs.items():
        found = slopes[metric]
        overhead = next((key for key in found if key.endswith(".request_overhead_s")), None)
        if moe and overhead is not None:
            # The two are a product, so that one simulation tells both.
            ratio = "all.request_overhead_moe_ratio"
            found[ratio] = found[overhead] * start[overhead] / start[ratio]
        measured = 1.0 / pair.measured if metric == "throughput" else pair.measured
        made.append(Observation(row.row_id, pair_of(row), metric, measured, times[metric], found))
    return made
