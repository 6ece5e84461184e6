"""Hand-offs over a store: a pool under leases (F), copies that P keeps for D (G); their defects."""

from __future__ import annotations

from typing import Any

import pytest

import hetsim
from hetsim.errors import ScenarioError

FEW = "workload.requests=200"


def pool(capacity: str, nic: str = "400 Gbit/s", lease: str = "10 s") -> str:
    return (
        f"residency={{remote: {{capacity: {capacity}, nodes: 1, nics_per_node: 1, nic: {nic},"
        f" lease: {lease}}}}}"
    )


def runtime(name: str) -> tuple[str, str]:
    return f"pools.prefill.runtime={name}", f"pools.decode.runtime={name}"


def summary(*sets: str) -> dict[str, Any]:
    found = hetsim.run("quickstart", sets=[FEW, *sets], check_laws=True).summary
    pages = found["transit"]["pages"]
    assert pages["free"] + pages["owned"] + pages["quarantined"] == pages["total"]
    assert pages["peak_owned"] <= pages["total"]
    return found


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "store", "place"),
    [
        ("mooncake_store", pool("60 GB"), "remote"),
        ("tpu", "boundary.transit=4 GB", "device"),
        ("qaic_shm", "boundary.transit=4 GB", "host"),
    ],
)
def test_the_presets_run_whole(name: str, store: str, place: str):
    found = summary(*runtime(name), store)
    assert found["requests"]["finished"] == 200
    assert found["ok_corrupt"] == 0 and found["leak_page_s"] == 0.0 and not found["violations"]
    assert found["transit"]["place"] == place


@pytest.mark.slow
def test_a_pool_keeps_objects_until_it_evicts_them_and_copies_go_when_they_are_read():
    kept = summary("boundary.ownership=pool_lease", pool("60 GB"))["transit"]
    moved = kept["bytes"]
    assert moved["put"] == moved["get"] > 0 == moved["copy"]
    assert kept["pages"]["owned"] * kept["page_bytes"] == pytest.approx(moved["put"])
    gone = summary("boundary={ownership: copy_out, transit: 4 GB}")["transit"]
    assert gone["pages"]["owned"] == 0 < gone["bytes"]["copy"]


@pytest.mark.slow
def test_a_small_pool_evicts_before_decode_has_looked_and_decode_computes_what_it_missed():
    roomy, small = (
        summary("boundary={ownership: pool_lease, on_error: recompute}", pool(size))
        for size in ("60 GB", "3 GB")
    )
    assert roomy["transit"]["recomputed_requests"] == 0 == roomy["transit"]["evicted_pages"]
    found = small["transit"]
    assert found["evicted_pages"] > 0 and found["waits_for_room"] > 0
    assert found["recomputed_requests"] > 20
    assert small["requests"]["finished"] == 200 and small["ok_corrupt"] == 0
    assert small["stages"]["decode"]["prefill_tok_s"] > 0
    assert small["ttft_s"]["mean"] > 2 * roomy["ttft_s"]["mean"]


SLOW = pool("6 GB", "2 Gbit/s")


@pytest.mark.slow
def test_a_read_that_outlasts_its_lease_is_noticed_or_is_not():
    """The reader that does not check uses what was evicted under it; the others throw it away."""
    faulty = summary("boundary={ownership: pool_lease, variant: unchecked}", SLOW)
    assert faulty["ok_corrupt"] > 0
    assert faulty["violations"]["I16"] == faulty["ok_corrupt"]
    for variant in ("store", "sound"):
        lease = "" if variant == "sound" else ", lease: 0.5 s"
        sound = summary(f"boundary={{ownership: pool_lease, variant: {variant}{lease}}}", SLOW)
        assert sound["ok_corrupt"] == 0 and "I16" not in sound["violations"]


@pytest.mark.slow
def test_a_copy_whose_lease_ends_is_read_all_the_same_unless_the_variant_is_sound():
    short = "boundary={ownership: copy_out, transit: 4 GB, lease: 10 ms, variant: %s}"
    faulty = summary(short % "buffer")
    assert faulty["ok_corrupt"] > 0 and faulty["violations"]["I1"] > 0
    sound = summary(short % "sound")
    assert sound["ok_corrupt"] == 0 and not sound["violations"]


@pytest.mark.slow
def test_room_for_copies_is_finite_and_comes_out_of_the_memory_of_the_devices():
    wide, tight = (
        summary(f"boundary={{ownership: copy_out, transit: {s}}}") for s in ("8 GB", "800 MB")
    )
    assert wide["transit"]["waits_for_room"] == 0 < tight["transit"]["waits_for_room"]
    assert tight["requests"]["finished"] >= 195 and tight["requests"]["unfinished"] == 0

    def blocks(found: dict[str, Any]) -> int:
        return int(found["capacity"]["prefill"].split(" = ")[1].split(" blocks")[0])

    # 16 tokens of bf16 KV of the 8 B model are 2 MiB.
    assert blocks(tight) - blocks(wide) == pytest.approx(7.2e9 / 2**21, abs=1)


