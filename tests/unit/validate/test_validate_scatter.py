"""Points of a figure are checked as a table; the drawing only has to come out whole."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hetsim.cli import invoke
from hetsim.validate import scatter_figure, scatter_of, validate

NOTEBOOK = Path(__file__).parents[3] / "notebooks" / "validation_scatter.ipynb"


def test_points_are_the_scored_metrics(table) -> None:
    report = validate([table({}, {"model": "nobody"}, {"grade": "C"})])
    points = scatter_of(report)
    assert [(p.row_id, p.metric) for p in points] == [
        ("R1", "ttft"), ("R1", "tpot"), ("R1", "throughput"),
    ]  # fmt: skip
    assert {p.metric: p.measured for p in points} == {"ttft": 60, "tpot": 8, "throughput": 450}
    assert all(p.predicted > 0 and p.accelerator == "H100-SXM" for p in points)


def test_a_figure_without_points_says_so() -> None:
    panels = scatter_figure([]).axes
    assert [panel.texts[0].get_text() for panel in panels] == ["no row has it"] * 3


@pytest.mark.slow
def test_plot_is_written_whole(table, tmp_path: Path, capsys) -> None:
    path = table({})
    assert invoke(["validate", str(path), "--workers", "1", "--plot", str(tmp_path / "p.png")]) == 0
    assert (tmp_path / "p.png").read_bytes()[:4] == b"\x89PNG"
    assert not list(tmp_path.glob(".p*"))


def test_an_ending_that_cannot_be_drawn_is_refused(table, tmp_path: Path, capsys) -> None:
    path = table({})
    assert invoke(["validate", str(path), "--workers", "1", "--plot", str(tmp_path / "p.txt")]) == 2
    assert "must end in .png" in capsys.readouterr().err


def test_the_notebook_is_short_and_stripped() -> None:
    cells = json.loads(NOTEBOOK.read_text())["cells"]
    code = [cell for cell in cells if cell["cell_type"] == "code"]
    assert all(not cell["outputs"] and cell["execution_count"] is None for cell in code)
    assert all(len(cell["source"]) <= 10 for cell in code)


def test_the_notebook_runs_without_data(tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.setenv("HETSIM_DATA", str(tmp_path))
    room: dict[str, object] = {}
    for cell in json.loads(NOTEBOOK.read_text())["cells"]:
        if cell["cell_type"] == "code":
            exec("".join(cell["source"]), room)
    assert "absent" in capsys.readouterr().out
