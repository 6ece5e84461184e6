"""``calibrate measure``, ``fit`` and ``links`` as typed: exit codes, what is said, what is kept."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from hetsim.calibrate import links as links_module
from hetsim.calibrate import measure as measure_module
from hetsim.calibrate.measure import MeasureReport
from hetsim.calibrate.measure import _device as device_module
from hetsim.cli import invoke
from hetsim.errors import Problem, ScenarioError


class Here:
    slug = "imaginary-1t"


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measure_module, "open_device", lambda *_, **__: Here())


def report(folder: Path, **more: Any) -> MeasureReport:
    stated: dict[str, Any] = {
        "device": "imaginary-1t",
        "samples": folder / "samples.parquet",
        "manifest": folder / "samples.json",
        "profile": None,
        "points": 3,
        "readings": 12,
        "rounds": 3,
        "moved": (1,),
        "left_out": {"longer than 0.05 s": 2},
        "unavailable": {"gemm/tf32/torch/linear": "tf32 is a format of accelerators"},
        "verdict": "inconclusive",
    }
    return MeasureReport(**{**stated, **more})


def test_a_measurement_says_what_it_did_and_what_not(
    here: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: dict[str, Any] = {}

    def run(folder: Path, **words: Any) -> MeasureReport:
        asked.update(words, folder=folder)
        return report(folder)

    monkeypatch.setattr(measure_module, "measure", run)
    words = ["calibrate", "measure", "--quick", "--out", str(tmp_path), "--date", "2026-01-02"]
    assert invoke([*words, "--family", "gemm", "--format", "bf16", "--rounds", "4"]) == 0
    options = asked["options"]
    assert (options.quick, options.families, options.formats) == (True, ("gemm",), ("bf16",))
    assert (options.rounds, asked["folder"], asked["date"]) == (4, tmp_path, "2026-01-02")
    said = capsys.readouterr().out
    for part in ("inconclusive", "2 points longer than 0.05 s", "tf32 is a format"):
        assert part in said
    assert invoke([*words, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["moved_rounds"] == [1]


def test_an_interrupted_measurement_says_that_it_goes_on(
    here: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(*_: Any, **__: Any) -> MeasureReport:
        raise KeyboardInterrupt

    monkeypatch.setattr(measure_module, "measure", run)
    monkeypatch.setattr(links_module, "measure_links", run)
    for command in ("measure", "links"):
        assert invoke(["calibrate", command, "--out", str(tmp_path)]) == 130
        assert "the same command goes on" in capsys.readouterr().err


def test_without_torch_measuring_is_wrong_input_and_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def missing(name: str) -> Any:
        raise ImportError(name)

    monkeypatch.setattr(device_module, "import_module", missing)
    assert invoke(["calibrate", "measure"]) == 2
    assert "pip install 'hetsim[calibrate]'" in capsys.readouterr().err


def test_links_need_no_torch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def missing(*_: Any, **__: Any) -> Any:
        raise ScenarioError(Problem("torch is not installed"))

    asked: list[Path] = []

    def run(folder: Path, **_: Any) -> Any:
        asked.append(folder)
        raise ScenarioError(Problem("enough"))

    monkeypatch.setattr(measure_module, "open_device", missing)
    monkeypatch.setattr(links_module, "measure_links", run)
    assert invoke(["calibrate", "links"]) == 2
    assert asked[0].parent == Path("calibration") and asked[0].name.endswith("-1t")
    assert "enough" in capsys.readouterr().err


def test_a_fit_of_nothing_names_the_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert invoke(["calibrate", "fit", str(tmp_path / "none.parquet")]) == 2
    assert "none.parquet: does not exist" in capsys.readouterr().err
    pd.DataFrame({"a": [1]}).to_parquet(tmp_path / "samples-x.parquet")
    assert invoke(["calibrate", "fit", str(tmp_path)]) == 2
    assert "column 'time_s' is missing" in capsys.readouterr().err
    assert len(list(tmp_path.iterdir())) == 1
