"""SLO curves: what a tighter limit costs, and how attainment falls as load grows."""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from hetsim.report._chart import Figure, Line, Lines, Table, time_scale
from hetsim.report._labels import label_of, metric_of, number_text
from hetsim.report._ranked import Ranked
from hetsim.units import format_seconds

__all__ = ["slo_figures"]

_LINES = 6
_STEPS = (0.5, 0.75, 1.0, 1.5, 2.0)


def slo_figures(ranked: Ranked) -> list[Figure]:
    """Return one curve per latency, and attainment against load where load varies."""
    made = [_limit(ranked, key) for key in ("ttft_s", "tpot_s") if f"{key}.p99" in ranked.table]
    return [*made, *_loads(ranked)]


def _limit(ranked: Ranked, key: str) -> Figure:
    """Return the best response among the designs whose p99 is within a limit."""
    word, column = key.removesuffix("_s").upper(), f"{key}.p99"
    name = metric_of(ranked.metric).name
    title = f"What a tighter {word} limit costs"
    groups = _groups(ranked)
    table = ranked.table.dropna(subset=[column])
    limits = _stated(ranked, key)
    if table.empty:
        return Figure(f"slo_{key[:4]}", title, "Nothing is known.", None, Table((word,), []))
    lines, cells = [], []
    for label, part in groups[:_LINES]:
        part = part.dropna(subset=[column]).sort_values(column, kind="stable")
        best = np.maximum.accumulate(part[ranked.metric].to_numpy(float) * ranked.sense)
        # A stair changes where the best does: what lies between adds nothing.
        keep = np.flatnonzero(np.diff(best, prepend=-np.inf) > 0.0)
        x = part[column].to_numpy(float)
        lines.append((label, x[keep], best[keep] * ranked.sense))
        cells += _cells(ranked, label, part, column, limits)
    end = _edge(table[column], limits)
    factor, unit = time_scale(end)
    marked = len(limits) == 1 and limits[0] <= end
    limit = (limits[0] * factor, f"SLO {format_seconds(limits[0])}") if marked else None
    chart = Lines(
        f"limit on {word} p99 ({unit})", label_of(ranked.metric),
        [Line(label, *_stretched(x * factor, y, end * factor)) for label, x, y in lines],
        limit=limit, stairs=True, x_end=end * factor,
    )  # fmt: skip
    says = (
        f"The best {name} among the designs whose {word} p99 is within the limit, one line per "
        "condition. Goodput itself was counted under the stated SLO."
    )
    if len(limits) == 1 and not marked:
        says += f" The stated SLO, {format_seconds(limits[0])}, lies beyond the right edge."
    if len(groups) > _LINES:
        says += f" Drawn: the first {_LINES} of {len(groups)} conditions."
    heads = (ranked.where_head, f"{word} p99 within", "best design", label_of(ranked.metric))
    return Figure(f"slo_{key[:4]}", title, says, chart, Table(heads, cells, left=3))


def _edge(values: Any, limits: list[float]) -> float:
    """Return where the axis ends: near the stated limit, where any design comes near it."""
    end = 1.1 * float(values.quantile(0.95))
    if len(limits) != 1:
        return end
    if (values <= 3.0 * limits[0]).any():
        end = min(end, 3.0 * limits[0])
    return max(end, 1.2 * limits[0]) if limits[0] < 4.0 * end else end


def _groups(ranked: Ranked) -> list[tuple[str, Any]]:
    if not ranked.keys:
        return [("all designs", ranked.table)]
    parts = ranked.table.groupby(ranked.keys, observed=True, sort=False)
    return [(ranked.where(dict(part.iloc[0])), part) for _, part in parts]


def _stated(ranked: Ranked, key: str) -> list[float]:
    """Return the limits that the scenarios state."""
    column = f"slo.{key}"
    if column not in ranked.result.points:
        return []
    return sorted(float(v) for v in ranked.result.points[column].dropna().unique())


def _stretched(x: Any, y: Any, end: float) -> tuple[Any, Any]:
    """Return the stairs up to the right edge."""
    if not len(x) or x[-1] >= end:
        return x, y
    return np.append(x, end), np.append(y, y[-1])


def _cells(
    ranked: Ranked, label: str, part: Any, column: str, limits: list[float]
) -> list[tuple[str, ...]]:
    """Return the best design within limits around the stated one, or around what is reached."""
    asked = [limit * step for limit in limits[:1] for step in _STEPS] or [
        float(part[column].quantile(q)) for q in (0.0, 0.25, 0.5, 1.0)
    ]
    rows: list[tuple[str, ...]] = []
    for limit in asked:
        met = part[part[column] <= limit]
        if met.empty:
            rows.append((label, format_seconds(limit), "no design", "-"))
            continue
        top = dict(met.sort_values("rank", kind="stable").iloc[0])
        number = number_text(top[ranked.metric])
        rows.append((label, format_seconds(limit), ranked.short(top), number))
    return rows


def _loads(ranked: Ranked) -> list[Figure]:
    """Return attainment against a condition whose levels are numbers."""
    if "slo_attainment" not in ranked.table:
        return []
    return [figure for name in ranked.conditions if (figure := _load(ranked, name)) is not None]


def _load(ranked: Ranked, name: str) -> Figure | None:
    column, table = f"axis.{name}", ranked.table
    levels = {level: _leading(str(level)) for level in dict.fromkeys(table[column])}
    if len(levels) < 2 or any(value is None for value in levels.values()):
        return None
    table = table.assign(_x=table[column].map(levels).astype(float))
    keys = [f"axis.{other}" for other in ranked.axes if other != name]
    parts = list(table.groupby(keys, observed=True)) if keys else [("", table)]
    parts.sort(key=lambda pair: -float(pair[1]["share"].mean()))
    lines, rows = [], []
    for _, part in parts[:_LINES]:
        part = part.sort_values("_x", kind="stable")
        label = ", ".join(str(part[key].iloc[0]) for key in keys) or "base"
        lines.append(Line(label, part["_x"].to_numpy(), part["slo_attainment"].to_numpy(float)))
        cells = dict(zip(part["_x"], part["slo_attainment"], strict=True))
        rows.append(
            (
                label,
                *(_percent(cells.get(x)) for x in sorted(levels.values(), key=lambda x: x or 0.0)),
            )
        )
    heads = ("design", *sorted((str(level) for level in levels), key=lambda t: _leading(t) or 0.0))
    says = f"The share of requests that meet the SLO, for the {len(lines)} best designs."
    chart = Lines(name, "SLO attainment", lines, share=True)
    return Figure(f"attainment_{name}", f"SLO attainment against {name}", says, chart,
                  Table(heads, rows))  # fmt: skip


def _percent(value: float | None) -> str:
    return "-" if value is None or value != value else f"{value:.1%}"


def _leading(text: str) -> float | None:
    """Return the number that a level begins with.

    >>> _leading("4.5 req/s"), _leading("bursty")
    (4.5, None)
    """
    found = re.match(r"\s*([0-9]+(?:\.[0-9]+)?(?:e[+-]?[0-9]+)?)", text)
    return float(found.group(1)) if found else None
