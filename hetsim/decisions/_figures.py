"""Figures of answers, to explore in a notebook: a plain table each, and a plotly figure of it."""

from __future__ import annotations

from collections.abc import Mapping
from math import cos, pi, sin
from typing import TYPE_CHECKING, Any

from hetsim.errors import Problem, ScenarioError

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "decision_graph",
    "interaction_table",
    "plot_decision_graph",
    "plot_interactions",
    "plot_robustness",
    "robustness_table",
]

_COLOURS = {"binding": "#c0392b", "undecided": "#e0a030", "independent": "#b0b8c0"}


def interaction_table(found: Mapping[str, Any]) -> pd.DataFrame:
    """Return one row per pair of decisions and regime: regret, its bounds, verdict, ANOVA share.

    ``found`` is the answer of :func:`interactions`; ``base_regret`` and ``base_verdict`` are of
    changing one thing at a time from the base.
    """
    import pandas as pd

    rows = []
    for regime, part in found["regimes"].items():
        for pair in part["pairs"]:
            low, high = pair["regret_ci"]
            base = pair["base"] or {}
            rows.append(
                {
                    "regime": regime,
                    "a": pair["a"],
                    "b": pair["b"],
                    "regret": pair["regret"],
                    "low": low,
                    "high": high,
                    "verdict": pair["verdict"],
                    "share": pair["share"],
                    "base_regret": base.get("regret"),
                    "base_verdict": base.get("verdict", ""),
                }
            )
    return pd.DataFrame(rows)


def plot_interactions(found: Mapping[str, Any]) -> Any:
    """Return the regret of deciding each pair separately, with its bounds, one row per regime."""
    from plotly.subplots import make_subplots

    table = interaction_table(found)
    regimes = list(found["regimes"])
    figure = make_subplots(
        rows=len(regimes), cols=1, shared_xaxes=True, subplot_titles=regimes, vertical_spacing=0.1
    )
    for row, regime in enumerate(regimes, 1):
        for verdict, colour in _COLOURS.items():
            part = table[(table["regime"] == regime) & (table["verdict"] == verdict)]
            figure.add_bar(
                x=100.0 * part["regret"],
                y=part["a"] + " × " + part["b"],
                error_x={
                    "array": 100.0 * (part["high"] - part["regret"]),
                    "arrayminus": 100.0 * (part["regret"] - part["low"]),
                },
                orientation="h",
                marker_color=colour,
                name=verdict,
                legendgroup=verdict,
                showlegend=row == 1,
                row=row,
                col=1,
            )
        figure.add_vline(x=100.0 * found["threshold"], line_dash="dot", row=row, col=1)
    figure.update_xaxes(title_text="lost by deciding separately (%)", row=len(regimes), col=1)
    pairs = len(table) // max(1, len(regimes))
    figure.update_layout(title=found["name"], height=120 + len(regimes) * (60 + 22 * pairs))
    return figure


def decision_graph(found: Mapping[str, Any], regime: str) -> Any:
    """Return the decisions of a regime as a networkx graph; every edge has ``regret``, ``verdict``.

    Its binding edges make the components that are decided together.

    Raises
    ------
    ScenarioError
        If there is no such regime.
    """
    import networkx as nx

    if regime not in found["regimes"]:
        known = ", ".join(found["regimes"])
        raise ScenarioError(Problem(f"no regime {regime!r}; there are {known}", "regime"))
    part = found["regimes"][regime]
    graph: Any = nx.Graph()
    graph.add_nodes_from(one["axis"] for one in part["main"])
    for pair in part["pairs"]:
        if pair["b"] in graph:
            graph.add_edge(pair["a"], pair["b"], regret=pair["regret"], verdict=pair["verdict"])
    return graph


def plot_decision_graph(found: Mapping[str, Any], regime: str) -> Any:
    """Return the decisions on a circle; the wider a line, the more is lost by deciding apart.

    Raises
    ------
    ScenarioError
        If there is no such regime.
    """
    import plotly.graph_objects as go

    graph = decision_graph(found, regime)
    count = max(1, len(graph))
    place = {
        name: (sin(2.0 * pi * n / count), cos(2.0 * pi * n / count)) for n, name in enumerate(graph)
    }
    figure = go.Figure()
    for a, b, edge in graph.edges(data=True):
        figure.add_scatter(
            x=[place[a][0], place[b][0]],
            y=[place[a][1], place[b][1]],
            mode="lines",
            line={
                "color": _COLOURS[edge["verdict"]],
                "width": 1.0 + 20.0 * max(0.0, edge["regret"]),
                "dash": "solid" if edge["verdict"] == "binding" else "dot",
            },
            hoverinfo="text",
            text=f"{a} × {b}: {edge['regret']:.1%}, {edge['verdict']}",
            showlegend=False,
        )
    figure.add_scatter(
        x=[place[name][0] for name in graph],
        y=[place[name][1] for name in graph],
        mode="markers+text",
        text=list(graph),
        textposition="top center",
        marker={"size": 18, "color": "#2c5f8a"},
        showlegend=False,
    )
    figure.update_layout(title=f"{regime}: solid lines must be decided together", height=420)
    figure.update_xaxes(visible=False, range=[-1.6, 1.6])
    figure.update_yaxes(visible=False, range=[-1.3, 1.4])
    return figure


def robustness_table(found: Mapping[str, Any]) -> pd.DataFrame:
    """Return one row per candidate design: its levels, and its regret in every regime.

    ``found`` is the answer of :func:`robustness`.
    """
    import pandas as pd

    rows = [
        {**one["levels"], **one["regret"], "worst_regret": one["worst_regret"]}
        for one in found["table"]
    ]
    return pd.DataFrame(rows)


def plot_robustness(found: Mapping[str, Any]) -> Any:
    """Return what every candidate loses in every regime against the best design there."""
    import plotly.graph_objects as go

    names = [", ".join(one["levels"].values()) for one in found["table"]]
    lost = [[100.0 * one["regret"][r] for r in found["regimes"]] for one in found["table"]]
    figure = go.Figure(
        go.Heatmap(
            x=found["regimes"],
            y=names,
            z=lost,
            colorscale="Reds",
            text=lost,
            texttemplate="%{text:.0f}",
            colorbar={"title": "regret (%)"},
        )
    )
    figure.update_yaxes(autorange="reversed")
    figure.update_layout(title="regret of one design for all regimes", height=160 + 26 * len(names))
    return figure
