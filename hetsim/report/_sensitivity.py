"""Sensitivity: how much each decision matters, on average and from the recommended design."""

from __future__ import annotations

from typing import Any

from hetsim.report._chart import Bars, Figure, Table
from hetsim.report._labels import metric_of, number_text
from hetsim.report._ranked import Ranked

__all__ = ["sensitivity_figures"]

_LEVELS = 12
_CHANGES = 16


def sensitivity_figures(ranked: Ranked) -> list[Figure]:
    """Return the spread of the level means, and the effect of changing one decision alone."""
    if ranked.table.empty or not ranked.decisions:
        return []
    return [_spread(ranked), *_steps(ranked)]


def _levels(table: Any, name: str) -> Any:
    """Return the level of every point; many numbers become four ranges."""
    import pandas as pd

    column = table[f"axis.{name}"].astype(str)
    if column.nunique() <= _LEVELS:
        return column
    numbers = pd.to_numeric(column, errors="coerce")
    if numbers.notna().all():
        return pd.qcut(numbers, 4, duplicates="drop").astype(str)
    common = set(column.value_counts().index[: _LEVELS - 1])
    return column.where(column.isin(common), "others")


def _spread(ranked: Ranked) -> Figure:
    table, name = ranked.table, metric_of(ranked.metric).name
    rows, spreads = [], {}
    for axis in ranked.decisions:
        groups = table["share"].groupby(_levels(table, axis))
        means, counts = groups.mean(), groups.count()
        spreads[axis] = float(means.max() - means.min())
        order = means.sort_values(ascending=False, kind="stable")
        rows += [(axis, str(level), f"{mean:.1%}", f"{counts[level]:,}")
                 for level, mean in order.items()]  # fmt: skip
    first = sorted(spreads, key=lambda axis: (-spreads[axis], axis))
    rows.sort(key=lambda row: first.index(row[0]))
    says = (
        f"The mean {name} of each level, as a share of the best of its condition, taken over all "
        f"other decisions as they were simulated; a bar is the distance from the best to the worst "
        f"level. {first[0]} matters most on average; what the average hides is in the next figures."
    )
    chart = Bars("best level less worst level", first,
                 {"spread of the means": [spreads[a] for a in first]}, share=True)  # fmt: skip
    heads = ("decision", "level", "mean share of the best", "designs")
    return Figure("sensitivity", "How much each decision matters", says, chart,
                  Table(heads, rows, left=2))  # fmt: skip


def _steps(ranked: Ranked) -> list[Figure]:
    """Return what happens if one decision of a recommended design is changed."""
    found = []
    for row in ranked.best.to_dict("records"):
        found += _changes(ranked, row)
    title = "From the recommended design, one decision changed"
    heads = ("change", ranked.where_head, metric_of(ranked.metric).name, "of the recommended")
    if not found:
        says = "No simulated design differs from a recommended one in a single decision."
        return [Figure("changes", title, says, None, Table(heads, []))]
    found.sort(key=lambda one: -one[3])
    shown = found[:_CHANGES]
    chart = Bars(
        "share of the recommended design",
        [f"{change}{f' ({where})' if ranked.keys else ''}" for change, where, _, _ in shown],
        {"share": [share for *_, share in shown]},
        limit=(1.0, "recommended"),
        share=True,
    )
    rows = [(change, where, number_text(value), f"{share:.1%}")
            for change, where, value, share in found[:50]]  # fmt: skip
    says = (
        "Each bar is a simulated design that differs from the recommended one of its condition in "
        f"one decision: {len(found):,} such neighbours, the nearest first. A short list means that "
        "the design of the sweep left many out."
    )
    return [Figure("changes", title, says, chart, Table(heads, rows, left=2))]


def _changes(ranked: Ranked, row: Any) -> list[tuple[str, str, float, float]]:
    peers = ranked.table
    for key in ranked.keys:
        peers = peers[peers[key] == row[key]]
    keys = [f"axis.{name}" for name in ranked.decisions]
    differ = sum((peers[key].astype(str) != str(row[key])).astype(int) for key in keys)
    made = []
    for other in peers[differ == 1].to_dict("records"):
        name = next(n for n in ranked.decisions if str(other[f"axis.{n}"]) != str(row[f"axis.{n}"]))
        change = f"{name}: {row[f'axis.{name}']} to {other[f'axis.{name}']}"
        value = float(other[ranked.metric])
        made.append((change, ranked.where(row), value, float(other["share"])))
    return made
