"""Runs side by side."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import hetsim
from hetsim.cli import invoke
from hetsim.errors import ScenarioError
from hetsim.report import Comparison, change_text, compare, compare_report


@pytest.fixture(scope="module")
def folders(run_folder: Path) -> list[str]:
    other = run_folder.parent / "other"
    if not other.exists():
        sets = ["workload.requests=120", "pools.decode.accelerator=h100"]
        hetsim.run("quickstart", sets=sets, out=other)
    return [str(run_folder), str(other)]


@pytest.fixture(scope="module")
def found(folders: list[str]) -> Comparison:
    return compare(folders)


def test_only_fields_that_differ_are_listed(found: Comparison) -> None:
    rows = {row["path"]: row["values"] for row in found.scenario}
    assert rows["pools.decode.accelerator"] == ["h200", "h100"]
    assert "workload.requests" not in rows and "name" not in rows


def test_changes_are_against_the_first_run(found: Comparison) -> None:
    row = next(row for row in found.result if row["name"] == "TPOT p50")
    low, high = (result.summary["tpot_s"]["p50"] for result in found.results)
    assert row["change"] == [0.0, pytest.approx(high / low - 1.0)]
    assert row["change"][1] > 0.1


def test_the_parts_of_the_path_add_up_to_the_difference(found: Comparison) -> None:
    total = sum(row["mean_s"][1] - row["mean_s"][0] for row in found.path)
    means = [result.summary["e2e_s"]["mean"] for result in found.results]
    assert total == pytest.approx(means[1] - means[0], rel=1e-6)
    assert "longer than in A" in found.sentences()[0] and "decode +" in found.sentences()[0]


def test_equal_runs_differ_in_nothing(folders: list[str]) -> None:
    same = compare([folders[0], folders[0]])
    assert same.scenario == []
    assert all(not change for row in same.result for change in row["change"])


def test_requests_that_differ_are_a_doubt(found: Comparison, tmp_path: Path, folders: Any) -> None:
    assert not any("requests differ" in line for line in found.doubts())
    hetsim.run("quickstart", sets=["workload.requests=60"], seed=5, out=tmp_path / "seed")
    doubts = compare([folders[0], tmp_path / "seed"]).doubts()
    assert any("requests differ" in line for line in doubts)


def test_the_terminal_has_80_columns(
    folders: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert invoke(["compare", *folders]) == 0
    text = capsys.readouterr().out
    assert max(map(len, text.splitlines())) <= 80
    for part in ("differs in the scenario", "result (change against A)", "where it comes from"):
        assert part in text


def test_json_holds_everything(folders: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke(["compare", *folders, "--json"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert [run["run"] for run in data["runs"]] == ["A", "B"]
    assert set(data) == {"runs", "scenario", "result", "critical_path", "says", "doubts"}


def test_the_page_escapes_names_and_says_what_differs(found: Comparison, tmp_path: Path) -> None:
    text = compare_report(found, tmp_path / "c.html").read_text(encoding="utf-8")
    assert "<script>alert" not in text and "&lt;script&gt;alert(1)" in text
    assert "pools.decode.accelerator: h200 / h100" in text


def test_what_is_no_run_is_refused_all_at_once(
    tmp_path: Path, sweep_folder: Path, folders: list[str]
) -> None:
    with pytest.raises(ScenarioError) as caught:
        compare([folders[0], tmp_path, sweep_folder])
    text = str(caught.value)
    assert "is not a run directory" in text and "is a sweep" in text
    with pytest.raises(ScenarioError, match="2 to 26 runs, not 1"):
        compare(folders[:1])


def test_changes_in_words() -> None:
    assert [change_text(c) for c in (None, 0.0, 0.5, -0.02, 4.0)] == [
        "", "", " (+50%)", " (-2.0%)", " (x 5)",
    ]  # fmt: skip
