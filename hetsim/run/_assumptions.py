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
        lines += _favourable(boundary)
    lines += list(plan.workload.notes)
    return lines


def _favourable(boundary: BoundaryPlan) -> list[str]:
    """Return the simplifications of the hand-off that make it look better than it may be."""
    lines = []
    if boundary.mean_block_run > 1.0:
        lines.append(
            f"the runtime merges {boundary.mean_block_run:g} consecutive blocks into a descriptor "
            "on average (assumed; an old pool merges fewer)"
        )
    if boundary.plan.facts.reserve_before_prefill:
        lines.append(
            "decode reserves blocks ahead without the margin that SGLang keeps for each running "
            "request (512 tokens), so it admits more than SGLang would"
        )
    return lines
