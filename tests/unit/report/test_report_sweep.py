from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from hetsim.report import report, report_figures
from hetsim.report._decisions import decision_figures, known_decisions
from hetsim.report._explore import explored
from hetsim.report._ranked import Ranked
from hetsim.report._sensitivity import sensitivity_figures
from hetsim.report._slo import slo_figures
from hetsim.report._sweep_answer import sweep_answer
from hetsim.report._sweep_figures import (
    density_figure,
    front_figure,
    parallel_figure,
    ranking_figure,
)
from hetsim.sweep import SweepResult


def made(rows: list[dict[str, Any]], **changes: Any) -> SweepResult:
    manifest = {
        "name": "by hand",
        "axes": {"device": "decision", "load": "condition"},
        "seeds": [1],
        "response": {"metric": "goodput_req_s", "sense": None},
        "screen": {"keep": "all", "objectives": []},
        "wall_s": 0.1,
        **changes,
    }
    head = ("point", "seed", "axis.device", "axis.load", "status", "reason", "calibration_grade")
    table = pd.DataFrame(rows, columns=[*head, *(k for k in ROW if k not in head)])
    return SweepResult(table, manifest, None)


ROW: dict[str, Any] = {
    "seed": 1, "status": "simulated", "reason": "", "calibration_grade": "fitted",
    "slo_attainment": 1.0, "slo_met": True, "bottleneck": "decode-bound",
}  # fmt: skip
ROW |= {"goodput_req_s": 0.0, "cost_usd_per_mtok": 0.0}


def row(point: int, device: str, load: str, goodput: float, cost: float, **more: Any) -> Any:
    return {
        **ROW, "point": point, "axis.device": device, "axis.load": load,
        "goodput_req_s": goodput, "cost_usd_per_mtok": cost, **more,
    }  # fmt: skip


FOUR = [
    row(0, "slow", "low", 2.0, 1.0),
    row(1, "fast", "low", 4.0, 3.0),
    row(2, "slow", "high", 5.0, 1.0),
    row(3, "fast", "high", 4.0, 3.0),
]


def ranked(rows: list[Any], **changes: Any) -> Ranked:
    return Ranked(made(rows, **changes))


def test_points_are_ranked_within_their_condition() -> None:
    table = ranked(FOUR).table.set_index("point")
    assert table["rank"].to_dict() == {1: 1, 0: 2, 2: 1, 3: 2}
    assert table["share"].to_dict() == {1: 1.0, 0: 0.5, 2: 1.0, 3: 0.8}


def test_less_is_better_for_costs() -> None:
    costs = {"metric": "cost_usd_per_mtok", "sense": None}
    table = ranked(FOUR, response=costs).table.set_index("point")
    assert table["rank"].to_dict() == {0: 1, 1: 2, 2: 1, 3: 2}
    assert table["share"].loc[1] == pytest.approx(1 / 3)


def test_the_answer_names_winner_cost_runner_up_and_when_it_would_win() -> None:
    answer = sweep_answer(ranked(FOUR[:2]))
    assert answer.verdict == "Recommended by goodput: device fast."
    points = dict(answer.points)
    assert points["What does it reach?"].startswith("goodput 4 req/s; 100.0%")
    assert points["What does it cost?"] == "3 USD/Mtok."
    assert points["What binds?"] == "Decode-bound."
    second = points["Runner-up, and when would it win?"]
    assert second.startswith("device slow, worse by 50.0%.")
    assert "if cost decided (1 USD/Mtok against 3 USD/Mtok)" in second


def test_the_design_with_the_best_worst_case_is_recommended_over_all_conditions() -> None:
    answer = sweep_answer(ranked(FOUR))
    # fast: 100% and 80%; slow: 50% and 100%.
    assert answer.verdict.startswith("Recommended over all 2 conditions, by goodput: device fast.")
    assert "at least 80.0% of the best" in answer.verdict
    points = dict(answer.points)
    assert points["Where does another win?"][0].startswith("load high: device slow (5 req/s)")
    assert "at least 50.0%" in points["Runner-up, and when would it win?"]
    assert "ahead in high" in points["Runner-up, and when would it win?"]


def test_where_no_design_was_tried_everywhere_every_condition_has_its_own() -> None:
    answer = sweep_answer(ranked([FOUR[1], FOUR[2], row(4, "dear", "high", 1.0, 9.0)]))
    assert answer.verdict.startswith("The best design differs by condition")
    assert len(dict(answer.points)["Which design wins where?"]) == 2


