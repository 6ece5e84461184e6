"""What becomes of a request that failed: it is tried again, or it stays failed."""

from __future__ import annotations

from functools import partial
from typing import Any

from hetsim.serving import Seq
from hetsim.stages._breaker import Breaker
from hetsim.stages._world import FAILED, REJECTED, World

__all__ = ["Recovery"]

_HOPELESS = frozenset(
    {"longer_than_context", "larger_than_pool", "queue_full", "client", "deadlock"}
)
"""Reasons that another attempt would not change, or that nobody wants another attempt after."""


class Recovery:
    """Stands before the end of requests, and lets those that failed begin anew.

    The answer starts over: a request has the times of the attempt that ended it.
    """

    def __init__(self, world: World, breaker: Breaker, guard: Any, spec: Any) -> None:
        self.world = world
        self.breaker = breaker
        self.guard = guard
        self.spec = spec
        self.tries: dict[int, int] = {}
        self.attempts = 0
        self._end = world.end
        world.end = self.end  # type: ignore[method-assign]

    def end(self, seq: Seq, status: int, reason: str = "") -> None:
        """End a request, or try it again."""
        if seq.gone:
            return
        if status in (FAILED, REJECTED):
            self.breaker.miss(seq)
            if reason not in _HOPELESS and self._may(seq):
                self._again(seq)
                return
        self._end(seq, status, reason)

    def _may(self, seq: Seq) -> bool:
        if self.spec.policy == "fail":
            return False
        tried = self.tries.get(seq.rid, 0)
        self.tries[seq.rid] = tried + 1
        return tried < int(self.spec.attempts)

    def _again(self, seq: Seq) -> None:
        """Put a fresh attempt in the place of the one that failed, which only lets go from now."""
        world = self.world
        self.attempts += 1
        seq.gone = True
        fresh = Seq(seq.rid, seq.arrival_s, seq.isl, seq.declared, seq.keys)
        fresh.user, fresh.turn = seq.user, seq.turn
        world.inside[seq.rid] = fresh
        control_s = world.plan.boundary.control_s if world.plan.boundary is not None else 0.0
        at_s = max(world.engine.now + self.spec.delay + control_s, self.breaker.router_back_s)
        self.breaker.later(at_s, partial(self._submit, fresh, seq))

    def _submit(self, fresh: Seq, before: Seq) -> None:
        if fresh.gone:
            return
        policy = self.spec.policy
        if policy == "recompute":
            self.guard.place.compute_on_decode(fresh)
            return
        if policy in ("reprefill", "reload") and before.dest is not None and not before.dest.dead:
            fresh.dest = before.dest
        # What tiers hold of the prompt is found there by its keys; an object of the pool by itself.
        if policy == "reload" and self.guard is not None and self.guard.reload(fresh, before):
            return
        self.breaker.submit(fresh)
