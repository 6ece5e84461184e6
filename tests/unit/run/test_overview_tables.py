from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import hetsim
from hetsim.run import draw_overview, overview_tables
from hetsim.run._overview import _covered, cdf_table, path_table, stages_table


@pytest.fixture(scope="module")
def result() -> Any:
    return hetsim.run("quickstart", sets=["workload.requests=120"])


def test_covered_is_the_integral_by_hand() -> None:
    edges = np.array([0.0, 1.0, 2.0, 3.0])
    start, end = np.array([0.5, 0.0]), np.array([2.5, 1.0])
    found = _covered(start, end, edges, np.array([1.0, 10.0]))
    assert found == pytest.approx([0.5 + 10.0, 1.0, 0.5])


def test_cdfs_end_at_one_and_hold_the_percentiles(result: Any) -> None:
    for table, key in zip(cdf_table(result), ("ttft_s", "tpot_s", "e2e_s"), strict=True):
        assert table.share[-1] == 1.0
        assert (np.diff(table.value_s) >= 0).all()
        median = table.value_s[np.searchsorted(table.share, 0.5)]
        assert median == result.summary[key]["p50"]
    assert [table.slo_s for table in cdf_table(result)] == [1.0, 0.03, None]


def test_lines_average_to_the_summary(result: Any) -> None:
    busy, held = stages_table(result)
    for name, stage in result.summary["stages"].items():
        assert busy.lines[name].mean() == pytest.approx(stage["utilisation"], rel=1e-9)
        assert held.lines[name].max() <= stage["kv_occupancy_max"] + 1e-12
        assert busy.lines[name].max() <= 1.0 + 1e-9


def test_backlog_obeys_littles_law(result: Any) -> None:
    tables = overview_tables(result)
    inside = sum(line.mean() for line in tables["backlog"].lines.values())
    rows = result.requests
    time_inside = (rows["last_token_s"] - rows["arrival_s"]).sum()
    assert inside == pytest.approx(time_inside / result.summary["simulated_s"], rel=1e-9)


def test_bars_add_up_to_the_latency(result: Any) -> None:
    bars = path_table(result)
    assert [bar.name for bar in bars] == ["all requests", "slowest 10 %"]
    assert sum(bars[0].parts.values()) == pytest.approx(result.summary["e2e_s"]["mean"])
    assert sum(bars[1].parts.values()) > sum(bars[0].parts.values())


@pytest.mark.slow
def test_the_figure_is_written_and_labelled(result: Any, tmp_path: Path) -> None:
    figure = draw_overview(result, tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["overview.png", "overview.svg"]
    for axes in figure.axes:
        label = axes.get_xlabel()
        assert "(s)" in label or "(ms)" in label, label
        assert axes.get_ylabel() or axes.get_yticklabels()


@pytest.mark.slow
def test_a_run_in_which_nothing_finished_is_drawn(tmp_path: Path) -> None:
    lost = hetsim.run("quickstart", sets=["workload.requests=20", "horizon=1 ms"])
    assert lost.summary["requests"]["finished"] == 0
    draw_overview(lost, tmp_path)
