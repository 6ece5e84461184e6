"""Every class of fault in a run, the laws held after every event, and what must come of it."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest

import hetsim
from hetsim.faults import CATALOGUE
from hetsim.stages._faults import STROKES

REQUESTS = 120

POOL = (
    "boundary={ownership: pool_lease, variant: sound, on_error: recompute}",
    "residency={remote: {capacity: 60 GB, nodes: 1, nics_per_node: 2}}",
)

#: (case, faults, more settings, what must hold of (summary, row of the first fault))
CASES: dict[str, tuple[str, tuple[str, ...], Any]] = {
    "decode_crash": (
        "{kind: decode_crash, at: 3 s, restart_after: 2 s}",
        (),
        lambda s, f: (
            s["requests"]["failed"] == f["failed"] == f["touched"] > 40
            and f["down_s"] == 2.0
            and f["leak_page_s"] > 0.0
        ),
    ),
    "decode_crash_at_state": (
        "{kind: decode_crash, when: 'Ds:reading', nth: 30, restart_after: 1 s}",
        (),
        lambda s, f: f["strokes"] == 1 and 1.0 < f["at_s"] < 1.3 and f["failed"] > 20,
    ),
    "prefill_crash": (
        "{kind: prefill_crash, at: 3 s, restart_after: 1 s}",
        (),
        lambda s, f: s["reasons"]["prefill_crash"] == f["touched"] > 10,
    ),
    "prefill_crash_after_the_prefill": (
        "{kind: prefill_crash, when: 'Ps:leased', nth: 30, restart_after: 1 s}",
        ("boundary.on_error=recompute",),
        lambda s, f: s["requests"]["failed"] + s["requests"]["rejected"] < f["touched"],
    ),
    "pool_crash": (
        "{kind: pool_crash, per_hour: 7200}",
        (
            "boundary={ownership: pool_lease, on_error: recompute}",
            "residency={remote: {capacity: 60 GB, nodes: 1, nics_per_node: 2}}",
            "pools.prefill.prefix_caching=true",
        ),
        lambda s, f: s["requests"]["finished"] == REQUESTS and f["lost_prefill_tokens"] > 1000,
    ),
    "router_crash": (
        "{kind: router_crash, at: 3 s, duration: 1 s}",
        (),
        lambda s, f: s["reasons"] == {"router_crash": f["touched"]} and f["touched"] > 30,
    ),
    "link_slow": (
        "{kind: link_slow, at: 2 s, factor: 0.01, duration: 2 s}",
        (),
        lambda s, f: s["requests"]["finished"] == REQUESTS and f["lost_requests"] > 30,
    ),
    "link_flap": (
        "{kind: link_flap, at: 2 s, duration: 300 ms, times: 3}",
        (),
        lambda s, f: s["requests"]["finished"] == REQUESTS and f["strokes"] == 3,
    ),
    "rail_down": (
        "{kind: rail_down, at: 2 s, rails: 4}",
        (),
        lambda s, f: s["requests"]["finished"] == REQUESTS and f["touched"] > 0,
    ),
    "transfer_fail": (
        "{kind: transfer_fail, probability: 0.1}",
        (),
        lambda s, f: (
            s["requests"]["failed"] == f["strokes"] > 3
            and f["blast_radius"] == 1.0
            and f["lost_bytes"] > 0
        ),
    ),
    "transfer_fail_live": (
        "{kind: transfer_fail, probability: 0.1, live: true}",
        ("boundary.on_error=recompute",),
        lambda s, f: s["requests"]["finished"] == REQUESTS and f["lost_prefill_tokens"] > 1000,
    ),
    "one_of_four_handles_fails": (
        "{kind: transfer_fail, at: 2 s, count: 1}",
        ("boundary.handles=4",),
        lambda s, f: s["requests"]["failed"] == 1 and not s["violations"],
    ),
    "one_of_four_handles_fails_and_nobody_waits_for_the_rest": (
        "{kind: transfer_fail, at: 2 s, count: 1}",
        ("boundary.handles=4", "boundary.variant=free_on_first_error"),
        lambda s, f: s["requests"]["failed"] == 1 and s["violations"].get("I1", 0) > 0,
    ),
    "transfer_hang": (
        "{kind: transfer_hang, at: 2 s, count: 2}",
        (),
        lambda s, f: (
            s["requests"]["unfinished"] == 2 and s["leak_page_s_by_cause"]["Ds:stuck"] > 0
        ),
    ),
    "transfer_hang_sound": (
        "{kind: transfer_hang, at: 2 s, count: 2}",
        ("boundary.variant=sound",),
        lambda s, f: s["requests"]["failed"] == 2 and 60 < f["time_to_recover_s"] < 61,
    ),
    "partial_write": (
        "{kind: partial_write, at: 2 s, count: 3}",
        (),
        lambda s, f: s["ok_corrupt"] == f["ok_corrupt"] == 3 == s["violations"]["I6"],
    ),
    "partition": (
        "{kind: partition, at: 2 s, duration: 2 s}",
        (),
        lambda s, f: s["requests"]["finished"] == REQUESTS and f["lost_requests"] > 30,
    ),
    "partition_of_control": (
        "{kind: partition, at: 2 s, duration: 2 s, plane: control}",
        (),
        lambda s, f: s["requests"]["finished"] == REQUESTS and f["leak_page_s"] > 1e4,
    ),
    "notice_lost": (
        "{kind: notice_lost, notice: done, probability: 0.1}",
        (),
        lambda s, f: (
            s["requests"]["finished"] == REQUESTS
            and s["leak_page_s_by_cause"] == {"Ps:lease_expired": f["leak_page_s"]}
        ),
    ),
    "notice_lost_and_d_gives_up": (
        "{kind: notice_lost, notice: done, at: 2 s, count: 2}",
        ("boundary.ownership=consumer_triggered_push", "boundary.variant=in_doubt"),
        lambda s, f: s["requests"]["failed"] == 2,
    ),
    "dispatch_lost": (
        "{kind: notice_lost, notice: dispatch, at: 2 s, count: 3}",
        (),
        lambda s, f: s["reasons"] == {"router_crash": 3},
    ),
    "notice_repeated": (
        "{kind: notice_repeated, probability: 0.3}",
        (),
        lambda s, f: s["requests"]["finished"] == REQUESTS and not s["violations"],
    ),
    "notice_late": (
        "{kind: notice_late, probability: 0.3, delay: 1 s}",
        (),
        lambda s, f: s["requests"]["finished"] == REQUESTS and f["lost_requests"] > 10,
    ),
    "step_stall": (
        "{kind: step_stall, at: 2 s, duration: 5 s}",
        (),
        lambda s, f: s["requests"]["finished"] == REQUESTS and f["wasted_gpu_s"] == 5.0,
    ),
    "connect_slow": (
        "{kind: connect_slow, probability: 0.2, delay: 100 ms}",
        (),
        lambda s, f: s["requests"]["finished"] == REQUESTS and f["strokes"] > 10,
    ),
    "layout_miss": (
        "{kind: layout_miss, probability: 0.2}",
        (),
        lambda s, f: s["requests"]["finished"] == REQUESTS and f["strokes"] > 10,
    ),
    "timer_too_short": (
        "{kind: timer_scale, at: 0 s, timer: lease, factor: 0.0001}",
        (),
        lambda s, f: s["ok_corrupt"] == s["violations"]["I1"] == f["ok_corrupt"] > 10,
    ),
    "timer_too_short_sound": (
        "{kind: timer_scale, at: 0 s, timer: lease, factor: 0.0001}",
        ("boundary.variant=sound",),
        lambda s, f: s["ok_corrupt"] == 0 and not s["violations"] and s["requests"]["failed"] > 10,
    ),
    "clock_skew": (
        "{kind: clock_skew, at: 1 s, delay: 29.99 s}",
        (),
        lambda s, f: s["ok_corrupt"] == f["ok_corrupt"] > 3,
    ),
    "client_abort_storm": (
        "{kind: client_abort, at: 3 s, count: 30}",
        (),
        lambda s, f: s["reasons"] == {"client": 30} and f["touched"] == 30,
    ),
    "client_abort_soon_after_arrival": (
        "{kind: client_abort, probability: 0.3, delay: 50 ms}",
        (),
        lambda s, f: s["reasons"] == {"client": f["strokes"]} and f["strokes"] > 20,
    ),
    "duplicate_request": (
        "{kind: duplicate_request, probability: 0.2}",
        (),
        lambda s, f: s["requests"]["finished"] == REQUESTS + f["strokes"] > REQUESTS,
    ),
    "memory_short": (
        "{kind: memory_short, at: 2 s, factor: 1.0, duration: 3 s}",
        (),
        lambda s, f: s["requests"]["finished"] == REQUESTS and f["touched"] > 20,
    ),
    "preemption": (
        "{kind: preemption, per_hour: 3600}",
        (),
        lambda s, f: s["requests"]["finished"] == REQUESTS and 0 < f["touched"] <= f["strokes"],
    ),
    "fragmentation": (
        "{kind: fragmentation, factor: 100, probability: 1.0}",
        (),
        lambda s, f: s["requests"]["finished"] == REQUESTS == f["touched"],
    ),
    "mismatch_unseen": (
        "{kind: mismatch, mismatch: static_scales, at: 2 s, count: 3}",
        (),
        lambda s, f: s["ok_corrupt"] == s["violations"]["I13"] == 3,
    ),
    "mismatch_seen": (
        "{kind: mismatch, mismatch: same_width_dtype, at: 2 s, count: 3}",
        (),
        lambda s, f: s["ok_corrupt"] == 0 and s["requests"]["failed"] == 3,
    ),
    "session_blacklisted": (
        "{kind: session_blacklisted, at: 2 s, duration: 1 s}",
        (),
        lambda s, f: s["requests"]["failed"] == f["touched"] > 20 and f["time_to_recover_s"] == 1.0,
    ),
    "router_blind": (
        "{kind: router_blind, at: 1 s, duration: 2 s}",
        ("boundary.hold_above=0.02",),
        lambda s, f: (
            s["requests"]["finished"] == REQUESTS and f["touched"] > 5 and s["pressure"]["held"] > 5
        ),
    ),
    "duplicate_of_one_id": (
        "{kind: duplicate_request, probability: 0.2, same_id: true}",
        (),
        lambda s, f: (
            s["requests"]["finished"] == s["requests"]["arrived"] == REQUESTS
            and f["refused_stale"] == f["strokes"] > 5
        ),
    ),
    "zombie_put": (
        "{kind: zombie_put, at: 1 s, count: 4, delay: 3 s}",
        POOL,
        lambda s, f: s["requests"]["finished"] == REQUESTS and f["touched"] == 4,
    ),
    "pool_eviction": (
        "{kind: pool_eviction, when: 'X:complete', nth: 30}",
        POOL,
        lambda s, f: f["touched"] == 1 == s["transit"]["recomputed_requests"],
    ),
    "transfer_preemption": (
        "{kind: transfer_preemption, at: 1 s, count: 5}",
        ("boundary.variant=sound",),
        lambda s, f: (
            s["requests"]["finished"] == REQUESTS
            and f["touched"] == 5
            and s["stages"]["decode"]["prefill_tok_s"] > 0
        ),
    ),
    "transit_short": (
        "{kind: transit_short, at: 1 s, factor: 1.0, duration: 3 s}",
        ("boundary={ownership: copy_out, variant: sound, transit: 4 GB}",),
        lambda s, f: (
            s["requests"]["finished"] == REQUESTS
            and s["transit"]["waits_for_room"] > 20
            and f["touched"] > 20
            and s["transit"]["pages"]["quarantined"] == 0
        ),
    ),
    "decode_refuses": (
        "{kind: decode_refuses, at: 1 s, count: 5}",
        (),
        lambda s, f: s["reasons"] == {"refused": 5} and f["lost_prefill_tokens"] > 500,
    ),
    "decode_refuses_before_the_prefill": (
        "{kind: decode_refuses, at: 1 s, count: 5}",
        ("boundary={ownership: rendezvous_chunk_push, variant: sound}",),
        lambda s, f: s["reasons"] == {"refused": 5} and f["lost_prefill_tokens"] == 0,
    ),
}  # fmt: skip


@cache
def run(fault: str, *sets: str) -> hetsim.Result:
    more = [f"workload.requests={REQUESTS}", f"faults=[{fault}]", *sets]
    return hetsim.run("quickstart", sets=more, check_laws=True)


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_a_fault_has_the_outcome_that_its_runtime_gives_it(case: str):
    fault, sets, expected = CASES[case]
    result = run(fault, *sets)
    (row,) = result.summary["faults"]
    counts = result.summary["requests"]
    assert counts["arrived"] == sum(n for name, n in counts.items() if name != "arrived")
    assert expected(result.summary, row), (counts, result.summary["violations"], row)


def test_every_kind_has_a_case_and_a_stroke():
    used = {fault.split("kind: ")[1].split(",")[0].rstrip("}") for fault, _, _ in CASES.values()}
    assert used == set(CATALOGUE) == set(STROKES)


RUNTIMES = (
    "vllm_nixl_push", "vllm_mooncake", "trtllm_cpp", "sglang_early", "ascend_layerwise",
    "ascend_pull", "lmdeploy_dlslime",
)  # fmt: skip
BROAD = (
    "{kind: decode_crash, at: 1 s, restart_after: 500 ms}",
    "{kind: prefill_crash, at: 1 s, restart_after: 500 ms}",
    "{kind: transfer_fail, probability: 0.2}",
    "{kind: client_abort, probability: 0.3, delay: 40 ms}",
    "{kind: notice_repeated, probability: 0.5}",
    "{kind: notice_late, probability: 0.3, delay: 500 ms}",
    "{kind: router_crash, at: 1 s, duration: 200 ms}",
)


@pytest.mark.slow
@pytest.mark.parametrize("variant", ["", "sound"])
@pytest.mark.parametrize("runtime", RUNTIMES)
def test_no_runtime_meets_a_fault_that_its_machine_does_not_know(runtime: str, variant: str):
    """Laws hold after every event; a sound variant breaks no invariant and leaves nobody behind."""
    for fault in BROAD:
        sets = [f"pools.{pool}.runtime={runtime}" for pool in ("prefill", "decode")]
        sets += ["workload.requests=50", f"faults=[{fault}]"]
        if variant:
            sets.append(f"boundary.variant={variant}")
        summary = hetsim.run("quickstart", sets=sets, check_laws=True).summary
        if variant:
            assert not summary["violations"] and not summary["requests"]["unfinished"], fault
