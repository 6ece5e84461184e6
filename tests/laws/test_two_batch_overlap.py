"""Two-batch overlap in whole runs: fast-forward is exact where the slowest line changes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from hetsim.errors import ScenarioError
from hetsim.inspect import check, explain
from hetsim.metrics import TABLES, Recorder
from hetsim.run import run_info
from hetsim.scenario import load_data
from hetsim.stages import build_plan, simulate

FORMATS = {"weights": "bf16", "compute": "bf16", "kv": "bf16"}


def scenario(overlap: bool | None = True, **cut: int) -> dict[str, Any]:
    pool = {
        "role": "both",
        "accelerator": "l40s",
        "instances": 1,
        "devices_per_node": 2,
        "parallel": {"tp": 1, "dp": 4, "ep": 4, **cut},
        "precision": FORMATS,
        "runtime": "vllm",
    }
    if overlap is not None:
        pool["two_batch_overlap"] = overlap
    sizes = {
        "input": {"kind": "lognormal", "mean": 600.0, "cv": 1.0},
        "output": {"kind": "lognormal", "mean": 300.0, "cv": 1.0},
    }
    return {
        "name": "halves",
        "model": "qwen3-30b-a3b",
        "workload": {"kind": "poisson", "rate": "40 req/s", "requests": 60, **sizes},
        "pools": {"all": pool},
        "network": {"fabric": "single_switch", "nic": "400 Gbit/s", "nics_per_node": 2},
        "slo": {"ttft": "1 s", "tpot": "50 ms"},
        "seed": 5,
    }


def played(data: dict[str, Any], **how: Any) -> tuple[Any, Any, dict[str, pd.DataFrame]]:
    loaded = load_data(data)
    plan = build_plan(loaded.scenario, loaded.base_dir, **how)
    recorder = Recorder()
    world = simulate(plan, recorder, run_info(plan))
    return plan, world, {name: recorder.table(name).to_pandas() for name in TABLES}


def test_fast_forward_equals_stepwise():
    plan, world, fast = played(scenario())
    _, slow_world, slow = played(scenario(), stepwise=True)
    assert plan.pools[0].model.overlapped and world.ended == slow_world.ended
    for name, table in fast.items():
        assert len(table) == len(slow[name])
        for column in table.columns:
            left, right = table[column].to_numpy(), slow[name][column].to_numpy()
            if left.dtype.kind == "f":
                np.testing.assert_allclose(left, right, rtol=1e-9, atol=1e-9)
            else:
                assert (left == right).all(), f"{name}.{column}"
    assert int(fast["steps"].steps.max()) > 10, "no segment was long: nothing was fast-forwarded"


def test_every_byte_of_an_exchange_is_counted():
    plan, world, found = played(scenario(), check_laws=True)
    rows, use = found["steps"], plan.pools[0].model.network
    assert use.halves == 2 and len(use.exchanges) == 2
    (port,) = world.crossings.ports
    decodes = rows[rows.prefill_tokens == 0]
    sent = 4 * sum(
        row.steps * use.sent_bytes(int(row.batch_size), int(row.batch_size))
        for row in decodes.itertuples()
    )
    assert 0.0 < sent < port.standing.booked_bytes


def test_off_is_the_default():
    _, _, off = played(scenario(overlap=False))
    plan, _, unsaid = played(scenario(overlap=None))
    assert not plan.pools[0].model.overlapped
    pd.testing.assert_frame_equal(off["requests"], unsaid["requests"])


def test_explain_and_check_say_both_numbers():
    (prefill, decode) = explain(scenario())["steps"]
    for step in (prefill, decode):
        (row,) = [row for row in step["operators"] if row["kind"] == "overlap"]
        assert row["time_s"] < 0.0 and "compute" in row["source"] and "exchange" in row["source"]
        assert sum(one["time_s"] for one in step["operators"]) == pytest.approx(step["time_s"])
    facts = [fact for fact in check(scenario())["facts"] if "two-batch overlap" in fact["what"]]
    assert len(facts) == 2 and all("exchange" in fact["value"] for fact in facts)


@pytest.mark.parametrize("cut", [{"dp": 1, "tp": 4}, {"ep": 1}])
def test_nothing_to_exchange_is_refused(cut: dict[str, int]):
    with pytest.raises(ScenarioError, match="two_batch_overlap"):
        load_data(scenario(**cut))
    load_data(scenario(overlap=False, **cut))
