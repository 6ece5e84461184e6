from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from hetsim.metrics import PoolPower, SloSpec, last_moment_s, summarise
from hetsim.metrics._stages import backlog_growth, is_growing

ROLES = {"p": "prefill", "d": "decode"}
POWER = {
    "p": PoolPower(usd_per_h=6.0, idle_w=100.0, max_w=500.0),
    "d": PoolPower(usd_per_h=4.0, idle_w=200.0, max_w=400.0),
}
SLO = SloSpec(ttft_s=1.0, tpot_s=0.1, e2e_s=None, percentile=75.0)


def finished(at: float, ttft: float = 0.5, tpot: float = 0.05, **more: Any) -> dict[str, Any]:
    return {
        "arrival_s": at, "enqueued_s": at, "prefill_start_s": at, "prefill_end_s": at + ttft,
        "decode_start_s": at + ttft, "first_token_s": at + ttft,
        "second_token_s": at + ttft + tpot, "last_token_s": at + ttft + 10 * tpot,
        "osl_tokens": 11, "output_tokens": 11, **more,
    }  # fmt: skip


def summary(make: Any, pools: Any, rows: list[Any], **changes: Any) -> dict[str, Any]:
    steps = changes.pop(
        "steps", [{"pool": 0, "start_s": 0.0, "duration_s": 1.0, "decode_tokens": 0}]
    )
    words: dict[str, Any] = {
        "pools": pools, "roles": ROLES, "power": POWER, "slo": SLO, "end_s": 10.0,
        "measured_from_s": 0.0,
    }  # fmt: skip
    words |= changes
    tables = {
        "requests": make("requests", rows, measured_from_s=words["measured_from_s"]),
        "steps": make("steps", steps),
        "gaps": make("gaps", []),
    }
    return summarise(tables, **words)


def test_outcomes_add_up_and_misses_count(make: Any, pools: Any) -> None:
    rows = [
        finished(0.0),
        finished(1.0, ttft=2.0),
        finished(2.0, tpot=0.2),
        finished(3.0, corrupt=1),
        {"arrival_s": 4.0, "status": "rejected", "reason": 1},
        {"arrival_s": 5.0, "status": "unfinished"},
        finished(6.0, osl_tokens=1, output_tokens=1),
        {"arrival_s": 7.0, "status": "timed_out"},
    ]
    found = summary(make, pools, rows)
    counts = found["requests"]
    assert counts["arrived"] == sum(counts[name] for name in counts if name != "arrived") == 8
    # The first and the single token meet everything; the other six do not.
    assert found["slo_attainment"] == pytest.approx(2 / 8)
    assert found["slo_met"] is False
    assert found["slo_missed_ratio"] == {"ttft": 1 / 5, "tpot": 1 / 5}
    assert found["measured_s"] == pytest.approx(6.0 + 0.5 + 0.5)
    assert found["goodput_req_s"] == pytest.approx(2 / 7.0)


def test_cost_by_hand(make: Any, pools: Any) -> None:
    # 10 USD/h over 10 s, for 22 output tokens.
    found = summary(make, pools, [finished(0.0), finished(1.0)])
    assert found["cost_usd_per_mtok"] == pytest.approx(10.0 * 10.0 / 3600.0 / 22.0 * 1e6)


def test_energy_by_hand(make: Any, pools: Any) -> None:
    # Pool p is busy 1 of 10 s: 100 + 0.1 * 400 W. Pool d never: its idle 200 W.
    found = summary(make, pools, [finished(0.0), finished(1.0)])
    assert found["power_w"] == pytest.approx(140.0 + 200.0)
    assert found["energy_j_per_tok"] == pytest.approx(340.0 * 10.0 / 22.0)


@pytest.mark.parametrize("missing", ["usd_per_h", "idle_w", "max_w"])
def test_a_missing_figure_is_null_and_not_zero(make: Any, pools: Any, missing: str) -> None:
    words = {"usd_per_h": 4.0, "idle_w": 200.0, "max_w": 400.0, missing: None}
    power = {**POWER, "d": PoolPower(**words)}
    found = summary(make, pools, [finished(0.0)], power=power)
    assert (found["cost_usd_per_mtok"] is None) == (missing == "usd_per_h")
    assert (found["energy_j_per_tok"] is None) == (missing != "usd_per_h")


