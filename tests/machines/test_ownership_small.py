"""Small instances of ownership protocols, state by state, in the world of full size."""

from __future__ import annotations

import os
from dataclasses import replace

import pytest

from hetsim.ownership import Timers, get_plan, protocol_names
from hetsim.ownership._explore import explore
from hetsim.ownership._scene import Faults
from hetsim.ownership._world import World

SHORT = {
    "pull_lease": Timers(lease_s=2.0, beat_s=2.0, extend_s=2.0, transfer_s=2.0),
    "rendezvous_chunk_push": Timers(
        bootstrap_s=4.0, beat_s=4.0, waiting_s=4.0, health_s=2.0, drain_s=2.0, transfer_s=2.0
    ),
}
ONE_FAULT = Faults(lose=1, repeat=1, fail=1, hang=1, crash=1, cancel=1, preempt=1, total=1)


@pytest.mark.slow
@pytest.mark.parametrize("kind", sorted(SHORT))
@pytest.mark.parametrize("faults", [Faults(total=0), ONE_FAULT], ids=["no fault", "one fault"])
def test_no_state_of_a_small_instance_breaks_a_sound_variant(kind: str, faults: Faults) -> None:
    """Two P, one D, two requests, room for one each; timers scaled to a few ticks."""
    plan = get_plan(kind, "sound", SHORT[kind])
    seen = explore(World(plan, requests=2, capacity=1, faults=replace(faults)), limit=60_000)
    assert not seen.violations
    assert seen.whole or seen.states == 60_000


ANY_FAULT = replace(ONE_FAULT, stall=1, evict=1)


@pytest.mark.nightly
@pytest.mark.parametrize("kind", protocol_names())
def test_no_state_of_two_p_two_d_and_three_requests_breaks_a_sound_variant(kind: str) -> None:
    """Every interleaving with at most one fault of any kind, depth first, up to a bound.

    The three requests share one P and one D in turn (P0 D0, P1 D0, P0 D1), so that no two are
    alike and symmetry saves nothing; timers fire in the order of their deadlines. 2026-11-24: the
    bound of 1,500,000 states was reached without a violation for consumer_triggered_push (213 s
    of one core, 243 ends) and copy_out (201 s, 456 ends), one of 150,000 for the other five. None
    is whole.
    """
    plan = get_plan(kind, "sound", SHORT.get(kind))
    limit = int(os.environ.get("HETSIM_STATES", "1500000"))
    world = World(plan, requests=3, capacity=1, pieces=1, faults=replace(ANY_FAULT))
    seen = explore(world, limit=limit)
    assert not seen.violations
    assert seen.whole or seen.states == limit


def test_exploration_finds_the_defect_of_a_faulty_variant() -> None:
    plan = get_plan("pull_lease", "short_lease", Timers(lease_s=1.0))
    seen = explore(World(plan, requests=1, capacity=1, faults=Faults(total=0)), limit=5_000)
    assert seen.whole and {"I1", "I16"} <= set(seen.violations)
