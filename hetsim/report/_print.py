"""Charts for paper: matplotlib, one SVG and one PNG per figure."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from hetsim.report._chart import Bars, Chart, Figure, Lines, Points, Spans
from hetsim.report._plotly import COLORS, LIMIT

__all__ = ["draw_figures"]

_STYLES = ("-", "--", ":", "-.")
_MARKERS = "oDsP^"


def draw_figures(figures: Iterable[Figure], folder: Path) -> list[Path]:
    """Write every figure that has a chart to ``folder``; return the paths."""
    import matplotlib as mpl
    from matplotlib.figure import Figure as Sheet

    folder.mkdir(parents=True, exist_ok=True)
    written = []
    # Dollar signs are dollars here, and equal results give equal files.
    with mpl.rc_context({"svg.hashsalt": "hetsim", "text.parse_math": False}):
        for figure in figures:
            if figure.chart is None:
                continue
            sheet = Sheet(figsize=(7.0, _height(figure.chart)), layout="constrained")
            axes = sheet.add_subplot()
            _draw(axes, figure.chart)
            axes.set_title(figure.title, loc="left", fontsize=11)
            for suffix, metadata in (("svg", {"Date": None}), ("png", {"Software": None})):
                path = folder / f"{figure.key}.{suffix}"
                sheet.savefig(path, dpi=150, metadata=metadata)
                written.append(path)
    return written


def _height(chart: Chart) -> float:
    if isinstance(chart, Bars | Spans):
        return 1.6 + 0.3 * len(chart.rows)
    return 4.0


def _draw(axes: Any, chart: Chart) -> None:
    draw: Any = {Lines: _lines, Bars: _bars, Spans: _spans, Points: _points}[type(chart)]
    draw(axes, chart)
    axes.set_xlabel(chart.x_label)
    axes.grid(alpha=0.3)
    axes.set_axisbelow(True)
    handles, _ = axes.get_legend_handles_labels()
    if len(handles) > 1:
        axes.legend(fontsize=8, frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5))


def _limit(axes: Any, limit: tuple[float, str] | None) -> None:
    if limit is not None:
        axes.axvline(limit[0], color=LIMIT, linestyle="--", label=limit[1])


def _percent(axis: Any) -> None:
    from matplotlib.ticker import PercentFormatter

    axis.set_major_formatter(PercentFormatter(1.0))


def _lines(axes: Any, chart: Lines) -> None:
    style = "steps-post" if chart.stairs else "default"
    for i, line in enumerate(chart.lines):
        axes.plot(
            line.x, line.y, label=line.name, color=COLORS[i % len(COLORS)], drawstyle=style,
            linestyle=_STYLES[i % len(_STYLES)],
        )  # fmt: skip
    _limit(axes, chart.limit)
    axes.set_ylabel(chart.y_label)
    axes.set_ylim(0.0, 1.03 if chart.share else None)
    if chart.share:
        _percent(axes.yaxis)
    if chart.x_end is not None:
        axes.set_xlim(0.0, chart.x_end)


def _bars(axes: Any, chart: Bars) -> None:
    left = [0.0] * len(chart.rows)
    places = range(len(chart.rows))
    for i, (part, values) in enumerate(chart.parts.items()):
        axes.barh(places, values, left=left, label=part, color=COLORS[i % len(COLORS)])
        left = [a + b for a, b in zip(left, values, strict=True)]
    _limit(axes, chart.limit)
    axes.set_yticks(places, chart.rows)
    axes.invert_yaxis()
    if chart.share:
        _percent(axes.xaxis)


def _spans(axes: Any, chart: Spans) -> None:
    place = {row: i for i, row in enumerate(chart.rows)}
    for i, group in enumerate(dict.fromkeys(span.group for span in chart.spans)):
        mine = [span for span in chart.spans if span.group == group]
        axes.barh(
            [place[span.row] for span in mine], [span.end - span.start for span in mine],
            left=[span.start for span in mine], label=group, color=COLORS[i % len(COLORS)],
        )  # fmt: skip
    axes.set_yticks(range(len(chart.rows)), chart.rows, fontsize=8)
    axes.margins(y=0.01)
    axes.invert_yaxis()


def _points(axes: Any, chart: Points) -> None:
    for i, group in enumerate(chart.groups):
        axes.plot(
            group.x, group.y, _MARKERS[i % len(_MARKERS)], label=group.name, alpha=0.7,
            linestyle="-" if group.joined else "none", color=COLORS[i % len(COLORS)], markersize=4,
        )  # fmt: skip
    axes.set_ylabel(chart.y_label)
    if chart.log:
        axes.set(xscale="log", yscale="log")
