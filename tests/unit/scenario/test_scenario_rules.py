"""Rules between fields, one case each: the change, the place, and words of the remedy."""

from __future__ import annotations

from typing import Any

import pytest

from hetsim.errors import ScenarioError
from hetsim.scenario import load_data, missing_prices, stated_price

POOL = (
    "{role: decode, accelerator: h200, instances: %d, parallel: {tp: 8}, runtime: vllm_nixl_pull, "
    "precision: {weights: bf16, compute: bf16, kv: bf16}}"
)
LAWS = "requests: 9, input: {kind: fixed, tokens: 9}, output: {kind: fixed, tokens: 9}"
SESSIONS = f"{{kind: sessions, rate: 2 req/s, turns: %s, gap: 5 s, {LAWS}}}"
MMPP = f"{{kind: mmpp, rate: 2 req/s, burst_ratio: 3, quiet: %s, busy: 1e-12 s, {LAWS}}}"
TALK = f"{{kind: closed_loop, users: 2, think: 1 s, conversation: {{turns: %d}}, {LAWS}}}"
LOGNORMAL = "{kind: lognormal, mean: 9, cv: %g}"
CASES = [
    ("pools.decode.role=prefill", "pools", "one with role decode"),
    ("pools.decode.role=both", "pools", "needs one pool with role both"),
    (f"pools.third={POOL % 1}", "pools", "third: decode"),
    ("model=lama-3.1-8b", "model", "did you mean 'llama-3.1-8b'"),
    ("model=x.json", "model", "no such file"),
    ("pools.decode.accelerator=h2000", "pools.decode.accelerator", "no accelerator"),
    ("pools.decode.runtime=vlm_nixl_pull", "pools.decode.runtime", "did you mean 'vllm_nixl_pull'"),
    ("pools.decode.runtime=vllm", "pools.decode.runtime", "'vllm_nixl_pull'"),
    ("pools.decode.precision.kv=fp9", "pools.decode.precision.kv", "no number format"),
    ("pools.decode.precision.kv=tf32", "pools.decode.precision.kv", "cannot store KV"),
    ("pools.decode.precision.weights=int3", "pools.decode.precision.weights", "no number format"),
    ("pools.decode.host=hgx-h10", "pools.decode.host", "did you mean 'hgx-h100'"),
    ("pools.decode.host=hgx-h100", "pools.decode.host", "carries h100-sxm"),
    ("pools.decode.parallel.tp=3", "pools.decode.parallel.tp", "32 attention heads"),
    ("pools.decode.parallel.pp=33", "pools.decode.parallel.pp", "32 layers"),
    ("pools.decode.parallel.ep=2", "pools.decode.parallel.ep", "must divide tp * dp"),
    ("pools.decode.parallel={tp: 2, ep: 2}", "pools.decode.parallel.ep", "has no experts"),
    ("pools.decode.parallel={tp: 8, dp: 8, pp: 32}", "", ""),
    (f"pools.decode={POOL % 9000}", "pools.decode.instances", "72000"),
    ("pools.decode.router=shared_queue", "pools.decode.router", "least_load"),
    ("pools.decode.queue_limit=3", "pools.decode.queue_limit", "no effect"),
    ("pools.decode.queue_timeout=3 s", "pools.decode.queue_timeout", "no effect"),
    ("pools.decode.accelerator=metax-c550", "pools.decode.accelerator", "peak of bf16"),
    ("network=null", "network", "no link is free"),
    ("boundary=null", "boundary", "'boundary: {}'"),
    ("network.pools.decod={nics_per_node: 1}", "network.pools.decod", "did you mean 'decode'"),
    ("boundary.ownership=pull_lese", "boundary.ownership", "did you mean 'pull_lease'"),
    ("boundary.variant=sond", "boundary.variant", "did you mean 'sound'"),
    ("boundary.transfer_engine=nixl", "boundary.transfer_engine", "no transfer engine"),
    ("boundary.wire=fp9", "boundary.wire", "cannot store KV"),
    ("pools.decode.runtime=sglang_early", "pools.decode.runtime", "state boundary.ownership"),
    ("workload={kind: trace, path: none.jsonl}", "workload.path", "no such file"),
    (
        "workload={kind: trace, path: ., format: moncake}",
        "workload.format",
        "did you mean 'mooncake'",
    ),
    (
        "workload.input={kind: empirical, path: none.csv, column: input}",
        "workload.input.path",
        "no such file",
    ),
    (
        "workload={kind: regime, name: balancd, rate: 1 req/s, requests: 3}",
        "workload.name",
        "did you mean 'balanced'",
    ),
    ("workload.requests=200000000", "workload.requests", "limits.rows"),
    (f"workload={SESSIONS % '1e308'}", "workload.turns", "too many sessions"),
    (f"workload={SESSIONS % '20.0'}", "", ""),
    (f"workload={MMPP % '1e-12 s'}", "workload.quiet", "make them longer"),
    (f"workload={MMPP % '5 s'}", "", ""),
    ("workload={kind: trace, path: ., rate_scale: 1e-9}", "workload.rate_scale", "between"),
    (f"workload={TALK % 5000}", "workload.conversation.turns", "outgrow"),
    (f"workload={TALK % 10}", "", ""),
    (f"workload.input={LOGNORMAL % 1e300}", "workload.input.cv", "between"),
    (f"workload.output={LOGNORMAL % 1e-300}", "workload.output.cv", "between"),
    (f"network.nics_per_node={10**30}", "network.nics_per_node", "at most 64"),
    ("network.pools.decode={nics_per_node: 65}", "network.pools.decode.nics_per_node", "65"),
    ("limits.memory=1 kB", "workload.requests", "limits.memory"),
    (
        "faults=[{kind: decode_crash, at: 1 s, pool: decod}]",
        "faults[0].pool",
        "did you mean 'decode'",
    ),
    ("faults=[{kind: decode_crash, at: 1 s, pool: prefill}]", "faults[0].pool", "has role prefill"),
    (
        "faults=[{kind: decode_crash, at: 1 s, instance: 1}]",
        "faults[0].instance",
        "numbered from 0",
    ),
    ("faults=[{kind: link_slow, at: 1 s}]", "faults[0].factor", "is missing"),
    ("faults=[{kind: prefill_crash, at: 1 s, factor: 0.5}]", "faults[0].factor", "leave it out"),
    (
        "faults=[{kind: link_slow, at: 1 s, factor: 0.5, restart_after: 2 s}]",
        "faults[0].restart_after",
        "leave it out",
    ),
    ("prices.h1000=2 USD/h", "prices.h1000", "neither an accelerator nor a pool"),
]