def test_a_winner_that_misses_its_slo_is_no_recommendation_without_a_word() -> None:
    late = [row(0, "slow", "low", 2.0, 1.0, slo_met=False, slo_attainment=0.5), FOUR[0] | {
        "point": 1, "goodput_req_s": 1.0}]  # fmt: skip
    answer = sweep_answer(ranked(late))
    assert answer.good is None
    assert "does not hold in every run of it (load low)" in answer.verdict
    assert any("50.0%" in line for line in answer.unknown)


def test_unmeasured_devices_make_it_an_estimate() -> None:
    guessed = [one | {"calibration_grade": "datasheet"} for one in FOUR[:2]]
    answer = sweep_answer(ranked(guessed))
    assert "By estimate" in answer.verdict
    assert any("No measurement" in line for line in answer.unknown)


def test_a_lead_that_a_seed_overturns_is_said() -> None:
    rows = [
        row(0, "slow", "low", 4.0, 1.0), row(0, "slow", "low", 4.0, 1.0, seed=2),
        row(1, "fast", "low", 9.0, 3.0), row(1, "fast", "low", 3.0, 3.0, seed=2),
    ]  # fmt: skip
    points = dict(sweep_answer(ranked(rows, seeds=[1, 2])).points)
    assert "It led in 1 of 2 seeds." in points["Runner-up, and when would it win?"]
    assert "every seed in 0 of 1 condition " in " ".join(points["How sure is this?"])


def test_the_front_holds_what_is_not_beaten() -> None:
    beaten = row(2, "dear", "low", 1.0, 5.0)
    figure = front_figure(ranked([*FOUR[:2], beaten]))
    rest, front = figure.chart.groups
    assert sorted(front.x) == [1.0, 3.0]
    assert list(rest.y) == [1.0]
    assert "2 of 3" in figure.says


def test_the_table_of_the_ranking_is_limited_and_says_so() -> None:
    many = [row(n, f"d{n}", "low", float(n), 1.0) for n in range(60)]
    figure = ranking_figure(ranked(many))
    assert len(figure.table.rows) == 50
    assert figure.table.rows[0][:3] == ("1", "d59", "low")
    assert "60 simulated" in figure.says and "holds 50" in figure.says


def test_conditions_make_the_ranking_a_map_of_shares() -> None:
    chart = ranking_figure(ranked(FOUR)).chart
    assert chart.columns == ["low", "high"]
    cells = dict(zip(chart.rows, np.asarray(chart[4]).tolist(), strict=True))
    assert cells == {"fast": [1.0, 0.8], "slow": [0.5, 1.0]}


def test_lines_run_over_levels_and_metrics() -> None:
    chart = parallel_figure(ranked(FOUR)).chart
    assert [axis.name for axis in chart.axes][:3] == ["device", "load", "goodput (req/s)"]
    lines = [line for part in chart.groups.values() for line in part.tolist()]
    assert len(lines) == 4
    assert [0.0, 0.0, 0.0] in [line[:3] for line in lines]  # slow, low, 2 of 2 to 5


def test_one_change_from_the_winner_is_compared_with_it() -> None:
    spread, changes = sensitivity_figures(ranked(FOUR))
    assert spread.chart.parts == {"spread of the means": [pytest.approx(0.9 - 0.75)]}
    assert changes.table.rows == [
        ("device: slow to fast", "high", "4", "80.0%"),
        ("device: fast to slow", "low", "2", "50.0%"),
    ]


def test_a_tighter_limit_leaves_fewer_designs() -> None:
    rows = [
        one | {"ttft_s.p99": late, "slo.ttft_s": 1.0}
        for one, late in zip(FOUR[:2], (0.4, 0.9), strict=True)
    ]
    result = made(FOUR[:2])
    result.points["ttft_s.p99"] = [r["ttft_s.p99"] for r in rows]
    result.points["slo.ttft_s"] = 1.0
    (figure,) = slo_figures(Ranked(result))
    (line,) = figure.chart.lines
    assert line.x[:2].tolist() == [pytest.approx(0.4), pytest.approx(0.9)]
    assert line.y[:2].tolist() == [2.0, 4.0]
    assert figure.chart.limit == (1.0, "SLO 1 s")
    assert ("low", "500 ms", "slow", "2") in figure.table.rows
    assert ("low", "1 s", "fast", "4") in figure.table.rows