@pytest.mark.slow
def test_a_request_that_the_store_cannot_hold_fails_at_once():
    found = summary("boundary={ownership: copy_out, transit: 200 MB}")
    assert found["reasons"] == {"larger_than_pool": found["requests"]["failed"]}
    assert found["requests"]["failed"] > 0 == found["requests"]["unfinished"]
    assert found["leak_page_s"] == 0.0


CRASH = "faults=[{kind: decode_crash, at: 2 s, restart_after: 3 s}]"


@pytest.mark.slow
def test_a_dead_reader_leaves_copies_until_their_lease_ends_or_for_ever():
    lease = summary("boundary={ownership: copy_out, transit: 2 GB}", CRASH)
    assert lease["leak_page_s_by_cause"]["X:lease_expired"] > 0
    assert lease["requests"]["unfinished"] == 0
    never = summary("boundary={ownership: copy_out, variant: shared_memory, transit: 2 GB}", CRASH)
    assert never["violations"]["I2"] > 0 and never["leak_page_s_by_cause"]["X:never"] > 0
    # The store is full of copies that nobody will read: those who come later wait for ever.
    assert never["requests"]["unfinished"] > 50


@pytest.mark.slow
def test_a_dead_writer_leaves_a_zombie_whose_room_comes_back():
    sets = (
        "boundary={ownership: pool_lease}", pool("30 GB", "1 Gbit/s"),
        "faults=[{kind: prefill_crash, at: 1 s}]",
    )  # fmt: skip
    early = hetsim.run("quickstart", sets=[FEW, *sets, "horizon=60 s"], check_laws=True).summary
    late = hetsim.run("quickstart", sets=[FEW, *sets], check_laws=True).summary
    assert early["transit"]["pages"]["quarantined"] > 0
    assert late["transit"]["pages"]["quarantined"] == 0


@pytest.mark.slow
def test_hand_offs_and_prefixes_share_one_pool():
    found = hetsim.run(
        "residency_tiers",
        check_laws=True,
        sets=[
            "workload.requests=80", "residency.dram=null", "residency.ssd=null",
            "residency.remote.capacity=80 GB", "boundary={ownership: pool_lease}",
            "boundary.on_error=recompute",
        ],
    ).summary  # fmt: skip
    tier, transit = found["residency"]["tiers"]["remote"], found["transit"]
    assert found["requests"]["finished"] == 80
    assert tier["pages"] == transit["pages"]
    assert tier["bytes_written"] > 0 < transit["bytes"]["put"] and tier["evicted_pages"] > 0


@pytest.mark.parametrize(
    ("sets", "says"),
    [
        (("boundary.transit=4 GB",), "has no effect with pull_lease"),
        (("boundary={ownership: copy_out, transit: 0 GB}",), "boundary.transit"),
    ],
)
def test_a_store_that_nobody_uses_or_that_holds_nothing_is_refused(
    sets: tuple[str, ...], says: str
):
    with pytest.raises(ScenarioError, match=says):
        hetsim.run("quickstart", sets=[FEW, *sets])


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["pool_lease", "copy_out"])
def test_one_seed_one_result(kind: str):
    store = pool("5 GB") if kind == "pool_lease" else "boundary.transit=1 GB"
    runs = [
        hetsim.run("quickstart", sets=[FEW, f"boundary.ownership={kind}", store]) for _ in range(2)
    ]
    for table in ("requests", "transfers", "ownership"):
        assert runs[0].table(table).equals(runs[1].table(table))


def boundary(name: str) -> dict[str, Any]:
    return hetsim.run(f"boundary/{name}", check_laws=True).summary


@pytest.mark.slow
def test_lesson_a_pool_key_names_the_number_format():
    faulty, sound = boundary("pool_key_faulty"), boundary("pool_key_sound")
    assert faulty["ok_corrupt"] > 0 and faulty["violations"]["I14"] > 0
    assert sound["ok_corrupt"] == 0 and not sound["violations"]
    assert sound["residency"]["tiers"]["remote"]["converted_tokens"] > 0


@pytest.mark.slow
def test_lesson_a_reader_checks_its_lease_after_the_read():
    faulty, sound = boundary("pool_lease_faulty"), boundary("pool_lease_sound")
    assert faulty["ok_corrupt"] > 0 and faulty["violations"]["I16"] == faulty["ok_corrupt"]
    assert sound["ok_corrupt"] == 0 and "I16" not in sound["violations"]
    assert sound["transit"]["recomputed_requests"] > faulty["transit"]["recomputed_requests"]


@pytest.mark.slow
def test_lesson_a_copy_that_nobody_releases_fills_the_store():
    faulty, sound = boundary("transit_leak_faulty"), boundary("transit_leak_sound")
    leaked = [s["leak_page_s_by_cause"].get("X:lease_expired", 0.0) for s in (faulty, sound)]
    assert leaked[0] > 5 * leaked[1]
    assert faulty["ttft_s"]["mean"] > sound["ttft_s"]["mean"]
    assert sound["ok_corrupt"] == 0 and not sound["violations"]
