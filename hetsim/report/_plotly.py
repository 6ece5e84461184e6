"""Charts for the screen: plain plotly specifications (no plotly object is built).

Colours of text, grid and background are left to the page, which knows light from dark. Text is
escaped here, since plotly reads its labels as HTML.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

from hetsim.report._chart import Array, Bars, Chart, Graph, Grid, Lines, Parallel, Points, Spans
from hetsim.report._ring import ring

__all__ = ["COLORS", "LIMIT", "TIES", "plotly_spec"]

COLORS = (
    "#3b7dd8", "#d9762b", "#2a9d6f", "#d1495b", "#8e6fd0", "#a0793d", "#c2599f", "#7f8790",
    "#1f9bb5",
)  # fmt: skip
"""Middle tones: each has a contrast of at least 3 with white and with the dark page."""
DASHES = ("solid", "dash", "dot", "dashdot", "longdash")
SYMBOLS = ("circle", "diamond", "square", "cross", "triangle-up")
LIMIT = "#d1495b"
_SHADES = [[0.0, "#e6eef8"], [0.5, "#6ba0e0"], [1.0, "#123f7d"]]
_CROWD = 200
TIES = (COLORS[3], COLORS[1])
"""Colours of the ties of a graph, the strongest first."""
"""From so many points on they are drawn translucent, so that density shows."""


def plotly_spec(chart: Chart) -> dict[str, Any]:
    """Return ``data`` and ``layout`` for ``Plotly.newPlot``."""
    make: Any = {
        Lines: _lines, Bars: _bars, Spans: _spans, Points: _points, Grid: _grid, Graph: _graph,
        Parallel: _parallel,
    }[type(chart)]  # fmt: skip
    spec: dict[str, Any] = make(chart)
    return spec


def _numbers(values: Array | Sequence[float]) -> list[float | None]:
    return [float(f"{value:.6g}") if value == value else None for value in values]


def _layout(x_label: str, y_label: str, **more: Any) -> dict[str, Any]:
    layout: dict[str, Any] = {
        "margin": {"l": 56, "r": 12, "t": 28, "b": 48},
        "height": 340,
        "xaxis": {"title": {"text": escape(x_label)}, "automargin": True, "zeroline": False},
        "yaxis": {"title": {"text": escape(y_label)}, "automargin": True, "zeroline": False},
        "legend": {
            "orientation": "h",
            "x": 0,
            "y": 1.02,
            "yanchor": "bottom",
            "traceorder": "normal",
        },
        "hovermode": "closest",
    }
    for key, value in more.items():
        layout[key] = {**layout[key], **value} if isinstance(layout.get(key), dict) else value
    return layout


def _limit(limit: tuple[float, str] | None) -> dict[str, Any]:
    if limit is None:
        return {}
    at, text = limit
    line = {"color": LIMIT, "width": 2, "dash": "dash"}
    shape = {"type": "line", "x0": at, "x1": at, "y0": 0, "y1": 1, "yref": "paper", "line": line}
    note = {
        "x": at, "y": 1, "yref": "paper", "text": escape(text), "showarrow": False,
        "xanchor": "auto", "yanchor": "bottom",
    }  # fmt: skip
    return {"shapes": [shape], "annotations": [note]}


def _lines(chart: Lines) -> dict[str, Any]:
    data = [
        {
            "type": "scatter", "mode": "lines", "name": escape(line.name),
            "x": _numbers(line.x), "y": _numbers(line.y),
            "line": {
                "color": COLORS[i % len(COLORS)], "dash": DASHES[i % len(DASHES)], "width": 2,
                "shape": "hv" if chart.stairs else "linear",
            },
        }
        for i, line in enumerate(chart.lines)
    ]  # fmt: skip
    y = {"tickformat": ".0%", "range": [0, 1.03]} if chart.share else {"rangemode": "tozero"}
    x = {"range": [0, chart.x_end]} if chart.x_end is not None else {}
    layout = _layout(chart.x_label, chart.y_label, xaxis=x, yaxis=y, **_limit(chart.limit))
    layout["showlegend"] = len(data) > 1
    return {"data": data, "layout": layout}


def _bars(chart: Bars) -> dict[str, Any]:
    names = [escape(name) for name in chart.rows]
    data = [
        {
            "type": "bar", "orientation": "h", "name": escape(part), "y": names,
            "x": _numbers(values), "marker": {"color": COLORS[i % len(COLORS)]},
        }
        for i, (part, values) in enumerate(chart.parts.items())
    ]  # fmt: skip
    x: dict[str, Any] = {"rangemode": "tozero", "zeroline": chart.grouped}
    if chart.share:
        x["tickformat"] = ".0%"
    layout = _layout(
        chart.x_label, "", xaxis=x, yaxis={"autorange": "reversed"}, **_limit(chart.limit)
    )
    layout |= {
        "barmode": "group" if chart.grouped else "stack", "showlegend": len(data) > 1,
        "height": 130 + 46 * len(names),
    }  # fmt: skip
    return {"data": data, "layout": layout}


def _spans(chart: Spans) -> dict[str, Any]:
    data = []
    for i, group in enumerate(dict.fromkeys(span.group for span in chart.spans)):
        mine = [span for span in chart.spans if span.group == group]
        data.append(
            {
                "type": "bar", "orientation": "h", "name": escape(group),
                "y": [escape(span.row) for span in mine],
                "x": _numbers([span.end - span.start for span in mine]),
                "base": _numbers([span.start for span in mine]),
                "marker": {"color": COLORS[i % len(COLORS)]},
                "hovertext": [escape(span.text) for span in mine], "hoverinfo": "text",
            }
        )  # fmt: skip
    rows = [escape(row) for row in chart.rows]
    y = {"autorange": "reversed", "categoryorder": "array", "categoryarray": rows}
    layout = _layout(chart.x_label, "", yaxis={**y, "tickfont": {"size": 11}})
    layout |= {"barmode": "overlay", "showlegend": True, "height": 130 + 22 * len(rows)}
    return {"data": data, "layout": layout}


def _points(chart: Points) -> dict[str, Any]:
    data = [
        {
            "type": "scatter", "mode": "lines+markers" if group.joined else "markers",
            "name": escape(group.name), "x": _numbers(group.x), "y": _numbers(group.y),
            "hovertext": [escape(text) for text in group.text], "hoverinfo": "text",
            "line": {"color": COLORS[i % len(COLORS)], "width": 1},
            "marker": {
                "color": COLORS[i % len(COLORS)], "symbol": SYMBOLS[i % len(SYMBOLS)],
                "size": 8, "opacity": 0.6 if len(group.x) > _CROWD else 1.0,
            },
        }
        for i, group in enumerate(chart.groups)
    ]  # fmt: skip
    axis = {"type": "log"} if chart.log else {}
    limit = _limit(chart.limit)
    layout = _layout(chart.x_label, chart.y_label, xaxis=axis, yaxis=axis, **limit)
    layout["showlegend"] = len(data) > 1 or any(group.joined for group in chart.groups)
    return {"data": data, "layout": layout}


def _grid(chart: Grid) -> dict[str, Any]:
    bar: dict[str, Any] = {"title": {"text": escape(chart.scale), "side": "right"}, "thickness": 12}
    if chart.share:
        bar["tickformat"] = ".0%"
    data = [
        {
            "type": "heatmap", "x": [escape(name) for name in chart.columns],
            "y": [escape(name) for name in chart.rows],
            "z": [_numbers(row) for row in chart.values],
            "text": [[escape(cell) for cell in row] for row in chart.text],
            "texttemplate": "%{text}", "hovertemplate": "%{y}, %{x}: %{text}",
            "hoverlabel": {"namelength": 0},
            "colorscale": _SHADES, "colorbar": bar, "xgap": 2, "ygap": 2, "hoverongaps": False,
        }
    ]  # fmt: skip
    if chart.span is not None:
        data[0] |= {"zmin": chart.span[0], "zmax": chart.span[1]}
    # Names that look like numbers are names all the same.
    x = {"type": "category", "showgrid": False}
    y = {**x, "autorange": "reversed"}
    layout = _layout(chart.x_label, chart.y_label, xaxis=x, yaxis=y)
    return {"data": data, "layout": {**layout, "height": max(300, 150 + 42 * len(chart.rows))}}


def _graph(chart: Graph) -> dict[str, Any]:
    place = ring(chart.nodes)
    seen = {edge.kind for edge in chart.edges}
    data: list[dict[str, Any]] = []
    for i, kind in enumerate(chart.kinds):
        if kind not in seen:
            continue
        xs: list[float | None] = []
        ys: list[float | None] = []
        for edge in (edge for edge in chart.edges if edge.kind == kind):
            (x0, y0), (x1, y1) = place[edge.start], place[edge.end]
            xs += [x0, x1, None]
            ys += [y0, y1, None]
        data.append(
            {
                "type": "scatter", "mode": "lines", "name": escape(kind), "x": xs, "y": ys,
                "line": {"width": max(2, 5 - 2 * i), "dash": DASHES[i], "color": TIES[i % 2]},
                "hoverinfo": "skip",
            }
        )  # fmt: skip
    data += [_nodes(chart, place), _ties(chart, place)]
    hidden = {"visible": False, "range": [-1.7, 1.7]}
    layout = _layout("", "", xaxis=hidden, yaxis={"visible": False, "range": [-1.35, 1.35]})
    return {"data": data, "layout": {**layout, "showlegend": bool(seen)}}


def _nodes(chart: Graph, place: dict[str, tuple[float, float]]) -> dict[str, Any]:
    at = [place[name] for name in chart.nodes]
    return {
        "type": "scatter", "mode": "markers+text", "showlegend": False, "cliponaxis": False,
        "x": [x for x, _ in at], "y": [y for _, y in at],
        "text": [escape(name) for name in chart.nodes], "hoverinfo": "text",
        "textposition": ["bottom center" if y < -0.1 else "top center" for _, y in at],
        "marker": {"size": 16, "color": COLORS[0]},
    }  # fmt: skip


def _ties(chart: Graph, place: dict[str, tuple[float, float]]) -> dict[str, Any]:
    """Return unseen points in the middle of the ties, which carry their texts."""
    middle = [
        tuple((a + b) / 2 for a, b in zip(place[edge.start], place[edge.end], strict=True))
        for edge in chart.edges
    ]
    return {
        "type": "scatter", "mode": "markers", "showlegend": False, "opacity": 0.0,
        "x": [at[0] for at in middle], "y": [at[1] for at in middle],
        "hovertext": [escape(edge.text) for edge in chart.edges], "hoverinfo": "text",
        "marker": {"size": 14},
    }  # fmt: skip


def _parallel(chart: Parallel) -> dict[str, Any]:
    data = []
    for i, (name, places) in enumerate(chart.groups.items()):
        xs, ys = [], []
        for line in places:
            xs += [*range(len(chart.axes)), None]
            ys += [*_numbers(line), None]
        data.append(
            {
                "type": "scatter", "mode": "lines", "name": escape(name), "x": xs, "y": ys,
                "line": {"width": 1.5, "color": COLORS[i % len(COLORS)]}, "opacity": 0.6,
                "hoverinfo": "skip",
            }
        )  # fmt: skip
    ticks = [{"x": i, "y": at, "text": escape(text), "showarrow": False, "xanchor": "left"}
             for i, axis in enumerate(chart.axes) for at, text in axis.ticks]  # fmt: skip
    x = {"tickvals": [*range(len(chart.axes))], "ticktext": [escape(a.name) for a in chart.axes]}
    layout = _layout("", "", xaxis=x, yaxis={"visible": False}, annotations=ticks)
    return {"data": data, "layout": layout}
