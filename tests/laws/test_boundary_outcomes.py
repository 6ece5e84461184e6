"""What goes wrong at the boundary is counted where a runtime ships it; sound variants have none.

Decode is short of KV, so that requests wait for its blocks longer than the lease.
"""

from __future__ import annotations

from typing import Any

import pytest

import hetsim
from hetsim.errors import ScenarioError
from hetsim.scenario import load_scenario
from hetsim.stages import build_plan

PRESSURE = (
    "workload.requests=300",
    "pools.decode.estimator={kind: constant, prefill: 5 ms, decode_step: 20 ms, blocks: 3000}",
    "boundary.lease=3 s",
)
CRASH = (
    "workload.requests=300",
    "faults=[{kind: decode_crash, at: 4 s, instance: 0, restart_after: 3 s}]",
)


def summary(variant: str, *sets: str) -> dict[str, Any]:
    return hetsim.run("quickstart", sets=[*sets, f"boundary.variant={variant}"]).summary


@pytest.mark.slow
@pytest.mark.parametrize("variant", ["short_lease", "legacy"])
def test_a_lease_that_ends_under_decode_pressure_gives_wrong_answers_as_good_ones(variant: str):
    """A lease shorter than the wait, and never renewed: D reads blocks that P has given away."""
    found = summary(variant, *PRESSURE)
    assert found["ok_corrupt"] > 20
    assert found["violations"]["I16"] == found["ok_corrupt"]
    assert found["violations"]["I5"] > 0
    # Corrupt answers look finished; they are misses of the objective all the same.
    good = found["slo_attainment"] * found["requests"]["arrived"]
    assert good <= found["requests"]["finished"] - found["ok_corrupt"]


@pytest.mark.slow
def test_the_sound_variant_refuses_what_it_cannot_serve():
    found = summary("sound", *PRESSURE)
    assert found["ok_corrupt"] == 0 and not found["violations"]
    assert found["requests"]["finished"] + found["requests"]["failed"] == 300


@pytest.mark.slow
def test_a_crash_of_decode_leaks_until_the_lease_ends_or_for_ever():
    lease, fixed, none = (summary(v, *CRASH) for v in ("lease", "legacy", "no_timer"))
    for found in (lease, fixed, none):
        assert found["requests"]["failed"] > 0 and found["ok_corrupt"] == 0
    leaked = lease["leak_page_s_by_cause"]["Ps:lease_expired"]
    # The legacy timer holds the same blocks 480 s, the lease 30 s.
    assert fixed["leak_page_s_by_cause"]["Ps:lease_expired"] > 10 * leaked > 0
    assert none["violations"]["I2"] > 0 and none["leak_page_s_by_cause"]["Ps:never"] > 0


@pytest.mark.parametrize(
    ("protocol", "needs"), [("pool_lease", "residency.remote"), ("copy_out", "4 GB")]
)
def test_no_store_between_the_pools_is_endless(protocol: str, needs: str):
    with pytest.raises(ScenarioError, match=needs):
        hetsim.run("quickstart", sets=[f"boundary.ownership={protocol}"])


def test_a_stated_lease_keeps_the_rhythm_of_its_renewal():
    """VLLM beats every sixth of a lease and extends by two thirds of it."""
    loaded = load_scenario("quickstart", sets=["boundary.lease=3 s"])
    plan = build_plan(loaded.scenario, loaded.base_dir)
    timers = plan.boundary.plan.variant.timers  # type: ignore[union-attr]
    assert (timers.lease_s, timers.beat_s, timers.extend_s) == (3.0, 0.5, 2.0)
