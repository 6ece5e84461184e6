"""What points are judged by: senses of metrics, dominance, the Pareto front."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from hetsim.errors import Problem, nearest
from hetsim.sweep._types import SweepSpec

__all__ = ["BOUNDED", "beaten", "front_rows", "objective_problems", "sense_of"]

Matrix = npt.NDArray[np.float64]

BOUNDED = (
    "goodput_req_s",
    "goodput_req_per_usd",
    "cost_usd_per_mtok",
    "power_w",
    "ttft_s.mean",
    "ttft_s.p50",
    "ttft_s.p90",
    "ttft_s.p99",
)
"""Metrics of which the screen knows an optimistic bound."""

_LARGER = ("goodput", "throughput", "slo_attainment", "rate_", "mfu", "mbu", "attainment")
_LARGER_ENDS = (".mfu", ".mbu", "tok_s", "requests.finished", "slo_met")


def sense_of(metric: str, stated: str | None = None) -> float:
    """Return 1 where more is better, -1 where less is.

    >>> sense_of("goodput_req_s"), sense_of("ttft_s.p99"), sense_of("cost_usd_per_mtok")
    (1.0, -1.0, -1.0)
    >>> sense_of("output_tok_s"), sense_of("stages.decode.mfu")
    (1.0, 1.0)
    """
    if stated is not None:
        return 1.0 if stated == "max" else -1.0
    return 1.0 if metric.startswith(_LARGER) or metric.endswith(_LARGER_ENDS) else -1.0


def objective_problems(spec: SweepSpec) -> Iterator[Problem]:
    """Yield what cannot be screened as stated."""
    keep, response = spec.screen.keep, spec.response
    if keep == "all":
        return
    if response.measure == "capacity":
        yield Problem(
            f"is {keep!r}; points measured by capacity have no bound: use keep: all", "screen.keep"
        )
    elif keep == "winner" and response.metric not in BOUNDED:
        yield Problem(
            f"has no bound to screen by; {nearest(response.metric, BOUNDED)}; or screen: "
            "{keep: all}",
            "response.metric",
        )
    elif keep == "front":
        if not spec.screen.objectives:
            yield Problem("names no objective", "screen.objectives")
        for number, name in enumerate(spec.screen.objectives):
            if name not in BOUNDED:
                yield Problem(
                    f"{name!r} has no bound to screen by; {nearest(name, BOUNDED)}",
                    f"screen.objectives[{number}]",
                )


def beaten(hopes: Matrix, incumbents: Matrix) -> npt.NDArray[np.bool_]:
    """Return which rows of ``hopes`` some incumbent dominates; larger is better everywhere.

    A hope is the best that a point can be. Where an incumbent is at least as good in everything
    and better in something, so it is against the point itself, which then is on no front.

    >>> beaten(np.array([[1.0, 1.0], [3.0, 0.0]]), np.array([[2.0, 1.0]])).tolist()
    [True, False]
    """
    lost = np.zeros(len(hopes), dtype=bool)
    for one in front_of(incumbents):
        lost |= (one >= hopes).all(axis=1) & (one > hopes).any(axis=1)
    return lost


def front_of(values: Matrix) -> Matrix:
    """Return the rows that no other row dominates."""
    kept: Matrix = values[front_rows(values)]
    return kept


def front_rows(values: Matrix) -> npt.NDArray[np.int64]:
    """Return the numbers of the rows that no other dominates; larger is better.

    >>> front_rows(np.array([[1.0, 2.0], [2.0, 1.0], [1.0, 1.0]])).tolist()
    [0, 1]
    """
    rows = np.arange(len(values))
    keep = np.ones(len(values), dtype=bool)
    for row in rows:
        if keep[row]:
            worse = (values[row] >= values).all(axis=1) & (values[row] > values).any(axis=1)
            keep &= ~worse
    return rows[keep]


def oriented(table: Any, metrics: Sequence[str], senses: Sequence[float]) -> Matrix:
    """Return columns as a matrix in which larger is better; what is missing is the worst."""
    columns = []
    for name, sense in zip(metrics, senses, strict=True):
        column = np.asarray(table[name], dtype=float) * sense
        columns.append(np.where(np.isnan(column), -np.inf, column))
    return np.stack(columns, axis=1) if columns else np.zeros((len(table), 0))
