"""The first figures of a sweep: the ranking, the Pareto front, parallel coordinates, density."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np

from hetsim.report._chart import (
    Bars,
    Figure,
    Grid,
    Group,
    Parallel,
    ParallelAxis,
    Points,
    Table,
)
from hetsim.report._labels import EXPLORED, label_of, metric_of, number_text, present
from hetsim.report._ranked import Ranked

__all__ = ["FRONT", "density_figure", "front_figure", "parallel_figure", "ranking_figure"]

FRONT = ("cost_usd_per_mtok", "goodput_req_s")
"""What the front trades: less of the first, more of the second."""
_ROWS = 50
_BARS = 12
_DESIGNS = 10
_DRAWN = 2000
_LINES = 400
_BINS = 40


def ranking_figure(ranked: Ranked) -> Figure:
    """Return the ranked designs: the first figure."""
    shown = present((ranked.metric, *EXPLORED), ranked.table)
    columns = (
        "rank",
        ", ".join(ranked.decisions) or "design",
        *([ranked.where_head] if ranked.conditions else []),
    )
    title, left = "Ranked designs", len(columns)
    heads = (*columns, *(label_of(key) for key in shown))
    if ranked.table.empty:
        says = "No point was simulated, so there is nothing to rank."
        return Figure("ranking", title, says, None, Table(heads, [], left=left))
    top = ranked.table.sort_values("rank", kind="stable").head(_ROWS).to_dict("records")
    rows = [
        (
            f"{row['rank']}", ranked.short(row),
            *([ranked.where(row)] if ranked.conditions else []),
            *(_cell(key, row[key]) for key in shown),
        )
        for row in top
    ]  # fmt: skip
    total = len(ranked.table)
    says = "the table holds all." if len(rows) == total else f"the table holds {len(rows)}."
    says = f"{total:,} simulated design{'s' if total != 1 else ''}; {says}"
    chart = _matrix(ranked) if len(ranked.best) > 1 else _bars(ranked, top)
    if isinstance(chart, Grid):
        says = (
            "How near a design comes to the best of each condition (100%); an empty cell was not "
            f"simulated. {says}"
        )
    return Figure("ranking", title, says, chart, Table(heads, rows, left=left))


def _cell(key: str, value: Any) -> str:
    return f"{value:.1%}" if key == "slo_attainment" and value == value else number_text(value)


def _bars(ranked: Ranked, rows: list[Any]) -> Bars:
    first = rows[:_BARS]
    names = [f"{row['rank']}. {ranked.short(row)}" for row in first]
    label = label_of(ranked.metric)
    return Bars(label, names, {label: [float(row[ranked.metric]) for row in first]})


def _matrix(ranked: Ranked) -> Grid:
    """Return designs against conditions: those that come nearest to the best, worst case first."""
    table = ranked.table
    table = table.assign(
        _design=_joined(table, ranked.decisions), _condition=_joined(table, ranked.conditions)
    )
    cells = table.pivot_table(
        index="_design", columns="_condition", values="share", aggfunc="first", sort=False
    )
    seen = cells.notna().sum(axis=1)
    order = cells.assign(_seen=seen, _worst=cells.min(axis=1), _best=cells.max(axis=1))
    by = ["_best", "_seen", "_worst"] if (seen == 1).all() else ["_seen", "_worst", "_best"]
    order = order.sort_values(by, ascending=False, kind="stable")
    winners = table.loc[table["rank"] == 1, "_design"].drop_duplicates()
    names = [*winners, *(name for name in order.index if name not in set(winners))]
    cells = cells.loc[names[: max(_DESIGNS, min(len(winners), 2 * _DESIGNS))]]
    order_of = table.sort_values(ranked.keys)["_condition"].unique()
    cells = cells[list(order_of)[:12]]
    values = cells.to_numpy(float)
    text = [[f"{v:.0%}" if v == v else "" for v in row] for row in values]
    return Grid(
        ranked.where_head, "", [str(c) for c in cells.columns], [str(r) for r in cells.index],
        values, text, f"{metric_of(ranked.metric).name}, share of the best", share=True,
    )  # fmt: skip


def _joined(table: Any, names: list[str]) -> Any:
    text = table[f"axis.{names[0]}"].astype(str) if names else table["point"].map(lambda _: "base")
    for name in names[1:]:
        text = text + ", " + table[f"axis.{name}"].astype(str)
    return text


def front_figure(ranked: Ranked) -> Figure:
    """Return goodput against cost, and which designs no other beats in both."""
    x, y = FRONT
    title, columns = "Pareto front", ("design", label_of(y), label_of(x))
    table = ranked.means
    if table.empty or x not in table or y not in table or table[[x, y]].dropna().empty:
        says = "Goodput and cost are not both known for any point."
        return Figure("pareto", title, says, None, Table(columns, []))
    table = table.dropna(subset=[x, y])
    front: Any = ranked.result.pareto([y, x]).dropna(subset=[x, y]).sort_values(x, kind="stable")
    rest = table[~table["point"].isin(front["point"])]
    kept = rest.iloc[:: max(1, -(-len(rest) // _DRAWN))]
    groups = [_group(ranked, "beaten", kept), _group(ranked, "on the front", front)]
    rows = [
        (ranked.name(row), number_text(row[y]), number_text(row[x]))
        for row in front.head(_ROWS).to_dict("records")
    ]
    says = f"No design beats those on the front in both ({len(front):,} of {len(table):,})."
    if ranked.conditions:
        says += f" Designs compete within a condition: {', '.join(ranked.conditions)}."
    if len(kept) < len(rest):
        says += f" Drawn: {len(kept):,} of {len(rest):,} beaten points."
    chart = Points(label_of(x), label_of(y), [group for group in groups if len(group.x)])
    return Figure("pareto", title, says, chart, Table(columns, rows))


def _group(ranked: Ranked, name: str, table: Any) -> Group:
    x, y = FRONT
    texts = [ranked.name(row) for row in table.to_dict("records")]
    return Group(name, table[x].to_numpy(float), table[y].to_numpy(float), texts)


def parallel_figure(ranked: Ranked) -> Figure:
    """Return every design as a line across its levels and metrics."""
    title, table = "Parallel coordinates", ranked.table
    heads = ("axis", "from", "to")
    if table.empty:
        return Figure("parallel", title, "No point was simulated.", None, Table(heads, []))
    kept = table.sort_values("rank", kind="stable")
    kept = kept.iloc[:: max(1, -(-len(kept) // _LINES))]
    axes, columns, rows = [], [], []
    for name in ranked.axes:
        levels = ranked.levels(name)
        place = {level: i / max(1, len(levels) - 1) for i, level in enumerate(levels)}
        few = levels if len(levels) <= 8 else [levels[0], levels[-1]]
        axes.append(ParallelAxis(name, [(place[level], level) for level in few]))
        columns.append(kept[f"axis.{name}"].astype(str).map(place).to_numpy(float))
        rows.append((name, levels[0], levels[-1]))
    for key in present((ranked.metric, *EXPLORED[:5]), table):
        low, high = float(table[key].min()), float(table[key].max())
        texts = number_text(low), number_text(high)
        axes.append(ParallelAxis(label_of(key), [(0.0, texts[0]), (1.0, texts[1])]))
        columns.append(((kept[key] - low) / (high - low or 1.0)).to_numpy(float))
        rows.append((label_of(key), *texts))
    places = np.stack(columns, axis=1)
    top = kept["share"].to_numpy(float) >= 0.95
    groups = {"other designs": places[~top], "within 5% of the best": places[top]}
    says = "A line is a design. Levels stand in their stated order, metrics from least to most."
    if len(kept) < len(table):
        says += f" Drawn: every n-th, {len(kept):,} of {len(table):,}."
    chart = Parallel(axes, {name: lines for name, lines in groups.items() if len(lines)})
    return Figure("parallel", title, says, chart, Table(heads, rows))


def density_figure(ranked: Ranked, explored: int) -> list[Figure]:
    """Return how many designs lie where, if not all of them can be explored one by one."""
    x, y = FRONT
    table = ranked.means
    if explored >= len(table) or x not in table or y not in table:
        return []
    known = table[[x, y]].dropna()
    counts, y_edges, x_edges = np.histogram2d(known[y], known[x], bins=_BINS)
    rows = [
        (f"{low:.4g} to {high:.4g}", f"{int(n):,}")
        for low, high, n in zip(y_edges[:-1], y_edges[1:], counts.sum(axis=1), strict=True)
        if n
    ]
    chart = Grid(
        label_of(x), label_of(y),
        [f"{0.5 * (a + b):.4g}" for a, b in pairwise(x_edges)],
        [f"{0.5 * (a + b):.4g}" for a, b in pairwise(y_edges)][::-1],
        np.where(counts > 0, counts, np.nan)[::-1], [], "designs",
    )  # fmt: skip
    says = (
        f"All {len(known):,} simulated designs, counted in {_BINS} x {_BINS} cells; the views "
        f"above hold {explored:,} of them one by one."
    )
    columns = (label_of(y), "designs")
    return [Figure("density", "All designs, counted", says, chart, Table(columns, rows))]
