from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from hetsim.report import report, report_figures
from hetsim.report._sweep import ranked, ranking_figure, sweep_answer, sweep_figures
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


def test_points_are_ranked_within_their_condition() -> None:
    table = ranked(made(FOUR)).set_index("point")["rank"]
    assert table.to_dict() == {1: 1, 0: 2, 2: 1, 3: 2}


def test_less_is_better_for_costs() -> None:
    costs = {"metric": "cost_usd_per_mtok", "sense": None}
    table = ranked(made(FOUR, response=costs)).set_index("point")["rank"]
    assert table.to_dict() == {0: 1, 1: 2, 2: 1, 3: 2}


def test_the_answer_names_winner_runner_up_and_distance() -> None:
    answer = sweep_answer(made(FOUR[:2]))
    assert answer.verdict == "Recommended by goodput_req_s: device fast."
    text = dict(answer.points)["load low"]
    assert text == "device fast: goodput_req_s 4. Runner-up: device slow, worse by 50.0%."
    assert dict(answer.points)["What binds?"] == "decode-bound"


def test_conditions_with_different_winners_get_no_single_recommendation() -> None:
    answer = sweep_answer(made(FOUR))
    assert "differs by condition" in answer.verdict
    assert {"load low", "load high"} <= set(dict(answer.points))


def test_a_winner_that_misses_its_slo_is_no_recommendation_without_a_word() -> None:
    late = [row(0, "slow", "low", 2.0, 1.0, slo_met=False, slo_attainment=0.5)]
    answer = sweep_answer(made(late))
    assert answer.good is None
    assert "does not hold" in answer.verdict
    assert any("50.0%" in line for line in answer.unknown)
    assert "No other design" in dict(answer.points)["load low"]


def test_the_front_holds_what_is_not_beaten() -> None:
    beaten = row(2, "dear", "low", 1.0, 5.0)
    figure = sweep_figures(made([*FOUR[:2], beaten]))[0]
    front, rest = figure.chart.groups
    assert sorted(front.x) == [1.0, 3.0]
    assert list(rest.y) == [1.0]
    assert "2 of 3" in figure.says


def test_the_table_of_the_ranking_is_limited_and_says_so() -> None:
    many = [row(n, f"d{n}", "low", float(n), 1.0) for n in range(60)]
    figure = ranking_figure(made(many))
    assert len(figure.table.rows) == 50
    assert figure.table.rows[0][:2] == ("1", "device d59, load low")
    assert "12 of 60" in figure.says and "holds 50" in figure.says


FAILED = row(0, "slow", "low", float("nan"), float("nan"), status="failed", reason="<b>no</b>")


@pytest.mark.parametrize(
    ("rows", "verdict"),
    [
        ([], "No design can be recommended."),
        ([FAILED], "No design can be recommended."),
        (FOUR[:1], "Recommended by goodput_req_s: device slow."),
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
    assert [figure.key for figure in report_figures(tmp_path)] == ["ranking", "pareto"]
