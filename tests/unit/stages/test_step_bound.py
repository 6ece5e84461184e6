"""Whether a heartbeat that rides on D's step loop can come too late is known before a run."""

from __future__ import annotations

import hetsim
from hetsim.run._assumptions import assumptions
from hetsim.scenario import load_scenario
from hetsim.stages import SimulationPlan, beats_may_be_late, build_plan, longest_step_s

SLOW = "pools.decode.estimator={kind: constant, prefill: 20 s, decode_step: 10 ms, blocks: 20000}"
QUICK = "pools.decode.estimator={kind: constant, prefill: 20 ms, decode_step: 10 ms, blocks: 20000}"


def plan(*sets: str) -> SimulationPlan:
    loaded = load_scenario("quickstart", sets=list(sets))
    return build_plan(loaded.scenario, loaded.base_dir)


def said(*sets: str) -> str:
    loaded = load_scenario("quickstart", sets=list(sets))
    return "\n".join(assumptions(loaded.scenario, build_plan(loaded.scenario, loaded.base_dir)))


def test_a_step_that_may_outlast_the_lease_lets_timers_wait_for_steps():
    """A 30 s lease leaves 20 - 5 s: 20 s of a step are too many, 30 ms are not."""
    assert plan(SLOW).step_timers and not plan(QUICK).step_timers
    assert plan(QUICK, "boundary.lease=60 ms").step_timers  # beats every 10 ms, extends by 40
    assert not plan(SLOW, "boundary.variant=sound").step_timers
    assert not plan(SLOW, "boundary.variant=legacy").step_timers  # nobody beats
    assert not plan(SLOW, "boundary.step_timers=false").step_timers


def test_no_step_of_a_run_is_longer_than_the_bound():
    made = plan()
    result = hetsim.run("quickstart", sets=["workload.requests=100", "workload.rate=200 req/s"])
    steps = result.steps
    mine = steps[steps["pool"] == "decode"]
    longest = float((mine["duration_s"] / mine["steps"].clip(lower=1)).max())
    assert 0.0 < longest <= longest_step_s(made.pools[-1], made.max_context)


def test_the_assumption_is_said_where_it_flatters():
    assert "heartbeats keep their time" in said(SLOW, "boundary.step_timers=false")
    assert "heartbeats keep" not in said() and "heartbeats keep" not in said(SLOW)
    made = plan(SLOW)
    assert made.boundary is not None
    assert beats_may_be_late(made.boundary, made.pools[-1], made.max_context)
