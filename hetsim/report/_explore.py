"""What the linked views of a sweep hold: designs one by one, and how they were chosen."""

from __future__ import annotations

from typing import Any

import numpy as np

from hetsim.report._labels import EXPLORED, metric_of, present
from hetsim.report._ranked import Ranked
from hetsim.report._sweep_figures import FRONT

__all__ = ["EXPLORABLE", "explored"]

EXPLORABLE = 2000
"""Designs that a browser filters and draws at once; of more, a part is taken."""


def explored(ranked: Ranked, most: int = EXPLORABLE) -> dict[str, Any] | None:
    """Return the data of the linked views, by column; none without a simulated design.

    Of more than ``most`` designs, all on the Pareto front of cost and goodput are kept (up to
    half), then the best of every condition (up to three quarters), then every n-th of the rest.
    """
    table = ranked.table
    if table.empty:
        return None
    front = _front(ranked)
    kept = _kept(table, front, most)
    keys = present((ranked.metric, *EXPLORED), kept)
    sense = ranked.result.manifest["response"]["sense"]
    return {
        "total": len(table),
        "axes": [_axis(kept, name, name in ranked.conditions) for name in ranked.axes],
        "metrics": [_metric(kept, key, sense if key == ranked.metric else None) for key in keys],
        "points": kept["point"].astype(int).tolist(),
        "rank": kept["rank"].astype(int).tolist(),
        "share": _numbers(kept["share"]),
        "x": FRONT[0] if FRONT[0] in keys else keys[-1],
        "y": FRONT[1] if FRONT[1] in keys else keys[0],
    }


def _front(ranked: Ranked) -> set[int]:
    x, y = FRONT
    if x not in ranked.table or y not in ranked.table:
        return set()
    return set(ranked.result.pareto([y, x])["point"].tolist())


def _kept(table: Any, front: set[int], most: int) -> Any:
    if len(table) <= most:
        return table
    keep = np.zeros(len(table), dtype=bool)
    on_front = np.flatnonzero(table["point"].isin(front).to_numpy())
    keep[on_front[: most // 2]] = True
    by_rank = np.argsort(table["rank"].to_numpy(), kind="stable")
    best = by_rank[~keep[by_rank]][: max(0, 3 * most // 4 - int(keep.sum()))]
    keep[best] = True
    rest = np.flatnonzero(~keep)
    step = -(-len(rest) // (most - int(keep.sum())))
    keep[rest[::step]] = True
    return table[keep]


def _axis(table: Any, name: str, condition: bool) -> dict[str, Any]:
    """Return an axis as level names and, for every design, the number of its level."""
    column = table[f"axis.{name}"].cat.remove_unused_categories()
    return {
        "name": name,
        "condition": condition,
        "levels": [str(level) for level in column.cat.categories],
        "codes": column.cat.codes.astype(int).tolist(),
    }


def _metric(table: Any, key: str, sense: str | None) -> dict[str, Any]:
    words = metric_of(key, sense)
    return {
        "key": key,
        "name": words.name,
        "label": words.label,
        "more": words.more_is_better,
        "values": _numbers(table[key]),
    }


def _numbers(column: Any) -> list[float | None]:
    return [float(f"{v:.6g}") if np.isfinite(v) else None for v in column.to_numpy(float)]
