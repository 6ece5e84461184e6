"""The answer and the figures of a sweep: who won, by how much, the front, what became of points."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hetsim.report._answer import GRADES, OUTSIDE, Answer
from hetsim.report._chart import Bars, Figure, Group, Points, Table
from hetsim.sweep import sense_of

if TYPE_CHECKING:
    import pandas as pd

    from hetsim.sweep import SweepResult

__all__ = ["ranked", "ranking_figure", "sweep_answer", "sweep_figures"]

_MOST_ROWS = 50
_MOST_POINTS = 2000
_BARS = 12
_COLUMNS = ("slo_attainment", "goodput_req_s", "cost_usd_per_mtok", "ttft_s.p99", "tpot_s.p99")


def ranked(result: SweepResult) -> pd.DataFrame:
    """Return the simulated points, the best of every condition first, with their ``rank``."""
    metric, sense = result.manifest["response"]["metric"], result.manifest["response"]["sense"]
    table = result.means()
    if metric not in table or table.empty:
        return table.iloc[:0].assign(rank=[])
    table = table.dropna(subset=[metric]).assign(
        _score=lambda t: t[metric] * sense_of(metric, sense)
    )
    order = table.sort_values(["_score", "point"], ascending=[False, True], kind="stable")
    keys = [f"axis.{name}" for name in result.conditions]
    groups = order.groupby(keys, observed=True) if keys else None
    rank = groups.cumcount() + 1 if groups is not None else range(1, len(order) + 1)
    order = order.assign(rank=rank).drop(columns="_score")
    return order.sort_values([*keys, "rank"], kind="stable").reset_index(drop=True)


def _name(result: SweepResult, row: Any, *, whole: bool = False) -> str:
    """Return the decisions of a point in words; ``whole`` adds its conditions."""
    names = [name for name in result.axes if whole or name not in result.conditions]
    return ", ".join(f"{name} {row[f'axis.{name}']}" for name in names) or "the base design"


def _figure(value: float) -> str:
    return f"{value:,.0f}" if 1e4 <= abs(value) < 1e12 else f"{value:.4g}"


def sweep_answer(result: SweepResult) -> Answer:
    """Return what a reader who stops after the first screen should take away."""
    table, metric = ranked(result), result.manifest["response"]["metric"]
    counts = ", ".join(f"{count} {word}" for word, count in result.counts.items()) or "no points"
    if table.empty:
        reasons = "; ".join(f"{n} rows: {why}" for why, n in result.summary()["reasons"].items())
        points = [("What happened?", f"{counts}. {reasons}".strip())]
        return Answer("No design can be recommended.", False, points, ["No point was simulated."])
    best = table[table["rank"] == 1]
    points = [
        (
            _where(result, row),
            f"{_name(result, row)}: {metric} {_figure(row[metric])}{_lead(table, row, result)}",
        )
        for row in best.to_dict("records")
    ]
    if binds := _binds(result, best):
        points.append(("What binds?", binds))
    points.append(("What was tried?", f"{counts}; seeds: {len(result.manifest['seeds'])}."))
    points.append(("How sure is this?", _sure(result)))
    verdict = f"Recommended by {metric}: {_name(result, best.iloc[0])}."
    if len(best) > 1:
        verdict = f"The best design differs by condition ({len(best)} conditions), by {metric}."
    good: bool | None = True
    rows = result.points[result.points["point"].isin(best["point"])]
    if "slo_met" in rows and (rows["slo_met"].astype(object) == False).any():  # noqa: E712
        good, verdict = None, f"{verdict} Its SLO does not hold in every run of it."
    return Answer(verdict, good, points, list(_unknown(result, table)))


def _where(result: SweepResult, row: Any) -> str:
    return ", ".join(f"{name} {row[f'axis.{name}']}" for name in result.conditions) or "Best"


def _lead(table: pd.DataFrame, row: Any, result: SweepResult) -> str:
    metric, sense = result.manifest["response"]["metric"], result.manifest["response"]["sense"]
    peers = table
    for name in result.conditions:
        peers = peers[peers[f"axis.{name}"] == row[f"axis.{name}"]]
    second = peers[peers["rank"] == 2]
    if second.empty:
        return ". No other design was simulated here."
    other = second.iloc[0]
    gap = (row[metric] - other[metric]) * sense_of(metric, sense)
    return (
        f". Runner-up: {_name(result, other)}, worse by {gap / max(abs(row[metric]), 1e-30):.1%}."
    )


def _binds(result: SweepResult, best: pd.DataFrame) -> str:
    """Return what holds each winner up, one line for all that share it."""
    if "bottleneck" not in result.points:
        return ""
    rows = result.points[result.points["point"].isin(best["point"])]
    words = dict.fromkeys(str(word) for word in rows["bottleneck"].dropna())
    return "; ".join(words)


def _sure(result: SweepResult) -> str:
    words = result.points["calibration_grade"].dropna().astype(str)
    known = [grade for grade in GRADES if (words == grade).any()]
    if not known:
        return "No calibration grade is recorded."
    return f"Worst calibration grade among the points: {known[-1]}, {GRADES[known[-1]]}."


def _unknown(result: SweepResult, table: pd.DataFrame) -> list[str]:
    lines = []
    if len(result.manifest["seeds"]) < 3:
        lines.append("Few seeds: small leads may be chance.")
    lowest = (
        table.loc[table["rank"] == 1, "slo_attainment"].min() if "slo_attainment" in table else 1
    )
    if lowest < 1.0:
        lines.append(
            f"Not every request of the winners meets the SLO: {lowest:.1%} in the worst case."
        )
    if result.counts.get("screened"):
        lines.append(
            f"{result.counts['screened']} points were ruled out by a bound and not simulated: they "
            "cannot win, but may belong to a Pareto front."
        )
    lines.append(OUTSIDE)
    return lines


def ranking_figure(result: SweepResult) -> Figure:
    """Return the ranked designs: bars of the first dozen, a table of the first fifty."""
    table, metric = ranked(result), result.manifest["response"]["metric"]
    shown = [metric, *(name for name in _COLUMNS if name in table and name != metric)]
    columns = ("rank", "design", *shown)
    rows = [
        (
            f"{row['rank']}",
            _name(result, row, whole=True),
            *(_figure(row[m]) for m in shown),
        )
        for row in table.sort_values("rank", kind="stable").head(_MOST_ROWS).to_dict("records")
    ]
    if table.empty:
        says = "No point was simulated, so there is nothing to rank."
        return Figure("ranking", "Ranked designs", says, None, Table(columns, []))
    first = table.sort_values("rank", kind="stable").head(_BARS).to_dict("records")
    chart = Bars(
        metric,
        [
            f"{row['rank']}. {', '.join(str(row[f'axis.{n}']) for n in result.axes)}"
            for row in first
        ],
        {metric: [float(row[metric]) for row in first]},
    )
    says = f"The first {len(first)} of {len(table)} simulated designs"
    says += (
        f"; the table holds {len(rows)}." if len(rows) < len(table) else "; the table holds all."
    )
    table_of = Table(columns, rows, left=2)
    return Figure("ranking", "Ranked designs", says, chart, table_of)


def _front_figure(result: SweepResult) -> Figure:
    x, y = "cost_usd_per_mtok", "goodput_req_s"
    title, columns = "Pareto front: goodput against cost", ("design", y, x)
    table = result.means()
    if table.empty or x not in table or y not in table or table[[x, y]].dropna().empty:
        says = "Goodput and cost are not both known for any point."
        return Figure("pareto", title, says, None, Table(columns, []))
    table = table.dropna(subset=[x, y])
    front = result.pareto([y, x]).dropna(subset=[x, y]).sort_values(x, kind="stable")
    rest = table[~table["point"].isin(front["point"])]
    kept = rest.iloc[:: max(1, -(-len(rest) // _MOST_POINTS))]
    groups = [_group(result, "on the front", front, x, y), _group(result, "beaten", kept, x, y)]
    rows = [
        (_name(result, row, whole=True), _figure(row[y]), _figure(row[x]))
        for row in front.head(_MOST_ROWS).to_dict("records")
    ]
    says = f"No design beats those on the front in both ({len(front)} of {len(table)})."
    if result.conditions:
        says += f" Designs compete within a condition: {', '.join(result.conditions)}."
    if len(kept) < len(rest):
        says += f" Drawn: {len(kept)} of {len(rest)} beaten points."
    chart = Points("cost (USD/Mtok)", "goodput (req/s)", groups)
    return Figure("pareto", title, says, chart, Table(columns, rows))


def _group(result: SweepResult, name: str, table: pd.DataFrame, x: str, y: str) -> Group:
    texts = [_name(result, row, whole=True) for row in table.to_dict("records")]
    return Group(name, table[x].to_numpy(float), table[y].to_numpy(float), texts)


def sweep_figures(result: SweepResult) -> list[Figure]:
    """Return the figures of a sweep, after the ranking."""
    return [_front_figure(result)]
