"""What ``check`` says of tiers: how much they hold, and whether a fetch is worth it."""

from __future__ import annotations

import pytest

from hetsim.inspect import check


def tiers(*sets: str) -> dict[str, dict[str, float]]:
    return {row["tier"]: row for row in check("residency_tiers", sets=sets)["tiers"]}


def test_a_tier_holds_its_capacity_at_every_holder():
    found = tiers()
    # 80 layers of 8 KV heads of 128 + 128 bf16 elements: 327,680 B per token.
    assert found["dram"]["tokens"] == pytest.approx(2 * 64e9 / 327_680, rel=1e-3)
    assert found["ssd"]["tokens"] == pytest.approx(400e9 / 327_680, rel=1e-3)
    assert found["remote"]["tokens"] == pytest.approx(0.9 * 500e9 / 327_680, rel=1e-3)


def test_a_fetch_alone_takes_bytes_over_the_slowest_link_and_a_little_more():
    found = tiers("residency.ssd.read_rate=1 GB/s")
    nbytes = 1024 * 327_680
    assert nbytes / 1e9 < found["ssd"]["fetch_s"] < nbytes / 1e9 + 0.01
    # Four devices over PCIe 5 at 0.82 of 63 GB/s.
    assert nbytes / (4 * 0.82 * 63e9) < found["dram"]["fetch_s"] < nbytes / (4 * 0.82 * 63e9) + 0.01


def test_risks_name_a_slow_tier_an_incomplete_key_and_a_small_store():
    risks = " ".join(
        check(
            "residency_tiers", sets=["residency.ssd.read_rate=0.1 GB/s", "residency.key=no_dtype"]
        )["risks"]
    )
    assert "tier ssd" in risks and "seldom worth it" in risks
    assert "residency.key no_dtype" in risks and "33268" in risks
    small = check("quickstart", sets=["boundary={ownership: copy_out, transit: 300 MB}"])
    assert any("wait in the prefill side's blocks" in risk for risk in small["risks"])


def test_without_tiers_nothing_is_said():
    found = check("quickstart")
    assert found["tiers"] == []
    assert not any("tier" in fact["what"] for fact in found["facts"])
