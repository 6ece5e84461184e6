"""Build the world of a plan and run it to its end."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from hetsim.metrics import Recorder, RunInfo
from hetsim.stages._cadence import Cadence
from hetsim.stages._deadlock import deadlock_at_end
from hetsim.stages._faults import arm_faults, make_handoff
from hetsim.stages._plan import SimulationPlan
from hetsim.stages._pool import PoolStage
from hetsim.stages._source import ClosedSource, OpenSource
from hetsim.stages._tiers import Tiers
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
    _worlds.sweep(plan.workload.requests)
    world = World(plan, recorder, info)
    world.progress = progress
    source = _source(world)
    pools = [PoolStage(world, pool, index) for index, pool in enumerate(plan.pools)]
    tiers = Tiers(world, plan.residency, pools[0]) if plan.residency is not None else None
    handoff = make_handoff(world, pools)
    transit = handoff.transit if handoff is not None else None
    stores: list[Any] = [store for store in (tiers, transit) if store is not None]
    source.submit = handoff.submit if handoff is not None else pools[0].submit
    arm_faults(world, pools, handoff)
    if world.faults is not None:
        source.submit = world.faults.enter
    if handoff is not None and pools[-1].plan.runtime.handoff_steps:
        steps = pools[-1].plan.runtime.handoff_steps
        source.submit = Cadence(world.engine, pools[-1], steps, source.submit).submit
    if plan.check_laws:
        world.engine.after_event(lambda: _check(world, [*pools, *stores]))
    source.start()
    with _seldom_collected():
        world.engine.run(until=plan.horizon_s)
    world.end_s = world.engine.now
    world.pools = pools
    if len(pools) > 1:
        deadlock_at_end(world, pools)
    if handoff is not None and plan.horizon_s is None:
        handoff.audit.stuck(world.inside.values())
    world.close()
    if handoff is not None:
        handoff.audit.close()
    for store in stores:
        store.close()
    _check(world, [*pools, *stores])
    world.tiers, world.transit = tiers, transit
    recorder.flush(info)
    recorder.occupied_at_end(_occupied(pools, world.end_s), info)
    return world


def _occupied(pools: list[PoolStage], now: float) -> list[tuple[int, int, float, int, int]]:
    """Return the blocks that every instance holds now, as rows of ``occupancy``."""
    rows = []
    for number, pool in enumerate(pools):
        for instance in pool.instances:
            blocks = [rank.pool for rank in instance.ranks]
            total = sum(one.total for one in blocks)
            free = sum(one.available for one in blocks)
            rows.append((number, instance.index, now, total - free, total))
    return rows


class _Worlds:
    """Frees the worlds of earlier runs, which are cycles, before they take much memory.

    Left alone, the cycle collector counts objects, of which a world has few, and not the tables
    that it holds on to: a thousand short runs in one process kept all of theirs. A full look costs
    some 60 ms, which is little in 20,000 requests.
    """

    def __init__(self) -> None:
        self._requests = 0

    def sweep(self, requests: int) -> None:
        if self._requests > 20_000:
            gc.collect()
            self._requests = 0
        self._requests += requests


_worlds = _Worlds()


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


def _check(world: World, pools: list[Any]) -> None:
    for pool in pools:
        pool.check()
    if world.fabric is not None:
        world.fabric.check()
