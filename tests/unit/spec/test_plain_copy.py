"""Scenarios written in Python are as good as files: nothing shared, numpy and paths understood."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import hetsim
from hetsim.errors import ScenarioError
from hetsim.spec import plain_copy


def scenario() -> dict[str, Any]:
    pool = {
        "accelerator": "h100",
        "instances": np.int64(1),
        "parallel": {"tp": 1},
        "precision": {"weights": "bf16", "compute": "bf16", "kv": "bf16"},
        "runtime": "vllm_nixl_pull",
    }
    return {
        "name": "written in Python",
        "model": "llama-3.1-8b",
        "workload": {
            "kind": "poisson",
            "rate": "5 req/s",
            "requests": 5,
            "input": {"kind": "fixed", "tokens": 100},
            "output": {"kind": "fixed", "tokens": 5},
        },
        "pools": {"prefill": {"role": "prefill", **pool}, "decode": {"role": "decode", **pool}},
        "network": {"fabric": "single_switch", "nic": "400 Gbit/s", "nics_per_node": 8},
        "boundary": {},
        "slo": {"ttft": "1 s", "tpot": "50 ms"},
    }


def test_scalars_paths_and_tuples_are_as_in_a_file() -> None:
    given = {"n": np.float64(2.5), "where": Path("a") / "b", "levels": (1, "x"), 3: None}
    assert plain_copy(given) == {"n": 2.5, "where": str(Path("a/b")), "levels": [1, "x"], "3": None}
    assert type(plain_copy(np.int32(3))) is int


def test_a_scenario_may_be_a_mapping() -> None:
    given = scenario()
    result = hetsim.run(given)
    assert result.summary["requests"]["finished"] == 5
    assert given == scenario()
    assert hetsim.check(given)["feasible"]
    assert len(hetsim.explain(given)["steps"]) == 2


def test_settings_of_one_pool_do_not_reach_another_that_shares_its_parts() -> None:
    data = hetsim.load(scenario(), sets=["pools.decode.precision.weights=fp8_e4m3"]).scenario
    found = {name: pool.precision.weights for name, pool in data.pools.items()}
    assert found == {"prefill": "bf16", "decode": "fp8_e4m3"}


def test_a_sweep_may_be_a_mapping() -> None:
    path = "pools.decode.precision.weights"
    axes = [{"name": "weights", "path": path, "levels": ("bf16", "fp8_e4m3")}]
    found = hetsim.sweep({"name": "in Python", "base": scenario(), "axes": axes}, workers=1)
    assert found.counts == {"simulated": 2}


def test_problems_name_the_field() -> None:
    wrong = scenario()
    wrong["pools"]["decode"]["instances"] = 0
    with pytest.raises(ScenarioError, match=r"pools\.decode\.instances"):
        hetsim.load(wrong)


def test_data_that_holds_itself_is_refused() -> None:
    wrong = scenario()
    wrong["workload"]["input"] = wrong["workload"]
    with pytest.raises(ScenarioError, match="nested deeper"):
        hetsim.load(wrong)
