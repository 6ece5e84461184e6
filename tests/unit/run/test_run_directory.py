from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import hetsim
from hetsim.errors import ScenarioError
from hetsim.run._directory import RunDirectory

FILES = {
    "summary.json", "manifest.json", "scenario.resolved.yaml", "requests.parquet", "steps.parquet",
    "transfers.parquet", "ownership.parquet", "occupancy.parquet",
}  # fmt: skip


def test_a_run_directory_is_whole_and_reads_back(queue: Any, tmp_path: Path) -> None:
    out = tmp_path / "new" / "run"
    made = hetsim.run(queue(), out=out)
    assert {path.name for path in out.iterdir()} >= FILES
    assert [path.name for path in out.parent.iterdir()] == ["run"]
    back = hetsim.load_result(out)
    assert back.to_json() == made.to_json()
    assert back.requests.equals(made.requests)
    again = hetsim.run(out / "scenario.resolved.yaml")
    assert again.requests.equals(made.requests)


def test_a_full_place_is_refused_unless_told(queue: Any, tmp_path: Path) -> None:
    out = tmp_path / "run"
    hetsim.run(queue(), out=out)
    (out / "old").touch()
    with pytest.raises(ScenarioError, match="--overwrite"):
        hetsim.run(queue(), out=out)
    hetsim.run(queue(), out=out, overwrite=True)
    assert not (out / "old").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_what_is_no_run_directory_is_never_deleted(queue: Any, tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(ScenarioError, match="not a run directory"):
        hetsim.run(queue(), out=tmp_path, overwrite=True)
    assert (tmp_path / "thesis.tex").read_text() == "years of work"


def test_a_file_in_the_way_and_a_place_below_a_file(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    for place in (file, file / "below", tmp_path / ("x" * 300), Path("a\0b")):
        with pytest.raises(ScenarioError, match=r"is a file|cannot be written"):
            RunDirectory(place)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError, SystemExit])
def test_a_run_that_breaks_leaves_nothing(
    queue: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: type[BaseException]
) -> None:
    def broken(*_: Any) -> Any:
        assert list(tmp_path.rglob("*.partial"))
        raise error

    monkeypatch.setattr("hetsim.run._run.simulate", broken)
    with pytest.raises(error):
        hetsim.run(queue(), out=tmp_path / "a" / "b")
    assert list(tmp_path.iterdir()) == []


def test_a_broken_overwrite_keeps_the_old_run(
    queue: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "run"
    before = hetsim.run(queue(), out=out).to_json()

    def broken(*_: Any) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr("hetsim.run._run.simulate", broken)
    with pytest.raises(KeyboardInterrupt):
        hetsim.run(queue(), out=out, overwrite=True)
    assert hetsim.load_result(out).to_json() == before
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_a_half_directory_is_named(tmp_path: Path) -> None:
    with pytest.raises(ScenarioError, match="not a run directory"):
        hetsim.load_result(tmp_path)