def test_utilisation_mfu_and_occupancy_by_hand(make: Any, pools: Any) -> None:
    steps = [
        {"pool": 1, "instance": 0, "start_s": 0.0, "duration_s": 2.0, "flop": 4e11, "bytes": 1e11,
         "batch_size": 4, "decode_tokens": 8, "blocks_used": 50},
        {"pool": 1, "instance": 1, "start_s": 0.0, "duration_s": 6.0, "flop": 0.0, "bytes": 0.0,
         "batch_size": 8, "decode_tokens": 8, "blocks_used": 90, "bound_by": 1},
    ]  # fmt: skip
    rows = [finished(0.0), finished(8.0)]
    stage = summary(make, pools, rows, steps=steps)["stages"]["d"]
    assert stage["utilisation"] == pytest.approx(8.0 / 20.0)
    assert stage["mfu"] == pytest.approx(4e11 / (20.0 * 1e12))
    assert stage["mbu"] == pytest.approx(1e11 / (20.0 * 1e11))
    assert stage["kv_occupancy"] == pytest.approx((2 * 0.5 + 6 * 0.9) / 8)
    assert stage["kv_occupancy_max"] == pytest.approx(0.9)
    assert stage["mean_batch"] == pytest.approx((2 * 4 + 6 * 8) / 8)
    assert stage["bound_by"] == {"compute": 0.25, "memory": 0.75}
    assert stage["pressure"] == pytest.approx(0.8)
    assert stage["loaded_slot_occupancy"] == pytest.approx((2 * 4 + 6 * 8) / (8.0 * 2 * 10))


def test_pressure_leaves_out_the_slow_end(make: Any, pools: Any) -> None:
    rows = [finished(float(at)) for at in range(5)]
    steps = [{"pool": 0, "start_s": 0.0, "duration_s": 4.0, "decode_tokens": 0}]
    stage = summary(make, pools, rows, steps=steps, end_s=40.0)["stages"]["p"]
    assert (stage["utilisation"], stage["pressure"]) == (pytest.approx(0.1), pytest.approx(1.0))


def test_warm_up_is_simulated_and_not_measured(make: Any, pools: Any) -> None:
    rows = [finished(0.0, ttft=5.0), finished(6.0)]
    found = summary(make, pools, rows, measured_from_s=1.0)
    assert found["ttft_s"]["p99"] == pytest.approx(0.5)
    assert found["slo_attainment"] == 1.0
    assert found["requests"]["arrived"] == 2
    assert found["measured_s"] == pytest.approx(6.0)


def test_nothing_finished_is_no_crash(make: Any, pools: Any) -> None:
    rows = [{"arrival_s": 0.0, "status": "rejected", "output_tokens": 0}]
    found = summary(make, pools, rows, steps=[])
    assert found["bottleneck"] == "nothing finished"
    assert found["cost_usd_per_mtok"] is None
    assert found["goodput_req_s"] == 0.0
    assert summary(make, pools, [], steps=[])["slo_met"] is False


def test_the_last_moment_is_no_timer(make: Any) -> None:
    tables = {
        "requests": make("requests", [finished(1.0), {"arrival_s": 3.0, "status": "rejected"}]),
        "steps": make("steps", [{"start_s": 1.0, "duration_s": 3.5}]),
    }
    assert last_moment_s(tables) == 4.5
    assert last_moment_s({name: make(name, []) for name in tables}) == 0.0


def queue(rate: float, service_s: float, count: int = 2000) -> tuple[Any, Any]:
    """One server, Poisson arrivals: when they come and when they leave."""
    gaps = np.random.default_rng(7).exponential(1.0 / rate, count)
    enter = np.cumsum(gaps)
    leave, free = [], 0.0
    for at in enter:
        free = max(free, at) + service_s
        leave.append(free)
    return enter, np.array(leave)


@pytest.mark.parametrize(("load", "grows"), [(0.5, False), (0.9, False), (1.2, True), (2.0, True)])
def test_a_backlog_grows_beyond_the_capacity_only(load: float, grows: bool) -> None:
    enter, leave = queue(1.0, load)
    assert is_growing(enter, leave, 1e9) is grows


def test_growth_is_the_excess_rate() -> None:
    enter, leave = queue(1.0, 2.0)
    assert backlog_growth(enter, leave, 1e9) == pytest.approx(0.5, rel=0.05)


def test_few_requests_prove_nothing_and_a_short_queue_is_chance() -> None:
    few = np.arange(8.0)
    assert not is_growing(few, few * 3, 1e9)
    enter, leave = queue(1.0, 0.95, count=60)
    assert not is_growing(enter, leave, 1e9)


def test_what_is_turned_away_is_no_backlog(make: Any, pools: Any) -> None:
    """Half of the requests bounce off a full queue: that is an SLO matter, not instability."""
    rows: list[Any] = []
    for at in range(200):
        turned_away = {"arrival_s": float(at), "status": "rejected"}
        rows.append(turned_away if at % 2 else finished(float(at)))
    assert summary(make, pools, rows, end_s=200.0)["unstable"] is False


def test_an_overloaded_run_is_flagged(make: Any, pools: Any) -> None:
    rows = [finished(float(at), ttft=1.0 + at) for at in range(200)]
    found = summary(make, pools, rows, end_s=400.0)
    assert found["unstable"] is True
    assert found["stages"]["d"]["queue_growth_req_s"] == pytest.approx(0.0, abs=1e-6)
