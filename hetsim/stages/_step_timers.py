"""Timers where something may break: they ride on step loops, and clocks may be wrong."""

from __future__ import annotations

from typing import Any

from hetsim.engine import LATE
from hetsim.ownership._vocabulary import SetTimer
from hetsim.serving import Instance, Seq
from hetsim.stages._break_control import scaled
from hetsim.stages._breaker import Breaker
from hetsim.stages._handoff import Handoff
from hetsim.stages._plan import BoundaryPlan
from hetsim.stages._pool import PoolStage
from hetsim.stages._timers import Timers
from hetsim.stages._world import World

__all__ = ["TimedHandoff"]

INFINITY = float("inf")

IDLE_S = 1800.0
"""Longer than any timer of a protocol: if only heartbeats have been heard for so long, nothing
else will come."""


class TimedHandoff(Handoff):
    """A hand-off whose timers wait for the step loop that they ride on, if they ride on one."""

    def __init__(
        self, world: World, plan: BoundaryPlan, source: PoolStage, target: PoolStage
    ) -> None:
        super().__init__(world, plan, source, target)
        self.breaker: Breaker
        self.moved_s = 0.0
        """When something other than a heartbeat last happened."""
        self._shares_step = world.plan.step_timers
        self._short: dict[Seq, float] = {}
        """Deadlines that a timer is to end before their time, through a fault of clocks."""

    def _set_timer(self, seq: Seq, order: SetTimer) -> None:
        name, delay_s = order.name, scaled(self.breaker, seq, order)
        if name in ("beat", "bootstrap", "lease", "resend") and self._is_stale():
            self.engine.queue.clear()
            return
        if delay_s < order.delay_s and name in ("lease", "bootstrap"):
            self._short[seq] = seq.handoff.deadline_s
        rides = order.on == "step" and self._shares_step
        fired = self._fired_on_p if order.side == "P" else self._fired_on_d
        key = (name, delay_s)
        timers = self._timers.get(key)
        if timers is None:
            made = Timers(self.engine, name, fired if rides else self.feed)
            timers = self._timers[key] = made
        timers.add(seq, self.engine._now + delay_s)

    def _is_stale(self) -> bool:
        """Return whether nothing but heartbeats has happened for longer than any timer takes."""
        if self.engine._now - self.moved_s <= IDLE_S or self.breaker.due:
            return False
        if self.world.arrived < self.world.plan.workload.requests:
            return False
        pools = (self.source, self.target)
        return all(i.next_s == INFINITY for pool in pools for i in pool.instances)

    def _fired_on_p(self, seq: Seq, event: Any) -> None:
        self._at_step(seq.source, seq, event)

    def _fired_on_d(self, seq: Seq, event: Any) -> None:
        self._at_step(seq.dest, seq, event)

    def _at_step(self, instance: Instance | None, seq: Seq, event: Any) -> None:
        """Feed a timer at the next step of its side; at once where nothing runs there."""
        now = self.engine._now
        at_s = _boundary_s(instance, now) if instance is not None else now
        if event.key == "timer:lease" and self._is_stalled(instance):
            self.audit.ledger.stalled("a stalled step loop held an expiry back")
        self._after_step(instance, seq, event, at_s)

    def _is_stalled(self, instance: Any) -> bool:
        return self.breaker.stalled_until.get(instance, 0.0) > self.engine._now

    def _after_step(self, instance: Any, seq: Seq, event: Any, at_s: float) -> None:
        now = self.engine._now
        stalled_s = self.breaker.stalled_until.get(instance, 0.0)
        at_s = max(at_s, stalled_s)
        if at_s <= now:
            self.feed(seq, event)
            return
        # Late: the step has ended first.
        self.engine.call_at(at_s, lambda: self._after_step(instance, seq, event, at_s), LATE)


def _boundary_s(instance: Instance, now: float) -> float:
    """Return when the step in flight on an instance ends; now, if none is."""
    segment = instance.segment
    if segment is not None:
        return segment.at(segment.done_by(now) + 1)
    return instance.next_s if instance.next_s < INFINITY else now
