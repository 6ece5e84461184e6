from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import hetsim
from hetsim.report import report_figures
from hetsim.report._chart import (
    Bars,
    Edge,
    Graph,
    Grid,
    Group,
    Line,
    Lines,
    Parallel,
    ParallelAxis,
    Points,
    Span,
    Spans,
)
from hetsim.report._ownership import (
    SAMPLE,
    _most,
    held_frame,
    held_totals,
    ownership_figures,
    sample,
)
from hetsim.report._plotly import plotly_spec
from hetsim.report._run_figures import (
    latency_figures,
    limits_figure,
    path_figure,
    stage_figures,
    transfer_figure,
)


def test_limits_are_the_percentile_over_the_objective_and_the_pressure(result: Any) -> None:
    figure, summary = limits_figure(result), result.summary
    shares = dict(zip(figure.chart.rows, figure.chart.parts["share of the limit"], strict=True))
    ttft = np.percentile(result.requests["ttft_s"], 99)
    assert shares["TTFT p99"] == pytest.approx(ttft / summary["slo"]["ttft_s"])
    assert shares["pool prefill"] == summary["stages"]["prefill"]["pressure"]
    assert "E2E latency p99" not in shares
    assert [row[0] for row in figure.table.rows] == figure.chart.rows
    assert figure.chart.limit == (1.0, "limit")


def test_latencies_carry_their_slo_line_in_the_unit_of_the_axis() -> None:
    result = hetsim.run("quickstart", sets=["workload.requests=60", "slo.tpot=9 ms"])
    tpot = latency_figures(result)[1]
    assert tpot.chart.x_label == "TPOT (ms)"
    assert tpot.chart.limit == (pytest.approx(9.0), "SLO 9 ms")
    within = float((result.requests["tpot_s"] <= 9e-3).mean())
    assert dict(tpot.table.rows)["within the SLO"] == f"{within:.2%}"


def test_a_far_slo_is_said_and_not_drawn(result: Any) -> None:
    tpot = latency_figures(result)[1]
    assert tpot.chart.limit is None
    assert "beyond the right edge" in tpot.says


def test_the_path_adds_up_to_the_latency(result: Any) -> None:
    chart = path_figure(result).chart
    factor = 1.0 if "(s)" in chart.x_label else 1e-3
    total = sum(values[0] for values in chart.parts.values()) * factor
    assert total == pytest.approx(result.summary["e2e_s"]["mean"])


def test_stages_have_a_line_and_a_row_for_every_pool(result: Any) -> None:
    for figure in stage_figures(result)[:2]:
        assert [line.name for line in figure.chart.lines] == ["prefill", "decode"]
        assert [row[0] for row in figure.table.rows] == ["prefill", "decode"]


def test_every_hand_off_is_a_point(result: Any) -> None:
    figure = transfer_figure(result)
    assert [len(group.x) for group in figure.chart.groups] == [len(result.transfers)]
    assert figure.table.rows[0][:2] == ("handoff", "120")


def test_many_transfers_are_thinned_and_the_reader_is_told(result: Any) -> None:
    class Long:
        transfers = pd.concat([result.transfers] * 30, ignore_index=True)

    figure = transfer_figure(Long())  # type: ignore[arg-type]
    assert len(figure.chart.groups[0].x) <= 1500
    assert f"of {len(Long.transfers)}" in figure.says
    assert figure.table.rows[0][1] == f"{len(Long.transfers)}"


def test_holds_follow_the_request_from_prefill_to_the_last_token(result: Any) -> None:
    request = sample(result)[3]
    held = held_frame(result, [request])
    row = result.requests.set_index("request_id").loc[request]
    moved = result.transfers.set_index("request_id").loc[request]
    by = held.set_index(["owner", "state"])
    assert (held["bytes"] == moved["bytes"]).all()
    assert by.loc[("P.scheduler", "prefilling"), "start_s"] == row["prefill_start_s"]
    assert by.loc[("P.scheduler", "prefilling"), "end_s"] == pytest.approx(row["prefill_end_s"])
    assert by.loc[("D.scheduler", "decoding"), "end_s"] == pytest.approx(row["last_token_s"])
    # The prefill side lets go only after the KV has landed.
    landed = moved["start_s"] + moved["duration_s"]
    assert by.loc[("P.connector", "leased"), "end_s"] >= landed


def test_totals_count_what_is_held_at_a_moment() -> None:
    held = pd.DataFrame(
        {
            "owner": ["P", "P", "D"],
            "start_s": [0.0, 1.0, 2.0],
            "end_s": [2.0, 3.0, 4.0],
            "bytes": [10.0, 5.0, 7.0],
        }
    )
    at, lines = held_totals(held, 4.0)
    seen = {name: dict(zip(at.round(6), values, strict=True)) for name, values in lines.items()}
    assert [seen["P"][t] for t in (0.5, 1.5, 2.5, 3.5)] == [10.0, 15.0, 5.0, 0.0]
    assert [seen["D"][t] for t in (1.5, 3.0, 4.0)] == [0.0, 7.0, 0.0]
    assert _most(held[held["owner"] == "P"]) == 15.0


