"""``Result.plot`` draws what the tables say, into the axes that it is given."""

from __future__ import annotations

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.figure import Figure

from hetsim.run import Result, run


@pytest.fixture(scope="module")
def result() -> Result:
    mpl.use("agg")
    return run("quickstart", sets=["workload.requests=80"])


def test_a_latency_ends_at_all_requests_and_shows_its_objective(result: Result) -> None:
    axes = Figure().subplots()
    assert result.plot.latency("tpot", axes) is axes
    line = axes.lines[0]
    assert line.get_ydata()[-1] == pytest.approx(1.0)
    largest = result.requests["tpot_s"].max()
    assert line.get_xdata()[-1] == pytest.approx(largest * 1e3)
    assert "SLO" in axes.get_title()
    with pytest.raises(KeyError, match="ttft, tpot, e2e"):
        result.plot.latency("itl")


def test_lines_over_time_have_one_line_for_each_pool(result: Result) -> None:
    for draw in (result.plot.utilisation, result.plot.kv_occupancy):
        axes = draw(Figure().subplots())
        labels = [line.get_label() for line in axes.lines]
        assert labels == list(result.summary["stages"])
        assert all(np.min(line.get_ydata()) >= -1e-9 for line in axes.lines)
    assert len(result.plot.backlog(Figure().subplots()).lines) == 4


def test_the_bars_of_the_critical_path_add_up_to_the_latency(result: Result) -> None:
    axes = result.plot.critical_path(Figure().subplots())
    first = [bar for bar in axes.patches if abs(bar.get_y() + 0.5 * bar.get_height()) < 0.01]
    scale = 1.0 if "(s)" in axes.get_xlabel() else 1e3
    total = sum(bar.get_width() for bar in first) / scale
    assert total == pytest.approx(result.requests["e2e_s"].mean(), rel=0.01)


def test_left_out_axes_are_made_and_the_overview_writes_nothing(result: Result) -> None:
    import matplotlib.pyplot as plt

    axes = result.plot.latency()
    assert axes.figure in map(plt.figure, plt.get_fignums())
    plt.close("all")
    assert len(result.plot.overview().axes) == 7
    assert result.folder is None
