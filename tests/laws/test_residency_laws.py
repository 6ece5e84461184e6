"""Tiers below HBM in whole runs: laws hold, tokens and bytes add up, more or faster is better."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest

import hetsim

SCENARIO = "residency_tiers"
FEW = ("workload.requests=100", "pools.prefill.memory_utilisation=0.33")
TOKENS = ("fetched", "recomputed", "no_room", "lost")
NO_OTHERS = ("residency.ssd=null", "residency.remote=null")
ONLY_REMOTE = ("residency.dram=null", "residency.ssd=null")
ALIAS = (
    *ONLY_REMOTE,
    "pools.decode.precision.kv=fp8_e4m3",
    "boundary.convert_at=consumer",
    "residency.writers=[decode]",
)


@cache
def result(*sets: str, laws: bool = False, stepwise: bool = False) -> Any:
    return hetsim.run(SCENARIO, sets=[*FEW, *sets], check_laws=laws, stepwise=stepwise)


def residency(*sets: str) -> dict[str, Any]:
    found: dict[str, Any] = result(*sets).summary["residency"]
    return found


def below(found: dict[str, Any]) -> dict[str, Any]:
    return {name: tier for name, tier in found["tiers"].items() if name != "hbm"}


def adds_up(found: dict[str, Any]) -> None:
    for name, tier in below(found).items():
        assert tier["hit_tokens"] == sum(tier[f"{word}_tokens"] for word in TOKENS), name
        pages = tier["pages"]
        assert pages["free"] + pages["owned"] + pages["quarantined"] == pages["total"], name
        assert pages["peak_owned"] <= pages["total"], name


@pytest.mark.slow
@pytest.mark.parametrize(
    "sets",
    [
        (),
        ("residency.dram.write=write_back", "residency.remote.write=write_back"),
        ("residency.dram.write=on_eviction", "residency.ssd.write=on_eviction"),
        (
            "residency.dram.eviction={kind: arc}",
            "residency.ssd.eviction={kind: lfu}",
            "residency.remote.eviction={kind: ttl, after: 20 s}",
        ),
        ("residency.dram.share=node", "residency.dram.capacity=8 GB", "residency.fetch=always"),
        ("residency.remote.lease=50 ms", "residency.remote.nic=2 Gbit/s", "residency.fetch=always"),
        ("faults=[{kind: prefill_crash, at: 30 s, restart_after: 5 s}]",),
        ("pools.prefill.parallel={tp: 2, dp: 2}", "pools.prefill.memory_utilisation=0.6"),
    ],
)
def test_laws_hold_after_every_event_and_tokens_add_up(sets: tuple[str, ...]):
    made = result(*sets, laws=True)
    adds_up(made.summary["residency"])
    counts = made.summary["requests"]
    assert counts["finished"] >= counts["arrived"] - 5 and counts["unfinished"] == 0


@pytest.mark.slow
def test_bytes_of_the_table_are_bytes_of_the_tiers_and_of_the_links():
    made = result()
    rows, found = made.transfers, made.summary["residency"]
    for name, tier in below(found).items():
        for word, figure in (("fetch", "bytes_read"), ("store", "bytes_written")):
            moved = rows.loc[rows["kind"] == f"{word}_{name}", "bytes"].sum()
            assert moved == pytest.approx(tier[figure])
    tiers = below(found)
    drives = tiers["ssd"]["bytes_read"] + tiers["ssd"]["bytes_written"]
    assert found["link_bytes"]["ssd"] == pytest.approx(drives)
    # A NIC at each end of every byte of the remote pool.
    crossed = tiers["remote"]["bytes_read"] + tiers["remote"]["bytes_written"]
    assert found["link_bytes"]["nic"] == pytest.approx(2 * crossed)
    assert found["ssd_wear"]["bytes_written"] == tiers["ssd"]["bytes_written"]


@pytest.mark.slow
def test_what_was_fetched_was_not_computed():
    usual, never = result(), result("residency.fetch=never")
    fetched = sum(t["fetched_tokens"] for t in below(usual.summary["residency"]).values())
    computed = [int(r.steps.loc[r.steps["pool"] == "prefill", "prefill_tokens"].sum())
                for r in (usual, never)]  # fmt: skip
    assert fetched > 10_000 and computed[0] < computed[1]
    reused = [int(r.requests["cached_tokens"].sum()) for r in (usual, never)]
    assert reused[0] - reused[1] == computed[1] - computed[0]
    assert usual.summary["ttft_s"]["mean"] < never.summary["ttft_s"]["mean"]
    for tier in below(never.summary["residency"]).values():
        assert tier["fetched_tokens"] == 0 == tier["bytes_read"]


@pytest.mark.slow
def test_a_larger_pool_never_has_fewer_hits():
    """Nothing is fetched, so the order of requests stays the same: LRU's stack property."""
    hits = [
        residency(*NO_OTHERS, "residency.fetch=never", f"residency.dram.capacity={size} GB")[
            "tiers"
        ]["dram"]["hit_tokens"]
        for size in (4, 16, 64, 128)
    ]
    assert hits == sorted(hits) and hits[-1] > hits[0]


