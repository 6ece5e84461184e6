"""Metamorphic laws of whole runs: what must happen when one thing changes."""

from __future__ import annotations

from typing import Any

import pytest

import hetsim
from hetsim.errors import InfeasibleError

FEW = "workload.requests=150"


def summary(name: str, *sets: str) -> dict[str, Any]:
    return hetsim.run(name, sets=[FEW, *sets]).summary


def swap(one: str, two: str) -> tuple[str, str]:
    return f"pools.prefill.accelerator={one}", f"pools.decode.accelerator={two}"


@pytest.mark.slow
def test_swapping_the_hardware_changes_each_stage_as_its_roof_says():
    """L40S has a third of an H20's bandwidth and twice its bf16 compute."""
    usual = summary("quickstart", *swap("l40s", "h20"))
    swapped = summary("quickstart", *swap("h20", "l40s"))
    assert swapped["tpot_s"]["mean"] > 2.0 * usual["tpot_s"]["mean"]
    fast, slow = usual["critical_path_s"]["prefill_s"], swapped["critical_path_s"]["prefill_s"]
    assert slow > 1.2 * fast


@pytest.mark.slow
@pytest.mark.parametrize(
    ("change", "figure"),
    [
        ("workload.input.mean=2000", "ttft_s"),
        ("workload.output.mean=400", "e2e_s"),
        ("network.nic=50 Gbit/s", "ttft_s"),
        ("pools.decode.accelerator=h20", "tpot_s"),
        ("pools.decode.accelerator=l40s", "tpot_s"),
        ("workload.rate=60 req/s", "e2e_s"),
    ],
)
def test_more_work_or_a_slower_part_is_never_faster(change: str, figure: str):
    usual, worse = summary("quickstart"), summary("quickstart", change)
    assert worse[figure]["mean"] >= usual[figure]["mean"] * (1 - 1e-9)
    assert worse[figure]["p99"] >= usual[figure]["p50"]


@pytest.mark.slow
def test_rejected_requests_are_misses():
    """Attainment counts the arrived: turning requests away cannot raise it."""
    usual = summary("quickstart")
    crowded = summary("quickstart", "workload.rate=2000 req/s", "pools.prefill.queue_limit=20")
    counts = crowded["requests"]
    assert counts["rejected"] > 30
    assert crowded["slo_attainment"] <= 1 - counts["rejected"] / counts["arrived"] + 1e-12
    assert usual["slo_attainment"] == 1.0
    assert sum(v for k, v in counts.items() if k != "arrived") == counts["arrived"]


@pytest.mark.slow
def test_llama_70b_does_not_fit_collapses_and_holds_as_tp_grows():
    with pytest.raises(InfeasibleError, match=r"short by 6\d\.\d+ GB"):
        hetsim.run("llama70b_h100_tp1")
    two = hetsim.run("llama70b_h100_tp2").summary
    four = hetsim.run("llama70b_h100_tp4").summary
    assert two["slo_attainment"] < 0.5 < 0.95 < four["slo_attainment"]
    assert "KV capacity" in two["bottleneck"]


@pytest.mark.slow
def test_an_unused_part_changes_nothing():
    """L10: a price, a limit, a longer horizon than needed leave every time as it was."""
    usual = summary("quickstart")
    other = summary("quickstart", "prices={h100: 9 USD/h, h200: 9 USD/h}", "limits.events=1e9")
    for key in ("ttft_s", "tpot_s", "itl_s", "e2e_s", "slo_attainment", "goodput_req_s"):
        assert other[key] == usual[key]
    assert other["cost_usd_per_mtok"] > usual["cost_usd_per_mtok"]


@pytest.mark.slow
def test_what_stays_inside_at_the_horizon_is_unfinished():
    cut = summary("quickstart", "horizon=2 s", "workload.requests=1000")
    counts = cut["requests"]
    assert counts["unfinished"] > 0 and counts["finished"] > 0
    assert counts["finished"] + counts["unfinished"] == counts["arrived"]
