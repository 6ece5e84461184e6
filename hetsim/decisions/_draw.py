"""The break-even map on paper: frontier, and the closed form beside it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

__all__ = ["draw_breakeven", "frontier_points"]


def frontier_points(found: Mapping[str, Any]) -> dict[str, list[tuple[float, float]]]:
    """Return the points ``(along, across)`` of the simulated frontier and of the closed form."""
    simulated, closed = [], []
    for number, one in enumerate(found["frontier"]):
        place = one["across"] if one["across"] is not None else float(number)
        simulated += [(at, place) for at in one["crossings"]]
        closed += [(at, place) for at in one["closed_form"] or ()]
    return {"simulated": simulated, "closed form": closed}


def draw_breakeven(found: Mapping[str, Any], path: str | Path) -> None:
    """Draw a break-even map into a file (PNG, SVG or PDF by its name).

    With one axis, the logarithm of the ratio along it; with two, the frontier.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.0, 4.0), layout="constrained")
    axes: Any = figure.add_subplot()
    along, across = found["along"], found["across"]
    if across is None:
        _line(axes, found)
    else:
        styles = {"simulated": "o-", "closed form": "x--"}
        for name, points in frontier_points(found).items():
            if points:
                axes.plot(*zip(*points, strict=True), styles[name], label=name)
        axes.set_ylabel(f"{across['path']} ({across['unit'] or '1'})")
        axes.set_ylim(across["low"], across["high"])
    axes.set_xlabel(f"{along['path']} ({along['unit'] or '1'})")
    axes.set_xlim(along["low"], along["high"])
    axes.set_title(f"{found['first']} against {found['second']}: {found['metric']}")
    if axes.get_legend_handles_labels()[0]:
        axes.legend()
    figure.savefig(path)


def _line(axes: Any, found: Mapping[str, Any]) -> None:
    one = found["frontier"][0]
    looks = [(look["at"], look["log_ratio"]) for look in one["looks"]]
    finite = [(at, value) for at, value in looks if abs(value) < float("inf")]
    axes.axhline(0.0, color="0.6", linewidth=0.8)
    if finite:
        axes.plot(*zip(*finite, strict=True), "o-", label="simulated")
    for name, places, style in (
        ("break-even", one["crossings"], "-"),
        ("closed form", one["closed_form"] or (), "--"),
    ):
        for number, at in enumerate(places):
            axes.axvline(at, linestyle=style, color="C1", label=name if number == 0 else None)
    axes.set_ylabel("logarithm of the ratio of worth")
