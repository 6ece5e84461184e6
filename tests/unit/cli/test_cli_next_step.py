"""A mistake is answered with what is there and the next thing to type."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hetsim.cli import invoke

SCENARIO = "name: s\npools: {}\n"


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return an empty folder to stand in, with runs and a sweep one level down."""
    monkeypatch.chdir(tmp_path)
    for name in ("a", "b"):
        folder = tmp_path / "runs" / name
        folder.mkdir(parents=True)
        for file in ("summary.json", "manifest.json"):
            (folder / file).write_text("{}")
    swept = tmp_path / "swept" / "one"
    swept.mkdir(parents=True)
    (swept / "points.parquet").write_bytes(b"")
    (swept / "manifest.json").write_text(json.dumps({}))
    return tmp_path


def said(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert invoke(list(words)) == 2
    return capsys.readouterr().err


def test_an_unknown_scenario_names_what_is_near_and_how_to_make_one(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (here / "my_pair.yaml").write_text(SCENARIO)
    text = said(capsys, "run", "nosuch")
    assert "no such file, and no shipped scenario of that name\n" in text
    assert "YAML files in .: my_pair.yaml" in text
    assert "next: hetsim new nosuch " in text and "hetsim run quickstart " in text
    assert "boundary/" not in text and max(map(len, text.splitlines())) < 120
    near = said(capsys, "run", "quickstrt")
    assert (
        "did you mean 'quickstart' (shipped)?" in near and "next: hetsim run quickstart\n" in near
    )
    beside = said(capsys, "run", "my_pear.yaml")
    assert "did you mean 'my_pair.yaml'?" in beside and "next: hetsim run my_pair.yaml\n" in beside
    assert "did you mean 'boundary/fnuz_sound' (shipped)?" in said(capsys, "run", "fnuz_sound")


def test_a_sweep_and_a_scenario_are_told_apart(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "is a sweep: hetsim sweep first_sweep" in said(capsys, "run", "first_sweep")
    assert "is a scenario: hetsim run quickstart" in said(capsys, "sweep", "quickstart")
    text = said(capsys, "rank", "joint_decison")
    assert "did you mean 'joint_decisions' (shipped)?" in text and "sweeping into" not in text
    assert "shipped: first_sweep, " in said(capsys, "sweep", "zzz")


def test_a_folder_of_runs_lists_them_with_the_command(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = said(capsys, "report", "runs")
    assert "runs: is not a run directory" in text
    assert "inside: runs/a (run), runs/b (run)" in text
    assert "next: hetsim report runs/a\n" in text and "hetsim compare runs/a runs/b\n" in text
    text = said(capsys, "compare", "runs")
    assert "compares 2 to 26 runs, not 1" in text
    assert "next: hetsim compare runs/a runs/b\n" in text
    assert "next: hetsim report swept/one\n" in said(capsys, "report", "swept")


@pytest.mark.parametrize("command", ["rank", "interactions", "robustness"])
def test_what_reads_a_sweep_says_so_of_a_run(
    here: Path, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    text = said(capsys, command, "runs/a")
    assert "runs/a: is not a finished sweep: it holds a run\n  next: hetsim report runs/a" in text
    text = said(capsys, command, "swept")
    assert f"next: hetsim {command} swept/one\n" in text
    (here / "half").mkdir()
    (here / "half" / "journal.jsonl").write_text("")
    text = said(capsys, command, "half")
    assert "it holds an unfinished sweep" in text and "--out half " in text


def test_other_places_are_answered_too(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "s.yaml").write_text(SCENARIO)
    assert "next: hetsim run s.yaml --out s.run " in said(capsys, "report", "s.yaml")
    assert "there is no such folder" in said(capsys, "report", "none")
    assert "hetsim breakeven" in said(
        capsys, "breakeven", "runs", "--along", "workload.rate=1..2 req/s"
    )
    (here / "runs" / "a" / "scenario.resolved.yaml").write_text(SCENARIO)
    text = said(capsys, "run", "runs/a")
    assert "hetsim run runs/a/scenario.resolved.yaml" in text
