"""The assumptions that matter: what a reader of the result must know before believing it."""

from __future__ import annotations

from hetsim.scenario import Scenario
from hetsim.stages import BoundaryPlan, PoolPlan, SimulationPlan, beats_may_be_late

__all__ = ["assumptions", "worst_pool_grade"]

ORDER = ("measured", "fitted", "stated", "transferred", "datasheet")
"""Grades of step times, the surest first. ``stated`` is the scenario's own constant: nobody can say
how far off it is, so that it hides neither a transferred nor a datasheet pool beside it."""


def worst_pool_grade(plan: SimulationPlan) -> str:
    """Return the worst calibration grade among the pools."""
    return max((pool.grade for pool in plan.pools), key=ORDER.index)


def assumptions(scenario: Scenario, plan: SimulationPlan) -> list[str]:
    """Return one line per assumption: calibration, links, representation, limits of the model."""
    lines = []
    for pool in plan.pools:
        lines.append(_grade(pool))
        if pool.accelerator.confidence != "high":
            lines.append(
                f"pool {pool.name}: the profile of {pool.accelerator.name} has "
                f"{pool.accelerator.confidence} confidence"
            )
        lines += [f"pool {pool.name}: {doubt}" for doubt in pool.accelerator.doubts]
        lines += [f"pool {pool.name}: {note}" for note in getattr(pool.model, "notes", ())]
    boundary = plan.boundary
    if boundary is not None:
        for item in boundary.verdicts:
            lines.append(
                f"KV hand-off: {item.kind}, {'; '.join(item.reasons) or 'nothing differs'}"
            )
        variant = boundary.plan.variant
        lines.append(f"ownership: {boundary.plan.kind}/{variant.name} ({variant.title})")
        lines.append(f"first token from: {boundary.first_token_from}")
        lines += _favourable(
            boundary, plan.pools[-1], plan.max_context, beats_ride=plan.step_timers
        )
    moves_kv = boundary is not None or plan.residency is not None
    for pool in plan.pools:
        if getattr(pool.model, "network", None) is not None:
            lines.append(_crossing(pool.name, moves_kv=moves_kv))
    lines += _tiers(plan)
    lines += _money(scenario, plan)
    lines += list(plan.workload.notes)
    return lines


def _grade(pool: PoolPlan) -> str:
    """Return where a pool's step times come from."""
    if pool.grade == "stated":
        return (
            f"pool {pool.name}: step times are stated (the scenario's own constants; the "
            f"calibration of {pool.accelerator.name} plays no part)"
        )
    return f"pool {pool.name}: step times are {pool.grade} for {pool.accelerator.name}"


def _crossing(name: str, *, moves_kv: bool) -> str:
    """Return how collectives between nodes share links: what is simplified, and for whom."""
    keeps = "a step keeps the fair share of the moment at which it begins"
    if not moves_kv:
        return f"pool {name}: its collectives leave the node and share links with others: {keeps}"
    return (
        f"pool {name}: its collectives leave the node and share links with KV: {keeps}, and KV has "
        "what their mean demand leaves (against KV: the first step of a segment sets that demand, "
        "and the part of the line that collectives do not reach counts as taken; for KV: bursts "
        "are evened out, so that a transfer which does not fill its links meets none)"
    )


def _money(scenario: Scenario, plan: SimulationPlan) -> list[str]:
    """Return what stands behind a cost, where there is one."""
    asked = {}
    for pool in plan.pools:
        price, device = pool.accelerator.price, pool.accelerator.name
        stated = {pool.name, device, *pool.accelerator.aliases} & set(scenario.prices)
        if stated or price is None:
            continue
        asked[device] = (
            f"{device} {price.low_usd_per_h:g} to {price.high_usd_per_h:g} USD/h ({price.seller})"
        )
    if not asked:
        return []
    lines = [f"cost: the middle of {', '.join(asked.values())}, servers paid for by it"]
    if plan.boundary is not None:
        lines.append("cost: no source gives a price for NICs and switches, so none is in it")
    return lines


def _favourable(
    boundary: BoundaryPlan, target: PoolPlan, max_context: int, *, beats_ride: bool
) -> list[str]:
    """Return the simplifications of the hand-off that make it look better than it may be."""
    lines = []
    if boundary.mean_block_run > 1.0:
        lines.append(
            f"the runtime merges {boundary.mean_block_run:g} consecutive blocks into a descriptor "
            "on average (assumed; an old pool merges fewer)"
        )
    if not beats_ride and beats_may_be_late(boundary, target, max_context):
        lines.append(
            "heartbeats keep their time however long D's steps are, as boundary.step_timers: false "
            "asks; the runtime lets them wait for a step, and a step may outlast the lease"
        )
    return lines


def _tiers(plan: SimulationPlan) -> list[str]:
    """Return what is simplified about tiers below HBM and the store between the pools."""
    lines = []
    if plan.residency is not None and plan.pools[0].rules.unit_blocks:
        lines.append(
            "tiers: a prompt looks once, when it reaches its instance, and routers see HBM alone; "
            "two prompts that need the same unit at once fetch it twice"
        )
        lines.append(
            "tiers: what a full tier gives up is copied out of a buffer of 4 GiB, and its room is "
            "free at once"
        )
    store = plan.boundary.transit if plan.boundary is not None else None
    if store is not None and store.place == "device":
        lines.append("copy-out: the copy takes its time, but slows no step that runs beside it")
    return lines
