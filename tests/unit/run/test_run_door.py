from __future__ import annotations

import importlib
from typing import Any

import pytest

import hetsim
from hetsim.run import plain


def test_hetsim_run_is_callable_however_the_room_was_imported(queue: Any) -> None:
    importlib.import_module("hetsim.run")
    for _ in range(2):
        assert hetsim.run(queue()).summary["requests"]["finished"] == 300


def test_public_names_are_there() -> None:
    for name in hetsim.__all__:
        assert getattr(hetsim, name) is not None


def test_a_run_is_the_same_twice_but_for_the_wall_time(queue: Any) -> None:
    first, second = (plain(hetsim.run(queue()).summary) for _ in range(2))
    assert first.pop("wall_s") > 0.0
    assert second.pop("wall_s") > 0.0
    assert first == second


def test_the_summary_has_the_promised_keys(queue: Any) -> None:
    found = hetsim.run(queue()).summary
    assert {"arrived", "finished", "rejected", "timed_out", "unfinished"} <= set(found["requests"])
    for name in ("ttft_s", "tpot_s", "itl_s", "e2e_s"):
        assert set(found[name]) == {"mean", "p50", "p90", "p99"}
    assert {"req_s", "output_tok_s", "output_tok_s_per_accelerator"} <= set(found["throughput"])
    assert {"utilisation", "pressure"} <= set(found["stages"]["serve"])
    promised = {
        "goodput_req_s", "slo_attainment", "cost_usd_per_mtok", "energy_j_per_tok", "bottleneck",
        "violations", "ok_corrupt", "leak_page_s", "calibration_grade", "wall_s",
    }  # fmt: skip
    assert promised <= set(found)


def test_time_ends_with_the_last_request_or_the_horizon(queue: Any) -> None:
    whole = hetsim.run(queue())
    last = whole.requests["last_token_s"].max()
    assert whole.summary["simulated_s"] == last
    cut = hetsim.run(queue("horizon=20 s")).summary
    assert cut["simulated_s"] == 20.0
    assert cut["requests"]["unfinished"] >= 0
    longer = hetsim.run(queue(f"horizon={last * 2} s")).summary
    assert longer["simulated_s"] == last * 2


def test_the_mean_path_adds_up_to_the_mean_latency(queue: Any) -> None:
    found = hetsim.run(queue()).summary
    assert abs(sum(found["critical_path_s"].values()) - found["e2e_s"]["mean"]) < 1e-9


def test_an_overloaded_run_is_flagged_and_a_stable_one_is_not(queue: Any) -> None:
    stable = hetsim.run(queue("workload.rate=6 req/s", "workload.requests=1000")).summary
    over = hetsim.run(queue("workload.rate=15 req/s", "workload.requests=1000")).summary
    assert not stable["unstable"]
    assert over["unstable"]
    assert over["notes"][0].startswith("unstable: percentiles depend on the horizon")
    assert over["backlog_growth_req_s"] == pytest.approx(5.0, rel=0.25)
    assert over["bottleneck"].startswith("prefill-bound")


def test_what_is_slow_is_blamed_in_whole_runs() -> None:
    def verdict(*sets: str) -> str:
        found = hetsim.run("quickstart", sets=["workload.requests=400", *sets])
        return str(found.summary["bottleneck"])

    assert verdict("workload.rate=100 req/s") == "prefill-bound: compute of pool prefill"
    assert verdict("pools.decode.memory_utilisation=0.13", "workload.rate=40 req/s") == (
        "decode-bound: KV capacity of pool decode"
    )
    assert verdict("network.nic=15 Gbit/s", "network.nics_per_node=1") == (
        "transfer-bound: network from pool prefill to pool decode"
    )
    assert verdict("slo.tpot=5 ms").startswith("decode-bound: memory bandwidth of pool decode")


def test_constants_of_the_scenario_are_stated_and_not_measured(queue: Any) -> None:
    summary = hetsim.run(queue()).summary
    assert summary["calibration_grade"] == "stated"
    assert any("step times are stated" in line for line in summary["assumptions"])
    mixed = hetsim.run(
        "quickstart",
        sets=[
            "workload.requests=10",
            "pools.decode.estimator="
            "{kind: constant, prefill: 1 ms, decode_step: 9 ms, blocks: 9999}",
        ],
    ).summary
    assert mixed["calibration_grade"] == "stated"


def test_occupancy_ends_with_what_every_instance_still_holds(queue: Any) -> None:
    whole = hetsim.run("quickstart", sets=["workload.requests=40"])
    table, steps = whole.occupancy, whole.steps
    devices = sorted(set(table["device_id"]))
    assert len(table) == len(steps) + len(devices)
    last = table.iloc[-len(devices) :]
    assert sorted(last["device_id"]) == devices
    assert (last["blocks_used"] == 0).all() and (last["blocks_total"] > 0).all()
    assert (last["time_s"] >= whole.requests["last_token_s"].max()).all()
    # The row before it of a device is the end of its last step, with its last requests in it.
    before = table.iloc[: -len(devices)].groupby("device_id", observed=True).last()
    assert (before["blocks_used"] > 0).any()
    cut = hetsim.run(queue("horizon=20 s", "workload.rate=20 req/s"))
    assert cut.occupancy["time_s"].iloc[-1] == 20.0
    assert cut.occupancy["blocks_used"].iloc[-1] > 0
