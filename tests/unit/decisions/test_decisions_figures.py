"""Tables and figures of answers: every pair once, every design once, the graph as the verdicts."""

from __future__ import annotations

from typing import Any

import pytest

from hetsim.decisions import (
    decision_graph,
    interaction_table,
    plot_decision_graph,
    plot_interactions,
    plot_robustness,
    robustness_table,
)
from hetsim.errors import ScenarioError


def pair(a: str, b: str, regret: float, verdict: str) -> dict[str, Any]:
    return {
        "a": a,
        "b": b,
        "regret": regret,
        "regret_ci": [0.5 * regret, 2.0 * regret],
        "verdict": verdict,
        "share": None,
        "base": None,
    }


def answer() -> dict[str, Any]:
    pairs = [pair("x", "y", 0.2, "binding"), pair("x", "z", 0.01, "independent")]
    calm = [pair("x", "y", 0.0, "independent"), pair("x", "regime", 0.3, "binding")]
    main = [{"axis": name} for name in "xyz"]
    regimes = {"busy": {"pairs": pairs, "main": main}, "calm": {"pairs": calm, "main": main}}
    return {"name": "made up", "threshold": 0.03, "regimes": regimes}


def test_every_pair_of_every_regime_is_a_row() -> None:
    table = interaction_table(answer())
    assert list(table["regime"]) == ["busy", "busy", "calm", "calm"]
    assert table.loc[0, ["low", "regret", "high"]].tolist() == [0.1, 0.2, 0.4]
    assert table["base_verdict"].eq("").all()


def test_bars_are_percent_with_their_bounds_and_coloured_by_verdict() -> None:
    figure = plot_interactions(answer())
    bars = {(one.name, tuple(one.y)): one for one in figure.data if len(one.x)}
    assert set(bars) == {
        ("binding", ("x × y",)),
        ("independent", ("x × z",)),
        ("independent", ("x × y",)),
        ("binding", ("x × regime",)),
    }
    binding = bars["binding", ("x × y",)]
    assert binding.x[0] == pytest.approx(20.0)
    assert binding.error_x.array[0] == pytest.approx(20.0)
    assert binding.error_x.arrayminus[0] == pytest.approx(10.0)
    assert len([one for one in figure.data if one.showlegend]) == 3


def test_the_graph_joins_decisions_and_leaves_the_regime_out() -> None:
    graph = decision_graph(answer(), "busy")
    assert list(graph) == ["x", "y", "z"]
    assert graph.edges["x", "y"] == {"regret": 0.2, "verdict": "binding"}
    assert list(decision_graph(answer(), "calm").edges) == [("x", "y")]
    with pytest.raises(ScenarioError, match="busy, calm"):
        decision_graph(answer(), "stormy")


def test_only_binding_lines_are_solid_and_every_decision_is_named() -> None:
    figure = plot_decision_graph(answer(), "busy")
    assert [line.line.dash for line in figure.data[:-1]] == ["solid", "dot"]
    assert list(figure.data[-1].text) == ["x", "y", "z"]


def test_regrets_of_designs_by_regime() -> None:
    rows = [
        {"levels": {"x": "1"}, "regret": {"busy": 0.0, "calm": 0.25}, "worst_regret": 0.25},
        {"levels": {"x": "2"}, "regret": {"busy": 0.5, "calm": 0.0}, "worst_regret": 0.5},
    ]
    found = {"table": rows, "regimes": ["busy", "calm"]}
    assert robustness_table(found)["calm"].tolist() == [0.25, 0.0]
    heat = plot_robustness(found).data[0]
    assert [list(row) for row in heat.z] == [[0.0, 25.0], [50.0, 0.0]]
    assert list(heat.y) == ["1", "2"]
