"""Whether heartbeats that ride on D's step loop may come too late: decided before a run.

vLLM's NIXL connector sends heartbeats from D's scheduler step, so that a long step delays them.
Where even the longest step that the pool can have leaves the lease time enough, no beat can be
late, and there is nothing to simulate; else the run lets timers wait for steps.
"""

from __future__ import annotations

from typing import Any

from hetsim.costs import RankLoad
from hetsim.ownership import Variant
from hetsim.stages._plan import BoundaryPlan, PoolPlan

__all__ = ["beats_may_be_late", "beats_ride_on_steps", "longest_step_s"]


def beats_ride_on_steps(variant: Variant) -> bool:
    """Return whether D renews a lease from its step loop."""
    reads = variant.facts.initiator == "D" and variant.timers.lease_s is not None
    return reads and "renew" in variant.traits and "fenced" not in variant.traits


def longest_step_s(pool: PoolPlan, max_context: int) -> float:
    """Return a bound of the seconds of one step of a pool: batch, prompt tokens and KV all full.

    Sequences of the largest batch share all blocks, each up to ``max_context`` tokens, while the
    largest chunk of a prompt at the end of such a context is computed, on every rank at once; what
    is swapped out or in beside it is every block, once each way.

    Valid for: step times that grow with each of these, as those of every estimator here do.
    """
    rules = pool.rules
    tokens = min(pool.blocks * rules.block_tokens, rules.max_seqs * max_context)
    new = min(rules.max_tokens if rules.chunked else max(rules.max_tokens, max_context), tokens)
    chunk = (new, max(0, max_context - new))
    sums = (float(tokens),) * len(pool.model.windows)
    if pool.ranks == 1:
        cost = pool.model.step([chunk], rules.max_seqs, sums)
    else:
        load = RankLoad((chunk,), rules.max_seqs, sums)
        cost = pool.model.step_ranks([load] * pool.ranks)
    swapped_s = 2.0 * pool.blocks * pool.ranks * (pool.swap_s_per_block or 0.0)
    return float(cost.time_s) + swapped_s


def beats_may_be_late(boundary: BoundaryPlan, target: PoolPlan, max_context: int) -> bool:
    """Return whether a lease may end because a beat waited for a step of ``target``.

    A beat is due every ``beat_s``; it waits for the step in flight, then crosses. The lease holds
    if what is left of it at the last renewal outlasts that.
    """
    variant: Any = boundary.plan.variant
    if not beats_ride_on_steps(variant):
        return False
    timers = variant.timers
    left_s = min(timers.lease_s, timers.extend_s) - timers.beat_s - 3.0 * boundary.control_s
    return bool(longest_step_s(target, max_context) >= left_s)
