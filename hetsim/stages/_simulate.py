"""Build the world of a plan and run it to its end."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hetsim.metrics import Recorder, RunInfo
from hetsim.stages._faults import arm_faults
from hetsim.stages._handoff import Handoff
from hetsim.stages._plan import SimulationPlan
from hetsim.stages._pool import PoolStage
from hetsim.stages._source import ClosedSource, OpenSource
from hetsim.stages._world import World

__all__ = ["simulate"]


def simulate(
    plan: SimulationPlan,
    recorder: Recorder,
    info: RunInfo,
    progress: Callable[[int], None] | None = None,
) -> World:
    """Run a plan; every row is in ``recorder`` when it returns.

    Raises
    ------
    InvariantViolated
        If a law does not hold (after every event with ``plan.check_laws``, else at the end).
    """
    world = World(plan, recorder, info)
    world.progress = progress
    source = _source(world)
    pools = [PoolStage(world, pool, index) for index, pool in enumerate(plan.pools)]
    handoff = None
    if plan.boundary is not None:
        handoff = Handoff(world, plan.boundary, pools[0], pools[1])
    source.submit = handoff.submit if handoff is not None else pools[0].submit
    arm_faults(world, pools, handoff)
    if plan.check_laws:
        world.engine.after_event(lambda: _check(world, pools))
    source.start()
    world.engine.run(until=plan.horizon_s)
    world.end_s = world.engine.now
    world.pools = pools
    world.close()
    _check(world, pools)
    recorder.flush(info)
    return world


def _source(world: World) -> Any:
    plan = world.plan
    first = plan.pools[0]
    stride = first.rules.unit_stride if first.rules.unit_blocks else 0
    workload = plan.workload
    if workload.table is not None:
        return OpenSource(world, _nowhere, stride, workload.table)
    return ClosedSource(world, _nowhere, stride, workload.loop)


def _nowhere(seq: Any) -> None:
    raise AssertionError("requests arrive before there is a pool")


def _check(world: World, pools: list[PoolStage]) -> None:
    for pool in pools:
        pool.check()
    if world.fabric is not None:
        world.fabric.check()
