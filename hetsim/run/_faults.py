"""What the faults of a run cost: one row per fault, in the summary and as a table."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hetsim.faults import FAULT_COLUMNS, Prices, report
from hetsim.metrics import SloSpec, columns, good_requests
from hetsim.stages import SimulationPlan, World

__all__ = ["fault_story", "write_faults"]


def fault_story(
    plan: SimulationPlan, world: World, tables: dict[str, Any], slo: SloSpec, seconds: float
) -> dict[str, Any]:
    """Return what a summary says of faults, deadlocks, retries and placement; nothing if calm."""
    found: dict[str, Any] = {}
    if world.deadlocks or plan.deadlock is not None:
        found["deadlocks"] = list(world.deadlocks)
    breaker = world.faults
    if breaker is None:
        return found
    if plan.faults:
        good = frozenset(good_requests(tables["requests"], slo))
        prices = _prices(plan, tables["steps"])
        found["faults"] = report(breaker.records, good, prices, seconds)
    if breaker.recovery is not None:
        found["recovery"] = {
            "policy": breaker.recovery.spec.policy,
            "attempts": breaker.recovery.attempts,
        }
    if plan.placement is not None:
        place = breaker.guard.place
        found["placement"] = {
            "bypassed": place.bypassed,
            "relieved": place.relieved,
            "split": place.completed,
        }
    if breaker.guard is not None and breaker.guard.pressure is not None:
        held = breaker.guard.pressure
        mean_s = held.held_s / held.held if held.held else 0.0
        found["pressure"] = {"held": held.held, "mean_held_s": mean_s}
    return found


def _prices(plan: SimulationPlan, steps: Any) -> Prices:
    """Return device-seconds per token of every pool: its busy time over the tokens it computed.

    A pool that computes both kinds has one price for them: time is not told apart by kind there.
    """
    pool, duration, prefill, decode = columns(
        steps, "pool", "duration_s", "prefill_tokens", "decode_tokens"
    )
    by_pool = {}
    for each in plan.pools:
        mine = pool == each.name
        tokens = float(prefill[mine].sum() + decode[mine].sum())
        busy_s = float(duration[mine].sum()) * each.devices
        by_pool[each.name] = busy_s / tokens if tokens else 0.0
    return Prices(by_pool, by_pool)


def write_faults(folder: Path, rows: list[dict[str, Any]]) -> None:
    """Write the table of faults of a run directory."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pa.table({name: [row[name] for row in rows] for name in FAULT_COLUMNS})
    pq.write_table(table, folder / "faults.parquet")