def test_attainment_is_drawn_against_a_load_in_numbers() -> None:
    rows = [
        row(n, device, f"{load} req/s", 1.0, 1.0, slo_attainment=met)
        for n, (device, load, met) in enumerate(
            [("slow", 10, 0.9), ("slow", 2, 1.0), ("fast", 2, 1.0), ("fast", 10, 0.98)]
        )
    ]
    figure = slo_figures(ranked(rows))[-1]
    assert figure.key == "attainment_load"
    lines = {line.name: (line.x.tolist(), line.y.tolist()) for line in figure.chart.lines}
    assert lines == {"slow": ([2.0, 10.0], [1.0, 0.9]), "fast": ([2.0, 10.0], [1.0, 0.98])}
    assert figure.table.columns == ("design", "2 req/s", "10 req/s")


def test_of_many_designs_the_front_and_the_best_are_explored() -> None:
    many = [row(n, f"d{n}", "low", float(n % 97), 1.0 + (n * 37 % 1000)) for n in range(1000)]
    many[500]["goodput_req_s"] = 1000.0
    data = explored(ranked(many), most=100)
    assert data is not None
    assert data["total"] == 1000 and 90 <= len(data["points"]) <= 100
    front = set(made(many).pareto(["goodput_req_s", "cost_usd_per_mtok"])["point"])
    assert front <= set(data["points"]) and 500 in data["points"]
    assert len({*data["rank"]} & set(range(1, 60))) == 59
    every = explored(ranked(many))
    assert every is not None and len(every["points"]) == 1000
    assert density_figure(ranked(many), 1000) == []
    (density,) = density_figure(ranked(many), 100)
    assert "All 1,000" in density.says
    assert sum(int(count.replace(",", "")) for _, count in density.table.rows) == 1000


PAIR = {
    "a": "device", "b": "split", "share": 0.1, "share_ci": [0.0, 0.2], "regret": 0.3,
    "regret_ci": [0.2, 0.4], "verdict": "binding",
}  # fmt: skip
JOINT = {
    "regimes": {
        "calm": {"pairs": [PAIR], "components": [["device", "split"]], "undecided": 0},
        "wild": {
            "pairs": [PAIR | {"verdict": "independent", "regret": 0.0}],
            "components": [["device"], ["split"]],
            "undecided": 0,
        },
    }
}


def test_joint_decisions_are_a_map_a_graph_and_a_sentence() -> None:
    joint, calm, wild = decision_figures({"interactions": JOINT})["interactions"]
    assert np.asarray(joint.chart[4]).tolist() == [[0.3, 0.0]]
    assert joint.chart.text == [["30.0% !", "0.0%"]]
    assert [(e.start, e.end, e.kind) for e in calm.chart.edges] == [
        ("device", "split", "binding: decide together")
    ]
    assert wild.chart.edges == []
    known = known_decisions({"interactions": JOINT})
    assert known["sure"][:2] == [
        "In calm: device and split must be decided together.",
        "In wild: decisions can be made one at a time.",
    ]
    assert any("hetsim rank DIR" in line for line in known["unknown"])
    assert not any("interactions" in line for line in known["unknown"])


def test_answers_that_are_absent_say_how_they_are_made() -> None:
    figures = decision_figures({})
    for name, command in (
        ("interactions", "hetsim interactions DIR"), ("breakeven", "hetsim breakeven DIR"),
        ("ranking", "hetsim rank DIR"), ("robustness", "hetsim robustness DIR"),
    ):  # fmt: skip
        (figure,) = figures[name]
        assert figure.chart is None and command in figure.says


def test_an_answer_of_another_shape_is_a_table() -> None:
    found = {name: {"later": {"field": 1.5}} for name in ("breakeven", "ranking", "robustness")}
    for name in found:
        (figure,) = decision_figures(found)[name]
        assert figure.table.rows == [("later.field", "1.5")]


FAILED = row(0, "slow", "low", float("nan"), float("nan"), status="failed", reason="<b>no</b>")


@pytest.mark.parametrize(
    ("rows", "verdict"),
    [
        ([], "No design can be recommended."),
        ([FAILED], "No design can be recommended."),
        (FOUR[:1], "Recommended by goodput: device slow. Nothing else was simulated"),
    ],
    ids=["no point", "only failed", "one"],
)
def test_small_sweeps_have_a_report_that_says_so(
    tmp_path: Path, rows: list[Any], verdict: str
) -> None:
    result = made(rows)
    result.points.to_parquet(tmp_path / "points.parquet")
    (tmp_path / "manifest.json").write_text(json.dumps(result.manifest))
    text = report(tmp_path).read_text(encoding="utf-8")
    assert verdict in text
    assert "<b>no</b>" not in text
    keys = [figure.key for figure in report_figures(tmp_path)]
    assert keys[:3] == ["ranking", "pareto", "parallel"]
    assert [one for one in report_figures(tmp_path) if one.chart is not None] == [] or rows
