from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import hetsim

HOSTILE = "<script>alert(1)</script>"


@pytest.fixture(scope="session")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run directory whose scenario has a hostile name."""
    folder = tmp_path_factory.mktemp("report") / "run"
    hetsim.run("quickstart", sets=[("name", HOSTILE), "workload.requests=120"], out=folder)
    return folder


@pytest.fixture(scope="session")
def sweep_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sweep directory of 2000 simulated points with a hostile level."""
    folder = tmp_path_factory.mktemp("report") / "sweep"
    folder.mkdir()
    number = range(2000)
    table = pd.DataFrame(
        {
            "point": number,
            "seed": 1,
            "axis.device": [HOSTILE, *(f"d{n}" for n in number[1:])],
            "status": "simulated",
            "reason": "",
            "calibration_grade": "fitted",
            "goodput_req_s": [2000.0 - n for n in number],
            "cost_usd_per_mtok": [1.0 + (n * 37 % 2000) / 1000 for n in number],
        }
    )
    table.to_parquet(folder / "points.parquet")
    manifest = {
        "name": HOSTILE,
        "axes": {"device": "decision"},
        "seeds": [1],
        "response": {"metric": "goodput_req_s", "sense": None},
        "screen": {"keep": "all", "objectives": []},
        "sweep": {"name": HOSTILE},
        "base": {"name": HOSTILE},
        "wall_s": 0.1,
    }
    (folder / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    return folder


@pytest.fixture(scope="session")
def result(run_folder: Path) -> Any:
    return hetsim.load_result(run_folder)


@pytest.fixture(scope="session")
def html(run_folder: Path) -> str:
    from hetsim.report import report

    return report(run_folder).read_text(encoding="utf-8")
