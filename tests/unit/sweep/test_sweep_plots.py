"""``SweepResult.plot`` shows every simulated point once, and the front as such."""

from __future__ import annotations

import pytest

from hetsim.sweep import SweepResult, sweep, sweep_data


@pytest.fixture(scope="module")
def result() -> SweepResult:
    loads = [
        {"label": rate, "set": {"workload.rate": rate, "workload.requests": 1000}}
        for rate in ("5 req/s", "30 req/s")
    ]
    axes = [
        {"name": "n", "path": "pools.serve.instances", "levels": [1, 2, 3]},
        {"name": "seqs", "path": "pools.serve.max_seqs", "levels": [1, 4]},
        {"name": "load", "levels": loads},
    ]
    data = {"name": "plots", "base": "queue_mmc", "axes": axes, "screen": {"keep": "all"}}
    return sweep(sweep_data({**data, "replications": {"seeds": [1, 2]}}), workers=1)


def test_the_front_marks_what_no_point_beats(result: SweepResult) -> None:
    figure = result.plot.front(x="ttft_s.p50", y="goodput_req_s")
    shown = sum(len(trace.x) for trace in figure.data)
    assert shown == len(result.means()) == 12
    diamonds = sum(list(trace.marker.symbol).count("diamond") for trace in figure.data)
    assert diamonds == len(result.pareto(("ttft_s.p50", "goodput_req_s")))
    assert [trace.name for trace in figure.data] == ["5 req/s", "30 req/s"]
    with pytest.raises(KeyError, match="nonsense"):
        result.plot.front(x="nonsense")


def test_parallel_coordinates_have_every_axis_and_the_response(result: SweepResult) -> None:
    lines = result.plot.parallel().data[0]
    assert [one.label for one in lines.dimensions] == ["n", "seqs", "load", "goodput_req_s"]
    assert set(lines.dimensions[1].ticktext) == {"1", "4"}
    assert len(lines.dimensions[0]["values"]) == 12


def test_levels_are_boxes_of_equal_size_in_a_full_design(result: SweepResult) -> None:
    boxes = result.plot.levels("n").data
    assert [(box.name, len(box.y)) for box in boxes] == [("1", 4), ("2", 4), ("3", 4)]
    with pytest.raises(KeyError, match="n, seqs, load"):
        result.plot.levels("x")


def test_a_notebook_shows_the_best_points(result: SweepResult) -> None:
    page = result._repr_html_()
    assert page.count("<tr") == 1 + len(result.best) and "goodput_req_s" in page
