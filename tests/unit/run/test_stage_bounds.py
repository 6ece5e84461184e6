from __future__ import annotations

from typing import Any

import pytest

from hetsim.run import demand_of, stage_bounds
from hetsim.run._bound import decode_step_s, prefill_chunks, prefill_s
from hetsim.scenario import load_scenario
from hetsim.stages import build_plan


@pytest.fixture(scope="module")
def pair() -> Any:
    loaded = load_scenario("quickstart", sets=["workload.requests=200"])
    return loaded, build_plan(loaded.scenario, loaded.base_dir)


def test_a_queue_serves_one_prompt_per_step_time(queue: Any) -> None:
    loaded = queue("workload.output={kind: fixed, tokens: 21}")
    plan = build_plan(loaded.scenario, loaded.base_dir)
    bounds = stage_bounds(plan, demand_of(plan.workload), 0.05)
    assert bounds.prefill_req_s == pytest.approx(10.0)
    # 20 tokens after the first, 10 ms each, one slot.
    assert bounds.decode_req_s == pytest.approx(5.0)
    assert (bounds.decode_batch, bounds.decode_limit) == (1, "batch slots")
    assert (bounds.link_req_s, bounds.rate_req_s, bounds.stage) == (
        None,
        bounds.decode_req_s,
        "decode",
    )


def test_demand_of_fixed_lengths(queue: Any) -> None:
    loaded = queue("workload.output={kind: fixed, tokens: 21}")
    demand = demand_of(build_plan(loaded.scenario, loaded.base_dir).workload)
    assert (demand.input_tokens, demand.output_tokens, demand.longest_tokens) == (100, 21, 121)
    assert demand.context_tokens == 100 + 0.5 * 21
    assert demand.rate_req_s == pytest.approx(5.0, rel=0.2)


def test_the_link_carries_the_wire_bytes(pair: Any) -> None:
    _, plan = pair
    demand = demand_of(plan.workload)
    found = stage_bounds(plan, demand, 0.05)
    wire = plan.boundary.transfer.plan(round(demand.input_tokens)).bytes
    slowest = min(
        plan.network.links[link].capacity_bytes_per_s
        for link in plan.network.path("prefill/0", "decode/0").links
    )
    assert found.link_req_s == pytest.approx(slowest / wire)


def test_more_instances_do_more_and_share_links(pair: Any) -> None:
    loaded, plan = pair
    more = load_scenario("quickstart", sets=["workload.requests=200", "pools.prefill.instances=4"])
    wide = build_plan(more.scenario, more.base_dir)
    demand = demand_of(plan.workload)
    one, four = (stage_bounds(p, demand, 0.05) for p in (plan, wide))
    assert four.prefill_req_s == pytest.approx(4 * one.prefill_req_s)
    assert four.decode_req_s == pytest.approx(one.decode_req_s)
    assert loaded.scenario.name == more.scenario.name


def test_the_tpot_objective_limits_the_batch(pair: Any) -> None:
    _, plan = pair
    demand, pool = demand_of(plan.workload), plan.pools[-1]
    loose = stage_bounds(plan, demand, 10.0)
    assert loose.decode_limit == "KV blocks"
    tight = stage_bounds(plan, demand, 0.012)
    assert tight.decode_limit == "TPOT"
    assert decode_step_s(pool, tight.decode_batch, demand.context_tokens) <= 0.012
    assert decode_step_s(pool, tight.decode_batch + 1, demand.context_tokens) > 0.012
    assert stage_bounds(plan, demand, 1e-6).decode_batch == 1


def test_chunks_cover_the_prompt(pair: Any) -> None:
    _, plan = pair
    pool = plan.pools[0]
    budget = pool.rules.max_tokens
    assert prefill_chunks(pool, budget // 4) == [[(budget // 4, 0)] * 4]
    long = prefill_chunks(pool, 2 * budget + 5)
    assert [step[0] for step in long] == [(budget, 0), (budget, budget), (5, 2 * budget)]
    assert prefill_s(pool, 2 * budget + 5) > 2 * prefill_s(pool, budget)


def test_long_prompts_cost_more_per_token_than_the_mean_tells() -> None:
    def tokens_per_s(lengths: str) -> float:
        loaded = load_scenario("quickstart", sets=[f"workload.input={lengths}"])
        plan = build_plan(loaded.scenario, loaded.base_dir)
        demand = demand_of(plan.workload)
        return stage_bounds(plan, demand, 0.05).prefill_req_s * demand.computed_tokens

    even = tokens_per_s("{kind: fixed, tokens: 12000}")
    spread = tokens_per_s("{kind: lognormal, mean: 12000, cv: 2, max: 100000}")
    assert spread < 0.9 * even


@pytest.mark.parametrize(("sources", "targets"), [(4, 40), (40, 4), (40, 40)])
def test_shares_of_links_are_those_of_all_pairs(
    sources: int, targets: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only some pairs are looked at where there are many; the shares must not depend on it."""
    from hetsim.run import _bound

    sizes = [f"pools.prefill.instances={sources}", f"pools.decode.instances={targets}"]
    loaded = load_scenario("quickstart", sets=["workload.requests=10", *sizes])
    plan = build_plan(loaded.scenario, loaded.base_dir)
    some = _bound._link_shares(plan)
    monkeypatch.setattr(_bound, "_PAIRS", 1000)
    every = _bound._link_shares(plan)
    assert some and all(every[link] == pytest.approx(part) for link, part in some.items())


@pytest.mark.parametrize(("decode_tp", "word"), [(4, "descriptors"), (2, "network")])
def test_a_transfer_in_small_pieces_is_bound_by_descriptors(decode_tp: int, word: str) -> None:
    """TP 2 to TP 4 slices heads out of token-major rows; at equal TP pages go whole."""
    from hetsim.decisions import constraint_of
    from hetsim.run import run

    sets = [
        "pools.prefill.parallel.tp=2",
        f"pools.decode.parallel.tp={decode_tp}",
        "workload={kind: all_at_once, requests: 12, input: {kind: fixed, tokens: 6000}, "
        "output: {kind: fixed, tokens: 4}}",
        "network.nic=2 Gbit/s" if decode_tp == 2 else "network.nic=400 Gbit/s",
        "slo.ttft=1000 s",
        "slo.tpot=1000 s",
    ]
    bottleneck = run("sglang_pair", sets=sets).summary["bottleneck"]
    assert bottleneck.startswith(f"transfer-bound: {word}"), bottleneck
    assert constraint_of(bottleneck) == ("descriptors" if word == "descriptors" else "link")