@pytest.mark.parametrize(("change", "path", "words"), CASES, ids=[c[0][:60] for c in CASES])
def test_a_rule_is_held(pair: Any, change: str, path: str, words: str) -> None:
    if not path:
        load_data(pair, sets=[change])
        return
    with pytest.raises(ScenarioError) as caught:
        load_data(pair, sets=[change])
    found = [problem for problem in caught.value.problems if problem.path == path]
    assert found, str(caught.value)
    assert any(words in problem.message for problem in found), str(caught.value)


def test_a_stated_protocol_joins_two_runtimes(pair: Any) -> None:
    load_data(
        pair,
        sets=["pools.decode.runtime=sglang_early", "boundary.ownership=pull_lease"],
    )


def test_a_fault_beyond_the_horizon_would_never_happen(pair: Any) -> None:
    sets = ["horizon=10 s", "faults=[{kind: decode_crash, at: 10 s}]"]
    with pytest.raises(ScenarioError, match=r"faults\[0\].at"):
        load_data(pair, sets=sets)


def one_pool(pair: Any) -> Any:
    pair["pools"] = {"serve": {**pair["pools"]["prefill"], "role": "both", "runtime": "vllm"}}
    del pair["network"], pair["boundary"]
    return pair


def test_one_pool_needs_neither_network_nor_boundary(pair: Any) -> None:
    load_data(one_pool(pair))
    with pytest.raises(ScenarioError, match="boundary: has no effect"):
        load_data(one_pool_with_boundary(pair))


def one_pool_with_boundary(data: Any) -> Any:
    return {**data, "boundary": {}}


def test_an_engine_that_hands_over_does_not_serve_alone(pair: Any) -> None:
    with pytest.raises(ScenarioError, match=r"role is both; did you mean 'vllm'"):
        load_data(one_pool(pair), sets=["pools.serve.runtime=vllm_nixl_pull"])


def test_an_instance_beyond_its_server_needs_a_network(pair: Any) -> None:
    data = one_pool(pair)
    load_data(data, sets=["pools.serve.parallel.tp=8"])
    with pytest.raises(ScenarioError, match="network: an instance of 16"):
        load_data(data, sets=["pools.serve.parallel.tp=16"])


def test_prices_are_found_by_pool_then_by_any_name_of_the_device(pair: Any) -> None:
    scenario = load_data(pair, sets=["prices.H100-SXM=2 USD/h", "prices.decode=4 USD/h"]).scenario
    assert stated_price(scenario, "prefill") == 2.0
    assert stated_price(scenario, "decode") == 4.0


def test_only_a_price_that_nobody_knows_is_missing(pair: Any) -> None:
    scenario = load_data(pair, sets=["pools.decode.accelerator=h20"]).scenario
    (problem,) = missing_prices(scenario)
    assert "h20-96" in problem.message
    scenario = load_data(pair, sets=["pools.decode.accelerator=h20", "prices.h20=1 USD/h"]).scenario
    assert missing_prices(scenario) == []