def test_what_ends_makes_room_for_what_begins_at_the_same_moment() -> None:
    held = pd.DataFrame({"start_s": [0.0, 1.0], "end_s": [1.0, 2.0], "bytes": [4.0, 4.0]})
    assert _most(held) == 4.0


def test_nothing_is_held_when_all_is_over(result: Any) -> None:
    _, lines = held_totals(held_frame(result), float(result.summary["simulated_s"]))
    assert {name: values[-1] for name, values in lines.items()} == dict.fromkeys(lines, 0.0)


def test_the_sample_runs_from_the_fastest_to_the_slowest(result: Any) -> None:
    chosen = result.requests.set_index("request_id")["e2e_s"].loc[sample(result)]
    assert len(chosen) == SAMPLE == chosen.index.nunique()
    assert chosen.is_monotonic_increasing
    assert chosen.iloc[0] == result.requests["e2e_s"].min()
    assert chosen.iloc[-1] == result.requests["e2e_s"].max()


def test_the_close_view_is_cut_and_says_so(result: Any) -> None:
    _, whole, close = ownership_figures(result)
    assert "cut" in close.says
    assert "(ms)" in close.chart.x_label
    assert {s.group for s in close.chart.spans} == {s.group for s in whole.chart.spans}
    rows = [row[1:3] for row in whole.table.rows]
    assert len(rows) == len(whole.chart.spans)


def test_a_pool_that_keeps_its_kv_has_no_owners_to_draw() -> None:
    result = hetsim.run("colocated_baseline", sets=["workload.requests=20"])
    figures = [*ownership_figures(result), transfer_figure(result)]
    assert all(figure.chart is None and figure.says for figure in figures)


def test_a_run_in_which_nothing_happened_has_a_report(tmp_path: Path) -> None:
    sets = ["workload.requests=20", "horizon=1 ms"]
    hetsim.run("quickstart", sets=sets, out=tmp_path / "run")
    figures = {figure.key: figure for figure in report_figures(tmp_path / "run")}
    assert figures["ttft"].chart is None
    assert figures["path"].says == "No request finished."
    text = hetsim.report.report(tmp_path / "run").read_text(encoding="utf-8")
    assert "Nothing can be said: no request arrived." in text


ONE = np.array([0.0, 1.0])
GAP = np.array([[0.3, np.nan]])


@pytest.mark.parametrize(
    "chart",
    [
        Lines("x", "y", [Line("<b>", ONE, ONE)], limit=(0.5, "<i>"), share=True, x_end=1.0),
        Bars("x", ["<b>"], {"<i>": [0.3]}, limit=(1.0, "limit"), share=True),
        Spans("x", ["<b>"], [Span("<b>", 0.0, 2.0, "<i>", "<u>")]),
        Bars("x", ["<b>"], {"<i>": [0.3], "b": [-0.3]}, grouped=True),
        Points("x", "y", [Group("<b>", ONE, ONE, ["<i>", "<u>"], joined=True)], log=True),
        Grid("x", "y", ["<b>"], ["<i>"], GAP, [["<u>", ""]], "<b>", share=True, span=(0.0, 1.0)),
        Graph(["<b>", "<i>"], [Edge("<b>", "<i>", "<u>", "<b>")], ("<u>", "other")),
        Parallel([ParallelAxis("<b>", [(0.0, "<i>")])] * 2, {"<u>": np.array([ONE, ONE])}),
    ],
    ids=lambda chart: type(chart).__name__,
)
def test_specifications_are_what_plotly_accepts_and_escaped(chart: Any) -> None:
    import json

    from plotly.graph_objects import Figure

    spec = plotly_spec(chart)
    Figure(spec)  # raises at a property that plotly does not know
    text = json.dumps(spec, allow_nan=False)
    assert "<" not in text
    assert "&lt;" in text


def test_paper_knows_every_shape(tmp_path: Path) -> None:
    from hetsim.report._chart import Figure, Table
    from hetsim.report._print import draw_figures

    charts = [
        Bars("x", ["a"], {"b": [0.3], "c": [0.1]}, grouped=True),
        Grid("x", "y", ["a", "b"], ["c"], GAP, [["u", ""]], "z"),
        Graph(["a", "b"], [Edge("a", "b", "tie", "")], ("tie",)),
        Parallel([ParallelAxis("a", [(0.0, "low")])] * 2, {"g": np.array([ONE, ONE])}),
    ]
    figures = [Figure(f"f{n}", "$t$", "", c, Table((), [])) for n, c in enumerate(charts)]
    paths = draw_figures(figures, tmp_path)
    assert {path.suffix for path in paths} == {".svg", ".png", ".pdf"}
    assert len(paths) == 12 and all(path.stat().st_size > 2000 for path in paths)
    again = {path.name: path.read_bytes() for path in paths}
    assert {p.name: p.read_bytes() for p in draw_figures(figures, tmp_path)} == again


def test_a_missing_number_is_a_gap() -> None:
    spec = plotly_spec(Lines("x", "y", [Line("a", ONE, np.array([np.nan, 2.0]))]))
    assert spec["data"][0]["y"] == [None, 2.0]
