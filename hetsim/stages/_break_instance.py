"""Faults of instances and of the router: they die, stall, lose memory, and come back."""

from __future__ import annotations

from typing import Any

from hetsim.ownership._vocabulary import crashed, transfer_failed
from hetsim.serving import Instance, Seq
from hetsim.stages._armed import Armed
from hetsim.stages._breaker import Breaker
from hetsim.stages._pool import PoolStage
from hetsim.stages._world import FAILED

__all__ = [
    "blacklist",
    "crash",
    "hang_up",
    "memory_short",
    "preempted",
    "preemption",
    "router_crash",
    "stall",
]

_IDLE_LOOKS = 1000
LOOK_S = 0.01
"""A device that lacks blocks takes those that come free within this time."""


def crash(breaker: Breaker, armed: Armed, seq: Seq | None) -> None:
    """Let an instance die with everything in it; it may come back empty."""
    pool, instance = breaker.instance_of(armed, seq)
    if not instance.dead:
        _Crash(breaker, armed, pool, instance).strike()


class _Crash:
    """One death of one instance."""

    def __init__(self, breaker: Breaker, armed: Armed, pool: PoolStage, instance: Instance) -> None:
        self.breaker = breaker
        self.armed = armed
        self.pool = pool
        self.instance = instance
        self.at_s = breaker.engine.now
        self.side = "P" if pool.plan.role == "prefill" else "D"

    def strike(self) -> None:
        """Let it die now."""
        instance, pool, now = self.instance, self.pool, self.at_s
        record = self.armed.record
        record.strike(now)
        pool.alive.remove(instance)
        inside = self._touched()
        instance.crash(now)
        instance.wake, instance.wake_s = -1, float("inf")
        pool.credit[instance.index].clear()
        for seq in inside:
            self.breaker.touch(self.armed, seq)
            self._lose(seq)
        after_s = self.armed.fault.restart_after
        record.open += 1
        self.breaker.down.append(self.armed)
        if after_s is not None:
            self.breaker.later(now + after_s, self._restart)

    def _touched(self) -> list[Seq]:
        """Return the requests that have state on the instance, or whose KV is on its way there."""
        instance = self.instance
        seqs = self.breaker.world.inside.values()
        mine = [seq for seq in instance.sequences() if not seq.gone]
        if self.breaker.guard is None:
            return mine
        if self.side == "P":
            there = [seq for seq in seqs if seq.source is instance and seq.held is not None]
        else:
            there = [seq for seq in seqs if seq.dest is instance]
        return list(dict.fromkeys([*mine, *there]))

    def _lose(self, seq: Seq) -> None:
        breaker, guard = self.breaker, self.breaker.guard
        reason = "prefill_crash" if self.side == "P" else "decode_crash"
        if guard is None or seq.handoff is None:
            breaker.lost_work(seq)
            breaker.world.end(seq, FAILED, reason if guard is not None else "decode_crash")
            return
        guard.reason = reason
        if self.side == "D":
            # What D had posted dies with it; P's writes to it end with errors.
            seq.dst_rank = seq.rank = None
            self._stop_flows(seq)
            guard.feed(seq, crashed("D"))
        else:
            computing = seq.held is None
            seq.held = None
            self._stop_flows(seq)
            guard.feed(seq, crashed("P"))
            if computing:
                seq.rank = None
        guard.reason = ""

    def _stop_flows(self, seq: Seq) -> None:
        guard = self.breaker.guard
        for flow in [flow for flow in guard.world.fabric.flows if flow.tag[0] is seq]:
            self.armed.record.lost_bytes += guard.world.fabric.cancel(flow)
            order = flow.tag[1]
            # A put dies with its writer: nobody is left to tell the pool.
            if order.leg != "put":
                guard.feed(seq, transfer_failed(True, order.piece, order.of, order.leg))
        guard.forget(seq)

    def _restart(self) -> None:
        """Come back empty, as a new incarnation: nobody there knows of what was before."""
        record, pool = self.armed.record, self.pool
        now = self.breaker.engine.now
        self.instance.restart()
        pool.alive.append(self.instance)
        pool.alive.sort(key=lambda instance: instance.index)
        record.open -= 1
        self.breaker.down.remove(self.armed)
        record.down(now - self.at_s, pool.plan.devices, now)


def stall(breaker: Breaker, armed: Armed, seq: Seq | None) -> None:
    """Let the step loop of an instance stand still after the step in flight."""
    pool, instance = breaker.instance_of(armed, seq)
    if instance.dead:
        return
    now, seconds = breaker.engine.now, armed.fault.duration
    record = armed.record
    record.strike(now)
    for inside in [*instance.sequences(), *pool.credit[instance.index]]:
        if not inside.gone:
            breaker.touch(armed, inside)
    end_s = now + seconds
    breaker.stalled_by[instance] = armed
    breaker.stalled_until[instance] = max(end_s, breaker.stalled_until.get(instance, 0.0))
    idle = instance.next_s == float("inf")
    if idle:
        instance.extra_s += seconds
    else:
        instance.stall(seconds, now)
    pool.rearm(instance)
    record.open += 1

    def over() -> None:
        record.open -= 1
        record.down(seconds, pool.plan.devices, breaker.engine.now)
        if pool.credit[instance.index]:
            pool.grant(instance)
        if instance.next_s == float("inf") and instance.extra_s > 0.0:
            # It slept through the stall.
            instance.extra_s = max(0.0, instance.extra_s - seconds)

    breaker.later(end_s, over)


