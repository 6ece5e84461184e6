"""Bounds of many points at once: gathers and maxima over tables of pools and conditions.

A bound is optimistic in every objective: goodput is never more, cost, power and TTFT never less.
Tables are filled once per pool configuration, condition and seed; a point costs a few gathers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from hetsim.sweep._tables import Tables

__all__ = ["Bounds", "screen_arrays"]

Vector = npt.NDArray[np.float64]
_CHUNK = 1 << 16


@dataclass(frozen=True, slots=True)
class Bounds:
    """Optimistic objectives, ``[points, seeds]``; goodput is infinite where nothing is known."""

    goodput_req_s: Vector
    cost_usd_per_mtok: Vector
    power_w: Vector
    ttft_s: Vector
    """``[points, seeds, 4]``: mean, p50, p90, p99."""
    usd_per_h: Vector
    """``[points]``, NaN where no price is known."""
    all_end: npt.NDArray[np.bool_]
    """``[points, seeds]``: every request must finish."""

    def column(self, metric: str) -> Vector:
        """Return the bound of a metric, ``[points, seeds]``."""
        if metric.startswith("ttft_s."):
            which = ("mean", "p50", "p90", "p99").index(metric.partition(".")[2])
            found: Vector = self.ttft_s[:, :, which]
            return found
        if metric == "goodput_req_per_usd":
            per_usd: Vector = self.goodput_req_s * 3600.0 / self.usd_per_h[:, None]
            return per_usd
        made: Vector = getattr(self, metric)
        return made


def screen_arrays(tables: Tables, points: npt.NDArray[np.int32] | None = None) -> Bounds:
    """Return the bounds of all points of the tables, or of the rows ``points`` of them."""
    rows = np.arange(len(tables.first)) if points is None else points
    parts = [_some(tables, rows[at : at + _CHUNK]) for at in range(0, len(rows), _CHUNK)]
    names = Bounds.__slots__
    return Bounds(**{name: np.concatenate([getattr(p, name) for p in parts]) for name in names})


def _some(tables: Tables, rows: npt.NDArray[Any]) -> Bounds:
    seeds = tables.seeds
    found: dict[str, list[Any]] = {name: [] for name in ("goodput", "cost", "ttft", "all_end")}
    usd, watts = tables.usd_per_h(rows), tables.idle_w(rows)
    for seed in range(seeds):
        goodput, end, all_end, ttft = _one_seed(tables, rows, seed)
        demand = tables.demand_rows(rows, seed)
        with np.errstate(invalid="ignore", divide="ignore"):
            cost = usd * np.where(all_end, end, 0.0) / 3600.0 / demand["output_tokens"] * 1e6
        found["goodput"].append(goodput)
        found["cost"].append(np.where(np.isnan(cost), np.where(np.isnan(usd), np.nan, 0.0), cost))
        found["ttft"].append(ttft)
        found["all_end"].append(all_end)
    return Bounds(
        goodput_req_s=np.stack(found["goodput"], axis=1),
        cost_usd_per_mtok=np.stack(found["cost"], axis=1),
        power_w=np.repeat(watts[:, None], seeds, axis=1),
        ttft_s=np.stack(found["ttft"], axis=1),
        usd_per_h=usd,
        all_end=np.stack(found["all_end"], axis=1),
    )


def _one_seed(
    tables: Tables, rows: npt.NDArray[Any], seed: int
) -> tuple[Vector, Vector, npt.NDArray[np.bool_], Vector]:
    """Return goodput, end, whether all must finish, and TTFT of points for one seed."""
    p = tables.prompt_rows(rows, seed)
    d = tables.decode_rows(rows, seed)
    w = tables.demand_rows(rows, seed)
    link = tables.link_s(rows, seed)
    wait = tables.wait_s(rows)
    start = w["start_s"] + wait + p["least_s"]
    late = wait + (w["late_s"] + p["late_s"] + d["late_s"]).max(axis=1)
    end = np.maximum.reduce(
        [
            p["end_s"] + wait + d["least_s"],
            start + d["busy_s"],
            start + link,
            late,
            start + tables.mix_s(rows, seed),
        ]
    )
    span = np.maximum(end - w["measured_from_s"], 1e-12)
    good = np.minimum.reduce([p["good"], d["good"], w["requests"]])
    all_end = tables.all_end(rows) & p["fits"] & d["fits"]
    whole = np.minimum(good / span, d["all_req_s"])
    some = np.minimum.reduce([p["some_req_s"], d["some_req_s"], w["some_req_s"]])
    goodput = np.where(all_end, whole, some)
    goodput = np.where(good > 0, goodput, 0.0)
    known = p["known"] & d["known"] & w["known"]
    ttft = np.where(all_end[:, None], p["ttft_s"], p["least_s"][:, None])
    ttft += wait[:, None]
    return (
        np.where(known, goodput, np.inf),
        np.where(known, end, 0.0),
        all_end & known,
        np.where(known[:, None], ttft, 0.0),
    )