@pytest.mark.slow
def test_a_slower_tier_is_never_read_more():
    read = [
        residency(*ONLY_REMOTE, f"residency.remote.nic={rate} Gbit/s")["tiers"]["remote"]
        for rate in (200, 20, 2)
    ]
    fetched = [tier["fetched_tokens"] for tier in read]
    assert fetched == sorted(fetched, reverse=True) and fetched[0] > 0 == fetched[-1]
    assert read[-1]["recomputed_tokens"] == read[-1]["hit_tokens"] > 0


@pytest.mark.slow
def test_a_slow_drive_is_worth_nothing_and_costs_time_where_it_is_read_all_the_same():
    slow = ("residency.dram=null", "residency.remote=null", "residency.ssd.read_rate=100 MB/s")
    by_cost, always = result(*slow), result(*slow, "residency.fetch=always")
    assert by_cost.summary["residency"]["tiers"]["ssd"]["fetched_tokens"] == 0
    assert always.summary["residency"]["tiers"]["ssd"]["fetched_tokens"] > 0
    assert always.summary["ttft_s"]["mean"] > by_cost.summary["ttft_s"]["mean"]


@pytest.mark.slow
def test_a_key_without_the_number_format_gives_wrong_answers_and_a_complete_one_none():
    """The decode pool stores fp8, the prefill pool reads as if it were its own bf16."""
    faulty, sound = (result(*ALIAS, f"residency.key={key}") for key in ("no_dtype", "complete"))
    assert faulty.summary["ok_corrupt"] > 0
    assert faulty.summary["violations"]["I14"] == faulty.summary["residency"]["aliased_hits"] > 0
    assert faulty.summary["violations"]["I16"] == faulty.summary["ok_corrupt"]
    assert int(faulty.requests["corrupt"].sum()) == faulty.summary["ok_corrupt"]
    tiers = [made.summary["residency"]["tiers"]["remote"] for made in (faulty, sound)]
    assert tiers[0]["aliased_tokens"] == tiers[0]["fetched_tokens"] > 0
    assert tiers[0]["converted_tokens"] == 0 < tiers[1]["converted_tokens"]
    assert sound.summary["ok_corrupt"] == 0 and sound.summary["residency"]["aliased_hits"] == 0
    assert "I14" not in sound.summary["violations"]


@pytest.mark.slow
def test_a_lease_that_ends_under_the_read_loses_it_and_nothing_else():
    made = result(
        *ONLY_REMOTE, "residency.remote.lease=10 ms", "residency.fetch=always",
        "residency.remote.nic=5 Gbit/s",
    )  # fmt: skip
    tier = made.summary["residency"]["tiers"]["remote"]
    assert tier["lost_tokens"] > 0 == tier["fetched_tokens"]
    assert made.summary["ok_corrupt"] == 0 and made.summary["requests"]["finished"] == 100


@pytest.mark.slow
def test_one_seed_one_result_and_steps_one_by_one_give_the_same():
    sets = ("workload.requests=60",)
    one, two, walked = (
        hetsim.run(SCENARIO, sets=[*FEW, *sets]),
        hetsim.run(SCENARIO, sets=[*FEW, *sets]),
        hetsim.run(SCENARIO, sets=[*FEW, *sets], stepwise=True),
    )
    for table in ("requests", "transfers", "ownership"):
        assert one.table(table).equals(two.table(table)), table
    assert one.summary["residency"] == two.summary["residency"]
    tiers = [below(r.summary["residency"]) for r in (one, walked)]
    for name, tier in tiers[0].items():
        for figure in (*(f"{word}_tokens" for word in (*TOKENS, "hit")), "evicted_pages"):
            assert tier[figure] == tiers[1][name][figure]
    ttft = [r.requests["ttft_s"].to_numpy() for r in (one, walked)]
    assert ttft[0] == pytest.approx(ttft[1], rel=1e-9)


@pytest.mark.slow
def test_a_co_located_pool_has_tiers_without_a_network():
    made = hetsim.run(
        "colocated_baseline",
        check_laws=True,
        sets=[
            "workload={kind: sessions, rate: 4 req/s, requests: 120, turns: 8.0, gap: 5 s,"
            " input: {kind: lognormal, mean: 800, cv: 1.0},"
            " output: {kind: lognormal, mean: 100, cv: 0.5}}",
            "pools.serve.prefix_caching=true",
            "pools.serve.memory_utilisation=0.3",
            "residency={dram: {capacity: 20 GB},"
            " ssd: {capacity: 200 GB, read_rate: 6 GB/s, write_rate: 3 GB/s, write: write_back}}",
        ],
    )
    found = made.summary["residency"]
    adds_up(found)
    assert found["tiers"]["dram"]["fetched_tokens"] > 0
    assert "nic" not in found["link_bytes"]


@pytest.mark.slow
def test_tiers_that_nothing_falls_into_change_no_time():
    """L10: KV that never leaves HBM, and tiers that take only what falls."""
    roomy = ("pools.prefill.memory_utilisation=0.9", "workload.requests=60")
    spare = (
        "residency.dram.write=write_back", "residency.ssd.write=write_back",
        "residency.remote.write=write_back",
    )  # fmt: skip
    tiered = hetsim.run(SCENARIO, sets=[*FEW, *roomy, *spare])
    plain = hetsim.run(SCENARIO, sets=[*FEW, *roomy, "residency=null"])
    assert tiered.requests.equals(plain.requests)
    assert tiered.steps.equals(plain.steps)
    assert "residency" not in plain.summary
