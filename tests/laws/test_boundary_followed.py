"""What is followed beyond the first request: aliases, reloads from a pool, preemptions."""

from __future__ import annotations

from typing import Any

import pytest

import hetsim

ALIAS = (
    "workload.requests=150",
    "residency={remote: {capacity: 200 GB, nodes: 1, nics_per_node: 2}, writers: [decode], "
    "key: no_dtype, dram: {capacity: 20 GB}}",
)
POOL = (
    "boundary.lease=10 s",
    "residency.remote.nic=100 Gbit/s",
    "residency.remote.capacity=200 GB",
    "faults=[{kind: decode_crash, at: 4 s, restart_after: 500 ms}]",
)


def summary(name: str, *sets: str) -> dict[str, Any]:
    return hetsim.run(name, sets=list(sets), check_laws=True).summary


@pytest.mark.slow
def test_what_was_computed_on_an_aliased_unit_misleads_whoever_finds_it_later():
    """Copies in DRAM have plain names of their own: only their history tells what they are."""
    found = summary("boundary/pool_key_faulty", *ALIAS)
    tiers = found["residency"]["tiers"]
    assert tiers["dram"]["fetched_tokens"] > 0 == tiers["dram"]["aliased_tokens"]
    assert found["residency"]["tainted_hits"] > 0
    assert found["violations"]["I14"] == found["residency"]["aliased_hits"]
    assert found["violations"]["I16"] == found["ok_corrupt"] > 10
    right = summary("boundary/pool_key_faulty", *ALIAS, "residency.key=complete")
    assert right["ok_corrupt"] == 0 == right["residency"]["tainted_hits"]


@pytest.mark.slow
def test_a_reload_reads_what_the_first_attempt_put_into_the_pool():
    """The same requests are served again, and their prompts are not computed again."""
    again, reload = (
        summary("boundary/pool_lease_sound", *POOL,
                f"recovery={{policy: {policy}, attempts: 3, delay: 1 s}}")
        for policy in ("reprefill", "reload")
    )  # fmt: skip
    assert again["faults"][0]["recovered"] == reload["faults"][0]["recovered"] > 20
    for found in (again, reload):
        assert found["requests"]["finished"] == 200 and found["ok_corrupt"] == 0
        assert not found["violations"] and found["leak_page_s"] == 0.0
    put = [made["transit"]["bytes"]["put"] for made in (again, reload)]
    assert put[1] < 0.9 * put[0]


@pytest.mark.slow
def test_a_calm_run_shows_who_was_preempted():
    short = (
        "pools.decode.estimator={kind: constant, prefill: 20 ms, decode_step: 10 ms, blocks: 1500}"
    )
    made = hetsim.run("quickstart", sets=[short, "workload.requests=300"])
    rows = made.ownership
    assert not made.summary.get("faults")
    away = rows[(rows["block_set"] == "Ds") & (rows["state_to"] == "preempted")]
    back = rows[(rows["block_set"] == "Ds") & (rows["state_from"] == "preempted")]
    assert len(away) == len(back) == int(made.requests["preemptions"].sum()) > 10


@pytest.mark.slow
def test_a_preempted_request_is_loaded_again_from_the_pool():
    found = summary("boundary/pool_lease_sound", *POOL[:3],
                    "faults=[{kind: preemption, per_hour: 3600}]")  # fmt: skip
    (row,) = found["faults"]
    assert found["requests"]["finished"] == 200 and row["touched"] >= 5
    assert found["transit"]["bytes"]["get"] > found["transit"]["bytes"]["put"]
    assert found["ok_corrupt"] == 0 == found["leak_page_s"] and not found["violations"]


@pytest.mark.slow
def test_a_release_that_comes_after_the_end_is_a_leak_whoever_is_to_blame():
    late = "faults=[{kind: notice_late, notice: done, probability: 1.0, delay: 60 s}]"
    found = summary("quickstart", "workload.requests=50", "boundary.lease=480 s", late)
    assert found["leak_page_s_by_cause"]["Ps:delivered_late"] > 10_000
    usual = summary("quickstart", "workload.requests=50")
    assert usual["leak_page_s"] == 0.0


@pytest.mark.slow
def test_long_steps_of_decode_let_a_renewed_lease_end_without_a_word_in_the_scenario():
    """Beats every 0.5 s extend by 2 s, and wait for steps of 2 s: vLLM 0.33, NIXL connector."""
    long = (
        "workload.requests=100",
        "boundary.lease=3 s",
        "pools.decode.estimator="
        "{kind: constant, prefill: 20 ms, decode_step: 2 s, blocks: 1500}",
    )  # fmt: skip
    found = summary("quickstart", *long)
    assert found["ok_corrupt"] == found["violations"]["I16"] > 20
    assert summary("quickstart", *long, "boundary.step_timers=false")["ok_corrupt"] == 0
