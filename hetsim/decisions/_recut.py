"""Where the split between prefill and decode instances must change, and by how many."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hetsim.decisions._designs import Design, scenario_of
from hetsim.decisions._verdicts import THRESHOLD
from hetsim.run import demand_of, stage_bounds
from hetsim.scenario import Loaded, accelerator_of
from hetsim.stages import build_plan

if TYPE_CHECKING:
    from hetsim.sweep import SweepResult

__all__ = ["best_split", "recuts"]


def recuts(
    result: SweepResult,
    regimes: dict[str, list[Design]],
    minimax: str,
    winners: dict[str, str],
) -> dict[str, list[dict[str, Any]]]:
    """Return the re-cut of the minimax design in every regime, and of each regime's winner.

    By rate matching in closed form: what the instances at hand could do if each may change its
    role. Empty if the sweep keeps no scenarios, or a pool does both.
    """
    if result.folder is None:
        return {"minimax": [], "winners": []}
    seed = result.manifest["seeds"][0]
    made: dict[str, list[dict[str, Any]]] = {"minimax": [], "winners": []}
    for regime, designs in regimes.items():
        by_name = {one.name: one for one in designs}
        for kind, name in (("minimax", minimax), ("winners", winners[regime])):
            if name in by_name:
                found = _recut(scenario_of(result, by_name[name].point, seed))
                if found is not None:
                    made[kind].append({"regime": regime, "design": by_name[name].levels, **found})
    return made


def best_split(prefill_req_s: float, decode_req_s: float, instances: int) -> int:
    """Return how many of ``instances`` should do prefill, given what one does of each.

    >>> best_split(10.0, 5.0, 6)    # 2 x 10 = 4 x 5
    2
    """
    return max(
        range(1, instances),
        key=lambda p: (min(p * prefill_req_s, (instances - p) * decode_req_s), p),
    )


def _recut(loaded: Loaded) -> dict[str, Any] | None:
    with loaded.locating():
        plan = build_plan(loaded.scenario, loaded.base_dir)
    if len(plan.pools) < 2:
        return None
    cached = any(pool.rules.unit_blocks for pool in plan.pools)
    bounds = stage_bounds(plan, demand_of(plan.workload, cached=cached), loaded.scenario.slo.tpot)
    first, last = plan.pools
    per_p, per_d = bounds.prefill_req_s / first.instances, bounds.decode_req_s / last.instances
    total = first.instances + last.instances
    split = best_split(per_p, per_d, total)
    now = min(bounds.prefill_req_s, bounds.decode_req_s)
    new = min(split * per_p, (total - split) * per_d)
    change = split - first.instances
    alike = _alike(loaded)
    return {
        "prefill_now": first.instances,
        "decode_now": last.instances,
        "prefill_best": split,
        "decode_best": total - split,
        "instances_to_change": abs(change),
        "same_device": alike,
        "gain_ratio": new / now if now > 0.0 else 1.0,
        "ratio_wanted": per_d / per_p if per_p > 0.0 else None,
        "must": bool(change) and new > now * (1.0 + THRESHOLD),
        "says": _words(change, first.instances, last.instances, new / now, alike=alike),
    }


def _alike(loaded: Loaded) -> bool:
    """Say whether an instance of one pool can do the work of the other: same devices, same cut."""
    first, last = loaded.scenario.pools.values()
    names = [accelerator_of(pool.accelerator, loaded.base_dir).name for pool in (first, last)]
    return names[0] == names[1] and first.parallel == last.parallel


def _words(change: int, prefill: int, decode: int, gain: float, *, alike: bool) -> str:
    if not change or gain <= 1.0 + THRESHOLD:
        return f"{prefill}:{decode} is right"
    to = "prefill" if change > 0 else "decode"
    how = f"to change to {to}" if alike else f"to be replaced by those of {to}"
    return (
        f"{prefill}:{decode} should be {prefill + change}:{decode - change}, instances {how}: "
        f"{abs(change)}, +{gain - 1.0:.0%} in closed form"
    )
