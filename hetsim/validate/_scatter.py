"""Predicted against measured as points: one function builds the table, one draws it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from hetsim.errors import Problem, ScenarioError
from hetsim.validate._report import Report
from hetsim.validate._score import METRICS

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Point", "check_drawable", "draw_scatter", "scatter_figure", "scatter_of"]

_TITLES = {
    "tpot": "TPOT, ms",
    "ttft": "TTFT, ms",
    "throughput": "output tokens/s per accelerator",
}
_KINDS = (".png", ".svg", ".pdf")


class Point(NamedTuple):
    """One scored metric of one row."""

    row_id: str
    metric: str
    accelerator: str
    measured: float
    predicted: float


def scatter_of(report: Report) -> list[Point]:
    """Return the scored points of a report, in the order of its rows."""
    return [
        Point(o.row.row_id, name, o.row.text("accelerator"), pair.measured, pair.predicted)
        for o in report.scored
        for name, pair in o.pairs.items()
    ]


def scatter_figure(points: list[Point]) -> Figure:
    """Return one panel per metric, a colour per accelerator, with the lines of +-25 %."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(13.5, 4.6), layout="constrained")
    panels = figure.subplots(1, len(METRICS), squeeze=False)[0]
    devices = sorted({point.accelerator for point in points})
    for panel, metric in zip(panels, METRICS, strict=True):
        _draw(panel, metric, [point for point in points if point.metric == metric], devices)
    if devices:
        figure.legend(*_handles(panels), loc="outside lower center", ncols=6, fontsize="small")
    return figure


def _handles(panels: Any) -> tuple[list[Any], list[str]]:
    """Return one handle and one word per device, whichever panel shows it."""
    found = {
        label: handle
        for panel in panels
        for handle, label in zip(*panel.get_legend_handles_labels(), strict=True)
    }
    return list(found.values()), list(found)


def _draw(panel: Any, metric: str, points: list[Point], devices: list[str]) -> None:
    panel.set_title(_TITLES[metric])
    panel.set_xlabel("measured")
    panel.set_ylabel("predicted")
    if not points:
        panel.text(0.5, 0.5, "no row has it", ha="center", transform=panel.transAxes)
        return
    panel.set_xscale("log")
    panel.set_yscale("log")
    low = min(min(p.measured, p.predicted) for p in points)
    high = max(max(p.measured, p.predicted) for p in points)
    for factor, style in ((1.0, "-"), (1.25, ":"), (0.75, ":")):
        panel.plot([low, high], [low * factor, high * factor], "k" + style, lw=0.8)
    for index, device in enumerate(devices):
        some = [point for point in points if point.accelerator == device]
        if some:
            panel.scatter(
                [p.measured for p in some],
                [p.predicted for p in some],
                s=7,
                alpha=0.6,
                color=f"C{index % 10}",
                marker="os^Dvx+"[index // 10],
                label=device,
            )


def check_drawable(path: Path) -> None:
    """Refuse a path before anything is simulated for it.

    Raises
    ------
    ScenarioError
        If the ending is not one that can be drawn.
    """
    if path.suffix.lower() not in _KINDS:
        raise ScenarioError(Problem(f"is {str(path)!r}; must end in {', '.join(_KINDS)}", "--plot"))


def draw_scatter(report: Report, path: Path) -> Path:
    """Draw the points of a report to ``path``, whole or not at all; return it.

    Raises
    ------
    ScenarioError
        If the ending is not one that can be drawn.
    """
    check_drawable(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.stem}.part{path.suffix}")
    try:
        scatter_figure(scatter_of(report)).savefig(draft, dpi=150)
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
    return path
