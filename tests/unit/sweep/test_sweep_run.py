"""Running a sweep: the same points whatever the workers, interruptions and history."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from hetsim.errors import ScenarioError
from hetsim.sweep import SweepResult, load_sweep_result, sweep, sweep_data
from hetsim.sweep import _workers as workers_module
from hetsim.sweep._journal import Journal
from hetsim.sweep._lock import DirectoryLock

BASE: dict[str, Any] = {
    "name": "constant",
    "model": "llama-3.1-8b",
    "workload": {
        "kind": "poisson",
        "rate": "40 req/s",
        "requests": 30,
        "input": {"kind": "lognormal", "mean": 100, "cv": 0.8},
        "output": {"kind": "lognormal", "mean": 20, "cv": 0.8},
    },
    "pools": {
        "serve": {
            "role": "both",
            "accelerator": "h100",
            "instances": 1,
            "parallel": {"tp": 1},
            "precision": {"weights": "bf16", "compute": "bf16", "kv": "bf16"},
            "runtime": "ideal",
            "max_seqs": 8,
            "estimator": {
                "kind": "constant",
                "prefill": "20 ms",
                "decode_step": "10 ms",
                "blocks": 2000,
            },
        }
    },
    "slo": {"ttft": "1 s", "tpot": "30 ms"},
}


def axis(name: str, path: str, *levels: Any) -> dict[str, Any]:
    return {"name": name, "path": path, "levels": list(levels)}


def plan(**changes: Any) -> Any:
    data: dict[str, Any] = {
        "name": "tiny",
        "base": BASE,
        "axes": [
            axis("instances", "pools.serve.instances", 1, 2, 3, 4),
            axis("slots", "pools.serve.max_seqs", 1, 4, 16),
            axis("rate", "workload.rate", "20 req/s", "200 req/s"),
        ],
        "replications": {"seeds": [1, 2]},
        "screen": {"keep": "winner", "round": 3},
    }
    return sweep_data({**data, **changes})


def test_rows_are_points_times_seeds_in_order() -> None:
    result = sweep(plan(), workers=1)
    table = result.points
    assert table["point"].tolist() == [point for point in range(24) for _ in range(2)]
    assert table["seed"].tolist() == [1, 2] * 24
    assert set(table["status"]) == {"simulated", "screened"}
    done = table[table.status == "simulated"]
    assert (done["goodput_req_s"] <= done["bound"] * (1 + 1e-9)).all()
    assert done["content_hash"].nunique() == len(done)
    assert "wall_s" not in table


def test_results_are_the_same_for_any_number_of_workers(tmp_path: Path) -> None:
    one = sweep(plan(), workers=1, out=tmp_path / "one")
    two = sweep(plan(), workers=2, out=tmp_path / "two")
    pd.testing.assert_frame_equal(one.points, two.points, check_exact=True)
    files = [tmp_path / name / "points.parquet" for name in ("one", "two")]
    assert files[0].read_bytes() == files[1].read_bytes()


def test_a_second_run_simulates_nothing(tmp_path: Path) -> None:
    first = sweep(plan(), workers=1, out=tmp_path)
    again = sweep(plan(), workers=1, out=tmp_path)
    assert first.manifest["simulated_now"] > 0
    assert again.manifest["simulated_now"] == 0
    pd.testing.assert_frame_equal(first.points, again.points)
    pd.testing.assert_frame_equal(load_sweep_result(tmp_path).points, again.points)


def test_an_interrupted_sweep_screens_the_same_points(tmp_path: Path) -> None:
    whole = sweep(plan(), workers=1, out=tmp_path)
    journal = (tmp_path / "journal.jsonl").read_bytes().splitlines(keepends=True)
    for kept in (0, 1, 5, len(journal) - 1):
        (tmp_path / "journal.jsonl").write_bytes(b"".join(journal[:kept]))
        resumed = sweep(plan(), workers=1, out=tmp_path)
        assert resumed.manifest["simulated_now"] == len(journal) - kept
        pd.testing.assert_frame_equal(whole.points, resumed.points)


def test_a_new_level_computes_only_what_is_new(tmp_path: Path) -> None:
    keep: dict[str, Any] = {"screen": {"keep": "all"}}
    sweep(plan(**keep), workers=1, out=tmp_path)
    axes = [
        axis("instances", "pools.serve.instances", 1, 2, 3, 4, 5),
        axis("slots", "pools.serve.max_seqs", 1, 4, 16),
        axis("rate", "workload.rate", "20 req/s", "200 req/s"),
    ]
    more = sweep(plan(axes=axes, **keep), workers=1, out=tmp_path)
    assert more.manifest["simulated_now"] == 1 * 3 * 2 * 2
    assert len(Journal(tmp_path / "journal.jsonl").rows) == 5 * 3 * 2 * 2


def test_a_level_that_changes_nothing_shares_its_result(tmp_path: Path) -> None:
    axes = [
        {
            "name": "same",
            "levels": [
                {"label": "a", "set": {"pools.serve.instances": 1}},
                {"label": "b", "set": {"pools.serve.instances": 1, "description": "other words"}},
            ],
        }
    ]
    result = sweep(plan(axes=axes, screen={"keep": "all"}), workers=1, out=tmp_path)
    assert result.manifest["simulated_now"] == 2
    assert len(result.points) == 4


def test_equal_seeds_see_equal_requests() -> None:
    result = sweep(plan(screen={"keep": "all"}), workers=1)
    for _, part in result.points.groupby(["seed", "axis.rate"], observed=True):
        assert (part["offered_req_s"] == part["offered_req_s"].iloc[0]).all()
    by_seed = result.points.groupby("seed")["offered_req_s"].first()
    assert by_seed.nunique() == 2


def test_common_random_numbers_narrow_the_difference_of_designs() -> None:
    seeds = list(range(1, 13))
    axes = [axis("instances", "pools.serve.instances", 2, 3)]
    table = sweep(
        plan(axes=axes, replications={"seeds": seeds}, screen={"keep": "all"}), workers=1
    ).points
    wide = table.pivot_table(index="seed", columns="axis.instances", values="ttft_s.mean")
    paired = (wide["2"] - wide["3"]).std()
    apart = (wide["2"].to_numpy() - wide["3"].sample(frac=1.0, random_state=1).to_numpy()).std()
    assert paired < 0.8 * apart


def test_points_that_cannot_run_are_listed_with_their_reason() -> None:
    serve = {**BASE["pools"]["serve"], "estimator": {"kind": "roofline"}, "runtime": "vllm"}
    base = {**BASE, "pools": {"serve": serve}}
    axes = [
        axis("model", "model", "llama-3.1-8b", "llama-3.1-405b"),
        axis("tp", "pools.serve.parallel.tp", 1, 3),
    ]
    result = sweep(plan(base=base, axes=axes, screen={"keep": "all"}), workers=1)
    table = result.points.set_index(["axis.model", "axis.tp"])
    assert result.counts == {"simulated": 1, "infeasible": 1, "illegal": 2}
    assert "tp 3 does not divide" in table.loc[("llama-3.1-8b", "3"), "reason"].iloc[0]
    assert "short" in table.loc[("llama-3.1-405b", "1"), "reason"].iloc[0]
    strict = plan(
        base=base,
        axes=axes,
        screen={"keep": "all"},
        constraints={"must_fit": True, "legal_representation": True},
    )
    assert sweep(strict, workers=1).counts == {"simulated": 1, "excluded": 3}


def test_a_point_that_fails_does_not_stop_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    real = workers_module.run_task

    def fragile(task: Any) -> dict[str, Any]:
        row = real(task)
        if '"instances": 2' in task.text:
            return {"status": "failed", "reason": "ZeroDivisionError: division by zero"}
        return row

    monkeypatch.setattr(workers_module, "run_task", fragile)
    result = sweep(plan(screen={"keep": "all"}), workers=1)
    assert result.counts == {"simulated": 18, "failed": 6}


def test_constraints_leave_points_out_and_say_why() -> None:
    result = sweep(plan(constraints={"supply": {"h100": 2}}, screen={"keep": "all"}), workers=1)
    out = result.points[result.points.status == "excluded"]
    assert set(out["axis.instances"]) == {"3", "4"}
    assert out["reason"].iloc[0] == "needs 3 h100-sxm, supply is 2"


@pytest.mark.parametrize(
    ("constraints", "words"),
    [
        ({"supply": {"h200": 8}}, "of which there is no supply"),
        ({"budget": "0.1 USD/h"}, "at best costs"),
        ({"power": "10 W"}, "at best draws"),
        ({"supply": {"h100": 2}, "accelerators_at_least": 3}, "each point breaks one of them"),
    ],
)
def test_constraints_that_leave_nothing_are_refused(
    constraints: dict[str, Any], words: str
) -> None:
    with pytest.raises(ScenarioError, match=f"leave none of 24 points.*{words}"):
        sweep(plan(constraints=constraints), workers=1)


def test_one_writer_at_a_time(tmp_path: Path) -> None:
    with DirectoryLock(tmp_path), pytest.raises(ScenarioError, match="is being written"):
        sweep(plan(), workers=1, out=tmp_path)


def test_a_folder_with_other_things_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("precious")
    with pytest.raises(ScenarioError, match="holds no sweep"):
        sweep(plan(), workers=1, out=tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_the_summary_names_the_best_of_each_condition() -> None:
    result = sweep(plan(), workers=1)
    found = result.summary()
    assert [one["levels"]["rate"] for one in found["best"]] == ["20 req/s", "200 req/s"]
    assert isinstance(result, SweepResult)
    assert found["screen"]["screened_ratio"] == result.counts["screened"] / 24


def test_resolved_scenarios_are_kept_and_run_again(tmp_path: Path) -> None:
    import json

    from hetsim.run import run_loaded
    from hetsim.scenario import load_data

    result = sweep(plan(screen={"keep": "all"}), workers=1, out=tmp_path)
    kept = pd.read_parquet(tmp_path / "scenarios.parquet").set_index("content_hash")["scenario"]
    row = result.points.iloc[7]
    again = run_loaded(load_data(json.loads(kept[row["content_hash"]]))).summary
    assert again["goodput_req_s"] == row["goodput_req_s"]
