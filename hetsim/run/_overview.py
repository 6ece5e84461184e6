"""The overview figure of a run: latencies, stages over time, backlog, where the time goes.

Two functions for every panel: one makes a plain table, one draws it. Tests look at the tables.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from hetsim.metrics import PATH
from hetsim.run._result import Result

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = [
    "LINES",
    "Cdf",
    "OverTime",
    "PathBar",
    "backlog_table",
    "cdf_table",
    "draw_cdf",
    "draw_figure",
    "draw_lines",
    "draw_overview",
    "draw_path",
    "overview_tables",
    "path_table",
    "stages_table",
]

Array = npt.NDArray[np.float64]

PARTS = tuple(name.removesuffix("_s") for name in PATH)
_POINTS = 512
_BINS = 160
_COLORS = (
    "#4c72b0", "#dd8452", "#55a868", "#c44e52", "#8172b3", "#937860", "#da8bc3", "#8c8c8c",
    "#64b5cd",
)  # fmt: skip


class Cdf(NamedTuple):
    """One latency: values in s, the part of the requests at or below each, the objective."""

    name: str
    value_s: Array
    share: Array
    slo_s: float | None


class OverTime(NamedTuple):
    """Lines over time: middles of equal bins in s, and one mean per bin and name."""

    time_s: Array
    lines: dict[str, Array]


class PathBar(NamedTuple):
    """One bar: for which requests, and the mean seconds of each part in order."""

    name: str
    parts: dict[str, float]


def cdf_table(result: Result) -> list[Cdf]:
    """Return the distributions of TTFT, TPOT and E2E latency, thinned to 512 points each."""
    objectives, rows = result.summary["slo"], result.requests
    made = []
    for name, column in (("TTFT", "ttft_s"), ("TPOT", "tpot_s"), ("E2E latency", "e2e_s")):
        values = np.sort(rows.loc[rows["measured"], column].dropna().to_numpy(float))
        share = np.arange(1, len(values) + 1) / max(1, len(values))
        places = np.linspace(0, max(0, len(values) - 1), _POINTS).astype(int)
        keep = sorted(set(places.tolist()))[: len(values)]
        made.append(Cdf(name, values[keep], share[keep], objectives[column]))
    return made


def _covered(start: Array, end: Array, edges: Array, weight: Array) -> Array:
    """Return the integral of ``weight`` over ``[start, end)`` that falls into each bin."""
    # Each interval adds a ramp; sampling the sum of ramps at the edges gives the integral.
    order = np.argsort(start, kind="stable")
    total = np.zeros(len(edges))
    for sign, at in ((1.0, start[order]), (-1.0, end[order])):
        ranked = np.argsort(at, kind="stable")
        at, mass = at[ranked], weight[order][ranked]
        count = np.searchsorted(at, edges, "right")
        sums = np.concatenate([[0.0], np.cumsum(mass)])
        moments = np.concatenate([[0.0], np.cumsum(mass * at)])
        total += sign * (sums[count] * edges - moments[count])
    return np.diff(total)


def _edges(result: Result) -> Array:
    end_s = max(float(result.summary["simulated_s"]), 1e-9)
    return np.linspace(0.0, end_s, _BINS + 1)


def stages_table(result: Result) -> tuple[OverTime, OverTime]:
    """Return busy share and KV occupancy of every pool over time, from 0 to 1.

    Utilisation is over all instances; occupancy that of the instances while they run a step.
    """
    steps, edges = result.steps, _edges(result)
    width = edges[1] - edges[0]
    busy, held = {}, {}
    for name in result.summary["stages"]:
        mine = steps[steps["pool"] == name]
        start = mine["start_s"].to_numpy(float)
        end = start + mine["duration_s"].to_numpy(float)
        used = mine["blocks_used"].to_numpy(float) / np.maximum(mine["blocks_total"].to_numpy(), 1)
        seconds = _covered(start, end, edges, np.ones(len(start)))
        busy[name] = seconds / (width * result.summary["stages"][name]["instances"])
        blocks = _covered(start, end, edges, used)
        with np.errstate(invalid="ignore", divide="ignore"):
            held[name] = np.where(seconds > 1e-9 * width, blocks / seconds, 0.0)
    middle = 0.5 * (edges[1:] + edges[:-1])
    return OverTime(middle, busy), OverTime(middle, held)


def backlog_table(result: Result) -> OverTime:
    """Return how many requests wait for prefill, are in it, are handed over, and decode."""
    rows, edges = result.requests, _edges(result)
    rows = rows[rows["status"].isin(["finished", "unfinished"])]
    never = edges[-1]
    times = ("arrival_s", "prefill_start_s", "prefill_end_s", "decode_start_s", "last_token_s")
    # A time that never came is the next one that did, or the end of the run.
    marks = [rows[name].to_numpy(float) for name in times]
    marks[-1] = np.where(np.isnan(marks[-1]), never, marks[-1])
    for index in range(len(marks) - 2, -1, -1):
        marks[index] = np.where(np.isnan(marks[index]), marks[index + 1], marks[index])
    names = ("waiting for prefill", "in prefill", "hand-off", "decoding")
    width = edges[1] - edges[0]
    ones = np.ones(len(rows))
    lines = {
        name: _covered(np.minimum(begin, never), np.minimum(end, never), edges, ones) / width
        for name, begin, end in zip(names, marks[:-1], marks[1:], strict=True)
    }
    return OverTime(0.5 * (edges[1:] + edges[:-1]), lines)


def path_table(result: Result) -> list[PathBar]:
    """Return the mean critical path of all finished requests and of the slowest tenth."""
    rows = result.requests
    rows = rows[(rows["status"] == "finished") & rows["measured"]]
    bars = []
    for name, part in (
        ("all requests", rows),
        ("slowest 10 %", rows[rows["e2e_s"] >= rows["e2e_s"].quantile(0.9)]),
    ):
        if len(part):
            parts = {key: float(part[f"{key}_s"].fillna(0.0).mean()) for key in PARTS}
            bars.append(PathBar(name, parts))
    return bars


def overview_tables(result: Result) -> dict[str, Any]:
    """Return everything that the figure shows, as plain tables."""
    busy, held = stages_table(result)
    return {
        "cdf": cdf_table(result),
        "utilisation": busy,
        "kv_occupancy": held,
        "backlog": backlog_table(result),
        "path": path_table(result),
    }


def draw_overview(result: Result, folder: str | Path | None = None) -> Figure:
    """Draw the overview; write ``overview.svg`` and ``overview.png`` to the run directory.

    ``folder`` is another place to write to; a result without a run directory is only drawn.
    """
    import matplotlib as mpl

    figure = draw_figure(result)
    place = Path(folder) if folder is not None else result.folder
    if place is not None:
        with mpl.rc_context({"svg.hashsalt": "hetsim"}):
            figure.savefig(place / "overview.svg", metadata={"Date": None})
            figure.savefig(place / "overview.png", dpi=120, metadata={"Software": None})
    return figure


def draw_figure(result: Result) -> Figure:
    """Return the overview as a figure; nothing is written."""
    from matplotlib.figure import Figure

    tables, summary = overview_tables(result), result.summary
    figure = Figure(figsize=(12.0, 9.5), layout="constrained")
    grid = figure.add_gridspec(3, 3, height_ratios=(1.0, 1.0, 0.75))
    for column, table in enumerate(tables["cdf"]):
        draw_cdf(figure.add_subplot(grid[0, column]), table)
    for column, (name, label) in enumerate(LINES.items()):
        axes = figure.add_subplot(grid[1, column])
        draw_lines(axes, tables[name], label, share=name != "backlog")
    draw_path(figure.add_subplot(grid[2, :]), tables["path"])
    figure.suptitle(f"{summary['name']}: {summary['bottleneck']}", fontsize=13)
    return figure


LINES = {
    "utilisation": "busy share of the pool",
    "kv_occupancy": "share of KV blocks in use",
    "backlog": "number of requests",
}


def _scale(largest_s: float) -> tuple[float, str]:
    for factor, unit in ((1.0, "s"), (1e3, "ms")):
        if largest_s * factor >= 1.0:
            return factor, unit
    return 1e6, "us"


def draw_cdf(axes: Any, table: Cdf) -> None:
    """Draw the distribution of one latency, with its objective."""
    if not len(table.value_s):
        axes.text(0.5, 0.5, "no values", ha="center", va="center", transform=axes.transAxes)
        axes.set(xticks=[], yticks=[], title=table.name)
        return
    high = float(table.value_s[np.searchsorted(table.share, 0.995).clip(0, len(table.share) - 1)])
    shown = table.slo_s is not None and table.slo_s <= 2.5 * high
    limit = max(1.15 * high, 1.08 * table.slo_s if shown and table.slo_s else 0.0)
    factor, unit = _scale(limit)
    axes.plot(table.value_s * factor, table.share, drawstyle="steps-post", color=_COLORS[0])
    title = table.name
    if table.slo_s is not None:
        title += f" (SLO {table.slo_s * factor:.4g} {unit}{'' if shown else ', off the scale'})"
        if shown:
            axes.axvline(table.slo_s * factor, color=_COLORS[3], linestyle="--")
    axes.set(
        xlim=(0.0, limit * factor), ylim=(0.0, 1.02), title=title,
        xlabel=f"{table.name} ({unit})", ylabel="share of requests",
    )  # fmt: skip
    axes.grid(alpha=0.3)


def draw_lines(axes: Any, table: OverTime, label: str, *, share: bool) -> None:
    """Draw lines over time; ``share`` marks an axis from 0 to 100 %."""
    for index, (name, values) in enumerate(table.lines.items()):
        axes.plot(table.time_s, values, label=name, color=_COLORS[index], linewidth=1.2)
    axes.set(xlabel="time (s)", ylabel=label, xlim=(0.0, float(table.time_s[-1])))
    axes.set_ylim(0.0, 1.02 if share else None)
    if share:
        from matplotlib.ticker import PercentFormatter

        axes.yaxis.set_major_formatter(PercentFormatter(1.0))
    axes.legend(loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=2, frameon=False, fontsize=9)
    axes.grid(alpha=0.3)


def draw_path(axes: Any, bars: list[PathBar]) -> None:
    """Draw the parts of the critical path, one bar a group of requests."""
    largest = max((sum(bar.parts.values()) for bar in bars), default=1.0)
    factor, unit = _scale(largest)
    seen = [name for name in PARTS if any(bar.parts[name] > 1e-3 * largest for bar in bars)]
    for row, bar in enumerate(bars):
        left = 0.0
        for name in seen:
            index, value = PARTS.index(name), bar.parts[name]
            axes.barh(
                row, value * factor, left=left, color=_COLORS[index],
                label=name if row == 0 else None, height=0.6,
            )  # fmt: skip
            if value > 0.05 * largest:
                middle = left + 0.5 * value * factor
                text = f"{value * factor:.3g}"
                axes.text(middle, row, text, ha="center", va="center", color="white", fontsize=9)
            left += value * factor
    axes.set_yticks(range(len(bars)), [bar.name for bar in bars])
    axes.invert_yaxis()
    axes.set_xlabel(f"mean time from arrival to last token ({unit})")
    if seen:
        axes.legend(
            loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=len(seen), frameon=False, fontsize=9
        )
    axes.grid(alpha=0.3, axis="x")
