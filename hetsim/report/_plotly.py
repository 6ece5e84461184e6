"""Charts for the screen: plain plotly specifications (no plotly object is built).

Colours of text, grid and background are left to the page, which knows light from dark. Text is
escaped here, since plotly reads its labels as HTML.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

from hetsim.report._chart import Array, Bars, Chart, Lines, Points, Spans

__all__ = ["COLORS", "plotly_spec"]

COLORS = (
    "#3b7dd8", "#d9762b", "#2a9d6f", "#d1495b", "#8e6fd0", "#a0793d", "#c2599f", "#7f8790",
    "#1f9bb5",
)  # fmt: skip
"""Middle tones: each has a contrast of at least 3 with white and with the dark page."""
DASHES = ("solid", "dash", "dot", "dashdot", "longdash")
SYMBOLS = ("circle", "diamond", "square", "cross", "triangle-up")
LIMIT = "#d1495b"
_CROWD = 200
"""From so many points on they are drawn translucent, so that density shows."""


def plotly_spec(chart: Chart) -> dict[str, Any]:
    """Return ``data`` and ``layout`` for ``Plotly.newPlot``."""
    if isinstance(chart, Lines):
        return _lines(chart)
    if isinstance(chart, Bars):
        return _bars(chart)
    return _spans(chart) if isinstance(chart, Spans) else _points(chart)


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
    x: dict[str, Any] = {"rangemode": "tozero"}
    if chart.share:
        x["tickformat"] = ".0%"
    layout = _layout(
        chart.x_label, "", xaxis=x, yaxis={"autorange": "reversed"}, **_limit(chart.limit)
    )
    layout |= {
        "barmode": "stack", "showlegend": len(data) > 1, "height": 130 + 46 * len(names),
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
    layout = _layout(chart.x_label, chart.y_label, xaxis=axis, yaxis=axis)
    layout["showlegend"] = len(data) > 1
    return {"data": data, "layout": layout}