def memory_short(breaker: Breaker, armed: Armed, seq: Seq | None) -> None:
    """Take part of an instance's blocks away, as they come free, until the fault is over."""
    pool, instance = breaker.instance_of(armed, seq)
    if instance.dead:
        return
    _Shortage(breaker, armed, pool, instance, armed.fault.factor).begin(armed.fault.duration)


class _Shortage:
    """Blocks of one instance that nobody can use for a while."""

    def __init__(
        self, breaker: Breaker, armed: Armed, pool: PoolStage, instance: Instance, part: float
    ) -> None:
        self.breaker = breaker
        self.armed = armed
        self.pool = pool
        self.instance = instance
        self.ranks = list(instance.ranks)
        self.left = [int(rank.pool.total * part) for rank in self.ranks]
        self.taken = [0] * len(self.ranks)
        self.over = False
        self.idle = 0
        self.seeks_victim = False
        """It ends once somebody was preempted, or nobody decodes who could be."""

    def begin(self, duration_s: float | None, touch: bool = True) -> None:
        """Take what is there, and wait for the rest; end after ``duration_s``, if one is given."""
        self.seeks_victim = not touch
        record, now = self.armed.record, self.breaker.engine.now
        record.strike(now)
        record.open += 1
        for seq in self.instance.sequences() if touch else ():
            if not seq.gone:
                self.breaker.touch(self.armed, seq)
        self._take()
        if duration_s is not None:
            self.breaker.later(now + duration_s, self.end)

    def _take(self) -> None:
        breaker, instance = self.breaker, self.instance
        if self.over or instance.dead or instance.ranks[0] is not self.ranks[0]:
            return
        got = instance.set_aside(self.left, breaker.engine.now)
        self.left = [a - b for a, b in zip(self.left, got, strict=True)]
        self.taken = [a + b for a, b in zip(self.taken, got, strict=True)]
        if instance.next_s != instance.wake_s:
            self.pool.rearm(instance)
        if self.seeks_victim and not any(rank.members for rank in self.ranks):
            breaker.short_of.pop(instance, None)
            self.end()
            return
        # An idle instance has nothing to give back: it is not asked for ever.
        self.idle = self.idle + 1 if instance.next_s == float("inf") else 0
        wants = self.seeks_victim or any(self.left)
        if wants and breaker.work_left() and self.idle < _IDLE_LOOKS:
            breaker.engine.call_at(breaker.engine.now + LOOK_S, self._take)

    def end(self) -> None:
        """Give the blocks back to whoever needs them."""
        if self.over:
            return
        self.over = True
        now = self.breaker.engine.now
        for rank, blocks in zip(self.ranks, self.taken, strict=True):
            rank.pool.end_quarantine(blocks)
        record = self.armed.record
        record.open -= 1
        record.back_s = now
        if self.instance.dead:
            return
        self.instance.poke(now)
        if self.pool.credit[self.instance.index]:
            self.pool.grant(self.instance)
        self.pool.rearm(self.instance)


def preemption(breaker: Breaker, armed: Armed, seq: Seq | None) -> None:
    """Let an instance run out of blocks until it takes those of the request that joined last."""
    pool, instance = breaker.instance_of(armed, seq)
    if not any(rank.members for rank in instance.ranks) or pool.plan.rules.reserve_output:
        return  # nobody decodes, or blocks for the whole output are held from the start
    if instance in breaker.short_of:
        return
    shortage = _Shortage(breaker, armed, pool, instance, 1.0)
    breaker.short_of[instance] = shortage
    shortage.begin(None, touch=False)


def preempted(breaker: Breaker, instance: Instance, seq: Seq) -> None:
    """End the shortage that took the blocks of ``seq``, if there is one."""
    shortage = breaker.short_of.pop(instance, None)
    if shortage is not None:
        breaker.touch(shortage.armed, seq)
        shortage.end()


def router_crash(breaker: Breaker, armed: Armed, seq: Seq | None) -> None:
    """Let every open request lose its caller; arrivals wait until the router is back."""
    now, record = breaker.engine.now, armed.record
    record.strike(now)
    record.open += 1
    breaker.router_back_s = max(breaker.router_back_s, now + armed.fault.duration)
    for inside in list(breaker.world.inside.values()):
        breaker.touch(armed, inside)
        hang_up(breaker, inside, "router_crash")

    def back() -> None:
        record.open -= 1
        record.down(armed.fault.duration, 0, breaker.engine.now)

    breaker.later(now + armed.fault.duration, back)


def hang_up(breaker: Breaker, seq: Seq, reason: str) -> None:
    """Let the caller of a request be gone: both sides learn of it."""
    guard: Any = breaker.guard
    if guard is not None and seq.handoff is not None:
        guard.cancel(seq, reason)
        return
    breaker.lost_work(seq)
    now = breaker.engine.now
    breaker.world.end(seq, FAILED, reason)
    for pool in breaker.pools:
        if pool.shared and seq in pool.shared:
            pool.shared.remove(seq)
        for instance in pool.instances:
            if instance.cut(seq, now):
                pool.rearm(instance)


def blacklist(breaker: Breaker, armed: Armed, seq: Seq | None) -> None:
    """Let P refuse every transfer to a decode instance for a while."""
    _, instance = breaker.instance_of(armed, seq)
    now, record = breaker.engine.now, armed.record
    record.strike(now)
    breaker.blacklist[instance.index] = (now + armed.fault.duration, armed)
    record.open += 1

    def over() -> None:
        record.open -= 1
        record.back_s = breaker.engine.now

    breaker.later(now + armed.fault.duration, over)
