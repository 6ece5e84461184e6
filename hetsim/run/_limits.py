"""A run that would not end, or not fit, is refused before it begins."""

from __future__ import annotations

from hetsim.errors import InfeasibleError
from hetsim.scenario import Scenario
from hetsim.stages import SimulationPlan

__all__ = ["check_limits", "estimate"]

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
