"""Rankings: does the simulator order layouts of a device, and devices, as they were measured."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from hetsim.validate._score import Outcome
from hetsim.validate._table import Row

__all__ = ["Ranking", "kendall_tau", "rank_devices", "rank_layouts"]

_CLOSE = 0.03
"""Measured values nearer than this are a tie: repeated runs differ by as much."""

Ranking = tuple[int, float | None]
"""(number of pairs, Kendall tau)."""

_LOAD = ("load_type", "concurrency", "batch_size", "request_rate", "isl", "osl")
_LAYOUT = ("tp", "pp", "dp", "ep", "replicas", "p_tp", "p_pp", "p_dp", "p_ep", "p_workers",
    "d_tp", "d_pp", "d_dp", "d_ep", "d_workers")  # fmt: skip


def _value(row: Row) -> float | None:
    """Return measured throughput per accelerator, derived or not: a ranking needs no scale."""
    value = row.measured("out_tok_s_per_accel", "tok_s_per_accel")
    if value is None:
        total, devices = row.measured("out_tok_s", "tok_s"), row.measured("n_accel")
        value = total / devices if total and devices else None
    return value


def _words(row: Row, names: Sequence[str]) -> tuple[str, ...]:
    return tuple(row.text(name) for name in names)


def rank_layouts(outcomes: Iterable[Outcome]) -> Ranking:
    """Return how layouts of one device, model, engine and load are ordered by throughput."""
    same = ("source", "accelerator", "model_family", "engine", "weight_dtype", "mode", *_LOAD)
    return kendall_tau(outcomes, lambda row: _words(row, same), lambda row: _words(row, _LAYOUT))


def rank_devices(outcomes: Iterable[Outcome]) -> Ranking:
    """Return how devices are ordered at the same model, engine, layout and load."""
    same = ("source", "model_family", "engine", "mode", *_LAYOUT, *_LOAD)
    return kendall_tau(
        outcomes, lambda row: _words(row, same), lambda row: _words(row, ("accelerator",))
    )


def kendall_tau(
    outcomes: Iterable[Outcome],
    same: Callable[[Row], tuple[str, ...]],
    differs: Callable[[Row], tuple[str, ...]],
) -> Ranking:
    """Return (pairs, tau): concordant less discordant pairs inside groups, over all pairs.

    Pairs whose measured values lie within 3 % say nothing about an order and are left out.
    Several measurements of one configuration count by their median.
    """
    groups: dict[tuple[str, ...], dict[tuple[str, ...], list[tuple[float, float]]]] = {}
    for outcome in outcomes:
        row, predicted = outcome.row, outcome.prediction.out_tok_s_per_accel
        measured = _value(row)
        if outcome.status != "ok" or row.suspect or not predicted or not measured:
            continue
        groups.setdefault(same(row), {}).setdefault(differs(row), []).append((predicted, measured))
    score = pairs = 0
    for members in groups.values():
        points = [_middle(values) for values in members.values()]
        for index, (x, y) in enumerate(points):
            for other, target in points[index + 1 :]:
                if abs(y - target) <= _CLOSE * max(y, target):
                    continue
                pairs += 1
                score += 1 if (x - other) * (y - target) > 0 else -1
    return pairs, (score / pairs if pairs else None)


def _middle(values: list[tuple[float, float]]) -> tuple[float, float]:
    ordered = sorted(values, key=lambda pair: pair[1])
    return ordered[len(ordered) // 2]
