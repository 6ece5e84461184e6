from __future__ import annotations

import json
from typing import Any

import pytest

import hetsim
from hetsim.errors import InfeasibleError, ScenarioError
from hetsim.run import plain
from hetsim.scenario import load_scenario
from hetsim.stages import build_plan

SMALL = "workload.requests=100"


def look(*sets: str, name: str = "quickstart") -> dict[str, Any]:
    return hetsim.check(name, sets=[SMALL, *sets])


def lines(found: dict[str, Any], topic: str) -> str:
    return "\n".join(found[topic])


def facts(found: dict[str, Any]) -> dict[str, str]:
    return {row["what"].strip(): row["value"] for row in found["facts"]}


@pytest.fixture(scope="module")
def quick() -> dict[str, Any]:
    return look()


def test_the_facts_of_quickstart(quick: dict[str, Any]) -> None:
    told = facts(quick)
    assert "Llama-3.1-8B, 8.03 B parameters, 32 layers" in told["model"]
    assert told["pool prefill"].startswith("prefill, 1 x tp1 = 1 h100-sxm")
    # 2 x 32 layers x 8 heads x 128 dims x 2 bytes = 131072 B.
    assert told["KV of prefill"].startswith("131.1 kB per token and device")
    assert "blocks of 16 tokens" in told["memory of decode"]
    assert told["SLO"] == "TTFT 1 s, TPOT 30 ms for 99 % of the requests"


def test_nothing_is_simulated(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> Any:
        raise AssertionError("check simulates nothing")

    monkeypatch.setattr("hetsim.run._run.simulate", refuse)
    monkeypatch.setattr("hetsim.stages._simulate.simulate", refuse)
    assert look()["feasible"] is True


def test_it_is_plain_data(quick: dict[str, Any]) -> None:
    assert json.loads(json.dumps(plain(quick)))["name"] == "quickstart"


def test_stages_compare_the_offered_load_with_the_capacity(quick: dict[str, Any]) -> None:
    by_stage = {row["stage"]: row for row in quick["stages"]}
    assert set(by_stage) == {"prefill", "decode", "link"}
    for row in by_stage.values():
        assert row["load_ratio"] == pytest.approx(row["offered_per_s"] / row["capacity_per_s"])
    twice = {row["stage"]: row for row in look("workload.rate=60 req/s")["stages"]}
    for stage, row in twice.items():
        assert row["load_ratio"] == pytest.approx(2 * by_stage[stage]["load_ratio"], rel=1e-6)


def test_overload_is_a_risk(quick: dict[str, Any]) -> None:
    assert "beyond the limit" not in lines(quick, "risks")
    over = look("workload.rate=500 req/s")
    assert "prefill: " in lines(over, "risks")
    assert "the queue grows without end" in lines(over, "risks")
    assert "passes the lease after about" in lines(over, "risks")


def test_users_in_a_closed_loop_have_no_offered_rate() -> None:
    users = "workload={kind: closed_loop, users: 7, requests: 20, think: 1 s, "
    users += "input: {kind: fixed, tokens: 100}, output: {kind: fixed, tokens: 10}}"
    found = hetsim.check("quickstart", sets=[users])
    assert "7 users" in facts(found)["workload"]
    assert {row["load_ratio"] for row in found["stages"]} == {None}


def test_the_boundary_card_of_a_like_pair(quick: dict[str, Any]) -> None:
    card = lines(quick, "boundary")
    assert quick["verdicts"] == ["identical"]
    assert "producer (prefill): mha_gqa of 32 layers, bf16" in card
    assert "verdict: identical" in card
    assert "the runtime vllm_nixl_pull accepts" in card
    assert "conversion: none" in card
    assert "first token from: decode" in card
    loaded = load_scenario("quickstart", sets=[SMALL])
    plan = build_plan(loaded.scenario, loaded.base_dir)
    assert plan.boundary is not None
    per_1k = plan.boundary.transfer.plan(1000)
    assert f"{per_1k.descriptors:.0f} descriptors per 1k tokens" in card


def test_the_lease_budget_adds_up(quick: dict[str, Any]) -> None:
    lease = quick["lease"]
    spent = lease["handshake_s"] + lease["transfer_s"] + lease["left_s"]
    assert spent == pytest.approx(lease["lease_s"]) == 30.0
    short = look("boundary.lease=20 ms")
    assert short["lease"]["left_s"] < 0.0
    assert "lengthen boundary.lease" in lines(short, "risks")


def test_a_pair_that_converts() -> None:
    found = look("pools.decode.precision.kv=fp8_e4m3", "boundary.convert_at=producer")
    card = lines(found, "boundary")
    assert found["verdicts"] == ["requant_lossy"]
    assert "conversion at producer" in card
    assert "refuses to connect" in card
    assert "does not notice, and decodes wrong bytes" in card
    assert "requantised with loss" in lines(found, "risks")


def test_formats_that_differ_need_a_converter() -> None:
    with pytest.raises(ScenarioError, match="convert_at"):
        look("pools.decode.precision.kv=fp8_e4m3")


def test_what_does_not_fit_says_need_have_and_short_by() -> None:
    with pytest.raises(InfeasibleError, match=r"needs .* has .* short by") as caught:
        hetsim.check("llama70b_h100_tp1")
    assert "weights per device: 141.1 GB" in str(caught.value)


def test_objectives_that_no_rate_meets() -> None:
    risks = lines(look("slo.ttft=1 ms", "slo.tpot=1 ms"), "risks")
    assert "TTFT: a mean prompt takes" in risks
    assert "TPOT: one request alone takes" in risks


def test_requests_that_are_too_long_are_named() -> None:
    longest = "workload.input={kind: uniform, min: 100, max: 200000}"
    risks = lines(look(longest), "risks")
    assert "the model's context is 131072: such requests are rejected" in risks


def test_a_co_located_system_has_no_boundary() -> None:
    found = look(name="colocated_baseline")
    assert (found["boundary"], found["lease"], found["verdicts"]) == ([], None, [])


def test_placement_names_every_instance(quick: dict[str, Any]) -> None:
    assert lines(quick, "placement") == (
        "node 0: prefill/0 on devices 0\nnode 1: decode/0 on devices 0"
    )


def test_a_missing_price_is_a_risk_with_a_remedy() -> None:
    found = look("pools.prefill.accelerator=gaudi3", "pools.decode.accelerator=gaudi3")
    assert "prices: {gaudi3: 2 USD/h}" in lines(found, "risks")


def test_bad_input_lists_every_problem() -> None:
    with pytest.raises(ScenarioError) as caught:
        look("pools.prefill.accelerator=h1000", "pools.decode.runtime=vlm")
    assert len(caught.value.problems) == 2


def test_what_the_router_and_the_messages_leave_open_is_named_with_who_has_met_it():
    room, pressed = (
        str(hetsim.check(f"boundary/{n}_faulty")) for n in ("duplicate_id", "router_pressure")
    )
    assert "sglang issue 40125" in room and "sglang issue 40125" not in pressed
    assert "sglang issue 30033" in pressed
    assert "sglang issue 30033" not in str(hetsim.check("boundary/router_pressure_sound"))
