"""Build the world of a plan and run it to its end."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from hetsim.metrics import Recorder, RunInfo
from hetsim.stages._faults import arm_faults
from hetsim.stages._handoff import Handoff
from hetsim.stages._plan import SimulationPlan
from hetsim.stages._pool import PoolStage
from hetsim.stages._source import ClosedSource, OpenSource
from hetsim.stages._world import World

__all__ = ["simulate"]

_YOUNG = 100_000
"""New containers between two looks of the cycle collector; a run keeps far fewer alive."""


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
    with _seldom_collected():
        world.engine.run(until=plan.horizon_s)
    world.end_s = world.engine.now
    world.pools = pools
    world.close()
    if handoff is not None:
        handoff.audit.close()
    _check(world, pools)
    recorder.flush(info)
    return world


@contextmanager
def _seldom_collected() -> Iterator[None]:
    """Let the cycle collector pass over what was there before the run, and look seldom.

    A request leaves no cycles, so there is next to nothing to find, and the full looks at imported
    packages were a sixth of a run. It is not switched off: memory stays bounded in any case.
    """
    before = gc.get_threshold()
    mine = gc.get_freeze_count() == 0
    if mine:
        gc.freeze()
    gc.set_threshold(max(before[0], _YOUNG) if before[0] else 0, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)
        if mine:
            gc.unfreeze()


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
