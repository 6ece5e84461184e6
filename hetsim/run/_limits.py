"""A run that would not end, or not fit, is refused before it begins."""

from __future__ import annotations

from hetsim.errors import InfeasibleError
from hetsim.scenario import Scenario
from hetsim.stages import PoolPlan, SimulationPlan

__all__ = ["check_fits", "check_limits", "estimate"]

EVENTS_PER_REQUEST = 16.0
ROWS_PER_REQUEST = 16.0
BYTES_PER_ROW = 80.0
"""Upper estimates of a prefill-decode run, from the event and row counts of scale_16p16d."""


def estimate(plan: SimulationPlan) -> dict[str, float]:
    """Return an upper estimate of events, rows and bytes of memory.

    Long prompts add a step per token budget; each finished request adds two segments.
    """
    requests = float(plan.workload.requests)
    table = plan.workload.table
    chunks = 0.0
    if table is not None and len(table):
        chunks = float((table.isl // plan.pools[0].rules.max_tokens).sum())
    steps = chunks
    if plan.stepwise:
        tokens = float(table.osl.sum()) if table is not None else 1000.0 * requests
        steps += tokens
    rows = requests * ROWS_PER_REQUEST + 2 * chunks
    return {
        "events": requests * EVENTS_PER_REQUEST + 2 * steps,
        "rows": rows,
        "memory": 2e8 + rows * BYTES_PER_ROW,
    }


def check_limits(scenario: Scenario, plan: SimulationPlan) -> None:
    """Refuse a run whose estimate exceeds the scenario's limits.

    Raises
    ------
    InfeasibleError
        With each estimate, its limit, and the key that raises it.
    """
    found = estimate(plan)
    limits = {
        "events": scenario.limits.events,
        "rows": scenario.limits.rows,
        "memory": scenario.limits.memory,
    }
    over = [name for name in limits if found[name] > limits[name]]
    if over:
        raise InfeasibleError(
            "the run exceeds its limits; use fewer requests (workload.limit or workload.requests) "
            f"or raise them (--set limits.{over[0]}=...)",
            [(name, f"about {found[name]:.3g}, limit {limits[name]:.3g}") for name in limits],
        )


def check_fits(plan: SimulationPlan) -> None:
    """Refuse a workload of which no request fits the KV of a pool.

    Where some fit, the others are rejected one by one and counted.

    Raises
    ------
    InfeasibleError
        With what the smallest request needs, what the smallest pool has, and the difference.
    """
    needs = _shortest_tokens(plan)
    pool = min(plan.pools, key=_pool_tokens)
    have = _pool_tokens(pool)
    if needs is not None and needs > have:
        raise InfeasibleError(
            f"no request fits the KV of pool {pool.name}: the shortest needs {needs} tokens, "
            f"an instance holds {have}, short by {needs - have}; use shorter lengths, a larger "
            "tp, narrower KV or an accelerator with more memory",
            [("KV", f"{pool.blocks} blocks of {pool.rules.block_tokens} tokens")],
        )


def _pool_tokens(pool: PoolPlan) -> int:
    return (pool.blocks - pool.rules.fixed_blocks) * pool.rules.block_tokens


def _shortest_tokens(plan: SimulationPlan) -> int | None:
    """Return the tokens of the shortest request, or None if there is none."""
    table, loop = plan.workload.table, plan.workload.loop
    if table is not None:
        return int((table.isl.astype("int64") + table.osl).min()) if len(table) else None
    turns = [loop.first(user) for user in range(min(loop.users, _USERS))]
    return min((turn.isl + turn.osl for turn in turns), default=None)


_USERS = 64
"""Users of a closed loop whose first turns stand for all."""
