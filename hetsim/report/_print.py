"""Charts for paper: matplotlib, one SVG, one PNG and one PDF per figure."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from hetsim.report._chart import Bars, Chart, Figure, Graph, Grid, Lines, Parallel, Points, Spans
from hetsim.report._plotly import COLORS, LIMIT, TIES
from hetsim.report._ring import ring

__all__ = ["draw_figures"]

_STYLES = ("-", "--", ":", "-.")
_MARKERS = "oDsP^"
_VEIL = {"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 0.8}
_FILES: tuple[tuple[str, dict[str, None]], ...] = (
    ("svg", {"Date": None}),
    ("png", {"Software": None}),
    ("pdf", {"CreationDate": None}),
)
"""What is written, without what would differ between equal results."""


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
            sheet = Sheet(
                figsize=(_width(figure.chart), _height(figure.chart)), layout="constrained"
            )
            axes = sheet.add_subplot()
            _draw(axes, figure.chart)
            axes.set_title(figure.title, loc="left", fontsize=11)
            for suffix, metadata in _FILES:
                path = folder / f"{figure.key}.{suffix}"
                sheet.savefig(path, dpi=150, metadata=metadata)
                written.append(path)
    return written


def _width(chart: Chart) -> float:
    return max(7.0, 1.0 + 0.95 * len(chart.axes)) if isinstance(chart, Parallel) else 7.0


def _height(chart: Chart) -> float:
    if isinstance(chart, Bars | Spans | Grid):
        return 1.6 + 0.3 * len(chart.rows)
    return 4.0


def _draw(axes: Any, chart: Chart) -> None:
    draw: Any = {
        Lines: _lines, Bars: _bars, Spans: _spans, Points: _points, Grid: _grid, Graph: _graph,
        Parallel: _parallel,
    }[type(chart)]  # fmt: skip
    draw(axes, chart)
    axes.set_xlabel(chart.x_label)
    axes.grid(alpha=0.3 if not isinstance(chart, Grid | Graph | Parallel) else 0.0)
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
    size = 0.8 / len(chart.parts) if chart.grouped else 0.8
    for i, (part, values) in enumerate(chart.parts.items()):
        at = [place + (i * size if chart.grouped else 0.0) for place in places]
        axes.barh(at, values, size, left, label=part, color=COLORS[i % len(COLORS)])
        if not chart.grouped:
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
    _limit(axes, chart.limit)


def _grid(axes: Any, chart: Grid) -> None:
    from matplotlib.colors import LinearSegmentedColormap

    shades = LinearSegmentedColormap.from_list("shades", ["#e6eef8", "#6ba0e0", "#123f7d"])
    low, high = chart.span or (None, None)
    image = axes.imshow(chart.values, cmap=shades, aspect="auto", vmin=low, vmax=high)
    for row, cells in enumerate(chart.text):
        for column, text in enumerate(cells):
            value = image.norm(chart.values[row][column])
            color = "white" if value > 0.55 else "black"
            axes.text(column, row, text, ha="center", va="center", color=color, fontsize=8)
    axes.set_xticks(range(len(chart.columns)), chart.columns, fontsize=8)
    axes.set_yticks(range(len(chart.rows)), chart.rows, fontsize=8)
    axes.set_ylabel(chart.y_label)
    axes.figure.colorbar(image, ax=axes, label=chart.scale)


def _graph(axes: Any, chart: Graph) -> None:
    place = ring(chart.nodes)
    named: set[str] = set()
    for edge in chart.edges:
        (x0, y0), (x1, y1) = place[edge.start], place[edge.end]
        i = chart.kinds.index(edge.kind)
        label = edge.kind if edge.kind not in named else None
        named.add(edge.kind)
        axes.plot([x0, x1], [y0, y1], _STYLES[i], color=TIES[i % 2], lw=3 - i, label=label)
    for name, (x, y) in place.items():
        axes.plot([x], [y], "o", color=COLORS[0], markersize=10)
        axes.annotate(name, (x, y), (0, 9 if y >= -0.1 else -16), textcoords="offset points",
                      ha="center", fontsize=9)  # fmt: skip
    axes.set(xlim=(-1.6, 1.6), ylim=(-1.4, 1.4))
    axes.axis("off")


def _parallel(axes: Any, chart: Parallel) -> None:
    from matplotlib.collections import LineCollection

    for i, (name, places) in enumerate(chart.groups.items()):
        lines = [list(enumerate(line)) for line in places.tolist()]
        top = i == len(chart.groups) - 1
        color = COLORS[2] if top else COLORS[7]
        axes.add_collection(
            LineCollection(lines, colors=color, linewidths=0.8, alpha=0.7 if top else 0.35)
        )
        axes.plot([], [], color=color, label=name)
    for i, axis in enumerate(chart.axes):
        axes.axvline(i, color="#7f8790", linewidth=0.8)
        for at, text in axis.ticks:
            axes.text(i + 0.03, at, text, fontsize=7, va="center", bbox=_VEIL)
    names = [axis.name for axis in chart.axes]
    axes.set_xticks(range(len(names)), names, fontsize=8, rotation=20, ha="right")
    axes.set(xlim=(-0.05, len(names) - 0.6), ylim=(-0.04, 1.04), yticks=[])
