"""The whole way: a small sweep by capacity, its answers, and the files beside it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hetsim.cli import invoke
from hetsim.decisions import interactions, responses, robustness
from hetsim.errors import ScenarioError
from hetsim.sweep import load_sweep_result, sweep, sweep_data
from hetsim.sweep._designs import design_points
from hetsim.sweep._types import Fractional

AXES = [
    {"name": "decode", "path": "pools.decode.accelerator", "levels": ["h200", "h100"]},
    {"name": "kv", "path": "pools.decode.precision.kv", "levels": ["bf16", "fp8_e4m3"]},
    {
        "name": "regime",
        "levels": [
            {"label": "short", "set": {"workload.output.mean": 50}},
            {"label": "long", "set": {"workload.output.mean": 400}},
        ],
    },
]


def small(**more: Any) -> Any:
    from hetsim.scenario import load_scenario

    base = load_scenario(
        "quickstart", sets=["workload.requests=60", "boundary.convert_at=producer"]
    )
    data = {
        "name": "small",
        "base": base.data,
        "axes": AXES,
        "replications": {"seeds": [1, 2]},
        "response": {"metric": "goodput_req_per_usd", "measure": "capacity"},
        "screen": {"keep": "all"},
        **more,
    }
    return sweep_data(data)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("decisions") / "small.sweep"
    sweep(small(), out=made, workers=1)
    return made


def test_points_near_the_base_stand_in_every_condition_and_after_the_fraction() -> None:
    design = Fractional(kind="fractional", fraction=3, near_base=1)
    points = design_points(design, (3, 3, 2), {}, decisions=(0, 1))
    alone = design_points(Fractional(kind="fractional", fraction=3), (3, 3, 2), {})
    assert (points[: len(alone)] == alone).all()
    near = {tuple(p) for p in points.tolist()}
    for condition in (0, 1):
        for level in range(3):
            assert (level, 0, condition) in near
            assert (0, level, condition) in near
    assert len(near) == len(points)


@pytest.mark.slow
def test_interactions_of_a_real_sweep_have_the_promised_shape(folder: Path) -> None:
    found = interactions(load_sweep_result(folder))
    assert json.loads((folder / "decisions" / "interactions.json").read_text())["regimes"]
    assert list(found["regimes"]) == ["short", "long"]
    for one in found["regimes"].values():
        pairs = [(pair["a"], pair["b"]) for pair in one["pairs"]]
        assert pairs == [("decode", "kv"), ("decode", "regime"), ("kv", "regime")]
        assert one["undecided"] == sum(p["verdict"] == "undecided" for p in one["pairs"])
        assert {name for part in one["components"] for name in part} == {"decode", "kv"}
        for pair in one["pairs"]:
            low, high = pair["regret_ci"]
            assert 0.0 <= low <= high
            assert {"share", "share_ci", "regret", "verdict"} <= set(pair)


@pytest.mark.slow
def test_values_are_those_of_the_points(folder: Path) -> None:
    result = load_sweep_result(folder)
    data = responses(result)
    table = result.points
    for one in data:
        part = table[table["axis.regime"] == one.regime]
        raw = part["goodput_req_per_usd"].to_numpy().reshape(-1, 2)
        assert np.array_equal(one.values, raw)
        assert one.feasible.all()
        assert len(one.codes) == 4


@pytest.mark.slow
def test_robustness_names_the_design_that_loses_least_where_it_loses_most(folder: Path) -> None:
    found = robustness(load_sweep_result(folder))
    assert (folder / "decisions" / "robustness.json").is_file()
    worst = [row["worst_regret"] for row in found["table"]]
    assert found["minimax"]["worst_regret"] == min(worst)
    for regime, winner in found["winners"].items():
        row = next(row for row in found["table"] if row["levels"] == winner)
        assert (row["regret"][regime], row["rank"][regime]) == (0.0, 1)
    assert {one["regime"] for one in found["recut"]["minimax"]} == {"short", "long"}


@pytest.mark.slow
@pytest.mark.parametrize("command", ["interactions", "robustness"])
def test_pages_fit_eighty_columns_and_json_is_one_object(
    folder: Path, command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert invoke([command, str(folder)]) == 0
    assert max(map(len, capsys.readouterr().out.splitlines())) <= 80
    assert invoke([command, str(folder), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["name"] == "small"


@pytest.mark.slow
def test_a_sweep_that_leaves_points_out_is_refused(tmp_path: Path) -> None:
    response = {"metric": "goodput_req_s"}
    made = small(response=response, screen={"keep": "winner", "round": 1})
    result = sweep(made, workers=1)
    result.points.loc[0, "status"] = "screened"
    with pytest.raises(ScenarioError, match="keep: all"):
        interactions(result)


@pytest.mark.slow
def test_a_fixed_rate_warns_where_designs_cannot_be_told_apart() -> None:
    made = small(response={"metric": "goodput_req_s"}, axes=AXES[:2])
    found = interactions(sweep(made, workers=1))
    assert list(found["regimes"]) == ["all"]
    assert any("measure: capacity" in note for note in found["notes"])
