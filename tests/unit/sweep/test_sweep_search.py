"""Searching a space: trials are kept, a restart goes on, what is beaten is not simulated."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from hetsim.errors import ScenarioError
from hetsim.sweep import search, sweep_data
from hetsim.sweep._journal import Journal

pytest.importorskip("optuna")
pytestmark = pytest.mark.filterwarnings("ignore")  # of Optuna: journal storage is experimental

AXES: list[dict[str, Any]] = [
    {"name": "instances", "path": "pools.serve.instances", "levels": [1, 2, 4]},
    {"name": "slots", "path": "pools.serve.max_seqs", "levels": [1, 2, 4]},
    {
        "name": "requests",
        "path": "workload.requests",
        "levels": [60],
    },
]


def space(**changes: Any) -> Any:
    data: dict[str, Any] = {
        "name": "look",
        "base": "queue_mmc",
        "axes": AXES,
        "screen": {"objectives": ["goodput_req_s", "power_w"]},
    }
    return sweep_data({**data, **changes}, enumerate_points=False)


def test_a_search_resumes_and_simulates_no_point_twice(tmp_path: Path) -> None:
    first = search(space(), out=tmp_path, trials=8, workers=1)
    again = search(space(), out=tmp_path, trials=20, workers=1)
    assert (first["trials"], again["trials"]) == (8, 20)
    assert again["simulated"] + again["screened"] + again["failed"] == 20
    assert len(Journal(tmp_path / "journal.jsonl").rows) <= 9
    values = [point["values"] for point in again["front"]]
    assert values
    for one in values:
        assert not any(
            other["goodput_req_s"] > one["goodput_req_s"] and other["power_w"] < one["power_w"]
            for other in values
        )


def test_a_search_is_within_one_condition(tmp_path: Path) -> None:
    rates = {"name": "rate", "path": "workload.rate", "levels": ["1 req/s", "2 req/s"]}
    with pytest.raises(ScenarioError, match="fix rate"):
        search(space(axes=[*AXES, rates]), out=tmp_path / "x", trials=5)
