"""The assumptions that matter: what a reader of the result must know before believing it."""

from __future__ import annotations

from hetsim.scenario import Scenario
from hetsim.stages import BoundaryPlan, SimulationPlan

__all__ = ["assumptions", "worst_pool_grade"]

ORDER = ("measured", "fitted", "transferred", "datasheet")


def worst_pool_grade(plan: SimulationPlan) -> str:
    """Return the worst calibration grade among the pools."""
    return max((pool.grade for pool in plan.pools), key=ORDER.index)


def assumptions(scenario: Scenario, plan: SimulationPlan) -> list[str]:
    """Return one line per assumption: calibration, links, representation, limits of the model."""
    lines = []
    for pool in plan.pools:
        lines.append(f"pool {pool.name}: step times are {pool.grade} for {pool.accelerator.name}")
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
        lines += _favourable(boundary, beats_ride=plan.step_timers)
    lines += _tiers(plan)
    lines += list(plan.workload.notes)
    return lines


def _favourable(boundary: BoundaryPlan, *, beats_ride: bool) -> list[str]:
    """Return the simplifications of the hand-off that make it look better than it may be."""
    lines = []
    if boundary.mean_block_run > 1.0:
        lines.append(
            f"the runtime merges {boundary.mean_block_run:g} consecutive blocks into a descriptor "
            "on average (assumed; an old pool merges fewer)"
        )
    variant = boundary.plan.variant
    if variant.timers.beat_s and "fenced" not in variant.traits and not beats_ride:
        lines.append(
            "heartbeats keep their time however long D's steps are (boundary.step_timers: true "
            "lets them ride on the step loop, as the runtime does)"
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
