"""Faults of what lies between the stages: the pool, room for copies, and the router's view of D."""

from __future__ import annotations

from typing import Any

from hetsim.ownership._vocabulary import EVICTED, crashed, transfer_failed
from hetsim.serving import Seq
from hetsim.stages._armed import Armed
from hetsim.stages._break_instance import LOOK_S
from hetsim.stages._breaker import Breaker

__all__ = ["pool_crash", "pool_eviction", "router_blind", "transit_short"]

_UNREAD = ("absent", "queued")


def pool_crash(breaker: Breaker, armed: Armed, seq: Seq | None) -> None:
    """Let the pool between the stages lose every object; it goes on, empty."""
    guard: Any = breaker.guard
    if guard is None or guard.transit is None:
        return
    armed.record.strike(breaker.engine.now)
    mine = [held[2] for held in guard.transit.objects.values()]
    for struck in list(dict.fromkeys(mine)):
        if not struck.gone:
            breaker.touch(armed, struck)
        for flow in [flow for flow in guard.world.fabric.flows if flow.tag[0] is struck]:
            armed.record.lost_bytes += guard.world.fabric.cancel(flow)
            order = flow.tag[1]
            guard.feed(struck, transfer_failed(True, order.piece, order.of, order.leg))
        guard.forget(struck)
        if guard.machines.knows(crashed("X")):
            guard.feed(struck, crashed("X"))


def pool_eviction(breaker: Breaker, armed: Armed, seq: Seq | None) -> None:
    """Let the pool give up objects that were found and not yet read: their lease has run out."""
    guard: Any = breaker.guard
    if guard is None or guard.transit is None or guard.transit.plan.place != "remote":
        return
    now = breaker.engine.now
    armed.record.strike(now)
    found = [seq] if seq is not None else [held[2] for held in guard.transit.objects.values()]
    left = armed.fault.count or 1
    for struck in found:
        states = struck.handoff.states
        if left and not struck.gone and states[2] == "complete" and states[1] in _UNREAD:
            left -= 1
            breaker.touch(armed, struck)
            struck.handoff.deadline_s = min(struck.handoff.deadline_s, now)
            guard.feed(struck, EVICTED)


def transit_short(breaker: Breaker, armed: Armed, seq: Seq | None) -> None:
    """Take part of the room for copies away, as it comes free, until the fault is over."""
    transit: Any = breaker.guard.transit if breaker.guard is not None else None
    if transit is not None:
        _Shortage(breaker, armed, transit).begin()


class _Shortage:
    """Room between P and D that nobody can use for a while."""

    def __init__(self, breaker: Breaker, armed: Armed, transit: Any) -> None:
        self.breaker = breaker
        self.armed = armed
        self.transit = transit
        self.number = armed.fault.instance if len(transit.stores) > 1 else 0
        self.store = transit.stores[self.number]
        self.left = int(self.store.total * armed.fault.factor)
        self.taken = 0
        self.over = False

    def begin(self) -> None:
        """Take what is free now, and the rest as it comes free."""
        now, duration_s = self.breaker.engine.now, self.armed.fault.duration
        self.armed.record.strike(now)
        self.armed.record.open += 1
        self._take()
        if duration_s is not None:
            self.breaker.later(now + duration_s, self._end)

    def _take(self) -> None:
        if self.over:
            return
        pages = self.store.set_aside(self.left)
        self.left -= pages
        self.taken += pages
        for waiting in self.transit.queues[self.number]:
            self.breaker.touch(self.armed, waiting)
        if self.breaker.work_left():
            self.breaker.engine.call_at(self.breaker.engine.now + LOOK_S, self._take)

    def _end(self) -> None:
        self.over = True
        self.store.end_aside(self.taken)
        self.armed.record.open -= 1
        self.armed.record.back_s = self.breaker.engine.now
        self.transit.retry()


def router_blind(breaker: Breaker, armed: Armed, seq: Seq | None) -> None:
    """Let the router hear nothing of the decode pool's load: it lets everybody in."""
    pressure, now = breaker.guard.pressure, breaker.engine.now
    armed.record.strike(now)
    if pressure is None:
        return
    armed.record.open += 1
    pressure.blind_until_s = max(pressure.blind_until_s, now + armed.fault.duration)
    for inside in pressure.waiting():
        breaker.touch(armed, inside)
    pressure.look()

    def over() -> None:
        armed.record.open -= 1
        armed.record.back_s = breaker.engine.now

    breaker.later(now + armed.fault.duration, over)
