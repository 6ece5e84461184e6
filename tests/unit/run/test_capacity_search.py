from __future__ import annotations

from typing import Any

import pytest

import hetsim
from hetsim.errors import ScenarioError
from hetsim.run import find_capacity
from hetsim.run._capacity import _Search


def md1_rate(wait_s: float, share: float, service_s: float) -> float:
    """Rate at which ``share`` of an M/D/1 queue waits at most ``wait_s``; by bisection.

    Source: Erlang, 1909; P(W <= t) = (1 - rho) sum_k (-a_k)^k / k! exp(a_k) with
    a_k = lambda (t - k D).
    """
    from math import exp, factorial

    def waits(rate: float) -> float:
        total = 0.0
        for k in range(int(wait_s / service_s) + 1):
            a = rate * (wait_s - k * service_s)
            total += (-a) ** k / factorial(k) * exp(a)
        return (1 - rate * service_s) * total

    low, high = 0.0, 1.0 / service_s
    for _ in range(60):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if waits(middle) >= share else (low, middle)
    return low


@pytest.mark.slow
def test_capacity_of_a_queue_is_that_of_the_closed_form(queue: Any) -> None:
    # TTFT = wait + 0.1 s of service <= 1 s for 90 % of all requests.
    found = find_capacity(queue("workload.requests=10000"))
    assert found["rate_req_s"] == pytest.approx(md1_rate(0.9, 0.9, 0.1), rel=0.03)
    assert found["bound_req_s"] == pytest.approx(10.0, rel=0.02)
    assert found["bound_stage"] == "prefill"


def test_the_bracket_is_two_percent_wide_and_true(queue: Any) -> None:
    told: list[str] = []
    found = find_capacity(queue(), told.append)
    low, high = found["rate_req_s"], found["next_rate_req_s"]
    assert 0.0 < low < high <= low * 1.02
    assert found["attainment"] >= 0.9 > found["next_attainment"]
    assert len(told) == found["evaluations"] <= 10
    # The same as running at these rates by hand.
    for rate, attained in ((low, "attainment"), (high, "next_attainment")):
        summary = hetsim.run(queue(f"workload.rate={rate!r} req/s")).summary
        assert summary["slo_attainment"] == found[attained]
    assert found == find_capacity(queue())


def test_every_rate_has_the_same_requests(queue: Any) -> None:
    loaded = queue("workload.output={kind: lognormal, mean: 20, cv: 1}")
    search = _Search(loaded, None)
    slow, fast = search.workload_at(2.0).table, search.workload_at(8.0).table
    assert slow is not None
    assert fast is not None
    assert (slow.osl == fast.osl).all()
    assert slow.arrival_s == pytest.approx(fast.arrival_s * 4.0)


def test_a_trace_keeps_its_gaps(queue: Any, tmp_path: Any) -> None:
    trace = tmp_path / "trace.csv"
    rows = [f"{at * 0.5},100,1" for at in range(40)]
    trace.write_text("\n".join(["arrival_s,input_tokens,output_tokens", *rows]) + "\n")
    loaded = queue(f"workload={{kind: trace, path: {trace}}}")
    search = _Search(loaded, None)
    assert search.base_rate == pytest.approx(40 / 19.5)
    table = search.workload_at(2 * search.base_rate).table
    assert table is not None
    assert table.arrival_s[-1] == pytest.approx(19.5 / 2)


def test_users_in_a_closed_loop_have_no_rate(queue: Any) -> None:
    sets = "workload={kind: closed_loop, users: 3, requests: 9, think: 1 s, "
    sets += "input: {kind: fixed, tokens: 10}, output: {kind: fixed, tokens: 1}}"
    with pytest.raises(ScenarioError, match="open-loop"):
        find_capacity(queue(sets))


def test_all_at_once_has_no_rate(queue: Any) -> None:
    sets = "workload={kind: all_at_once, requests: 9, input: {kind: fixed, tokens: 10}, "
    sets += "output: {kind: fixed, tokens: 1}}"
    with pytest.raises(ScenarioError, match="at once"):
        find_capacity(queue(sets))


def test_an_objective_that_nothing_meets(queue: Any) -> None:
    found = find_capacity(queue("slo.ttft=50 ms", "workload.requests=20"))
    assert found["rate_req_s"] == 0.0
    assert found["goodput_req_s"] == 0.0
    assert found["cost_usd_per_mtok"] is None
    assert "missed at every rate" in found["notes"][0]


def test_an_objective_that_everything_meets(queue: Any) -> None:
    found = find_capacity(queue("slo.ttft=1000 s", "workload.requests=20"))
    assert found["next_rate_req_s"] is None
    assert "too short" in " ".join(found["notes"])


def test_cost_at_capacity_is_price_over_tokens(queue: Any) -> None:
    found = find_capacity(queue("prices={serve: 3.6 USD/h}"))
    # One token per request: 3.6 USD/h = 1e-3 USD/s.
    assert found["cost_usd_per_mtok"] == pytest.approx(1e3 / found["rate_req_s"])
    assert not [note for note in found["notes"] if "cost" in note]


def test_a_missing_price_is_said_with_the_remedy(queue: Any) -> None:
    found = find_capacity(queue("pools.serve.accelerator=gaudi3"))
    assert found["cost_usd_per_mtok"] is None
    assert "prices: {gaudi3: 2 USD/h}" in " ".join(found["notes"])
