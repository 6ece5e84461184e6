"""Faults of the control plane and of clocks: messages that do not come, timers that are wrong."""

from __future__ import annotations

from typing import Any

from hetsim.ownership._vocabulary import SetTimer
from hetsim.serving import Seq
from hetsim.stages._armed import Armed
from hetsim.stages._breaker import Breaker

__all__ = ["clock_skew", "crossing", "open_window", "scaled", "timer_scale"]

USUAL = (0.0,)
_NEVER = float("inf")


def open_window(breaker: Breaker, armed: Armed, seq: Seq | None) -> None:
    """Let a fault hit things from now on."""
    armed.open(breaker.engine.now, seq)


def crossing(
    breaker: Breaker, seq: Seq, event: Any, trip_s: float, rides: bool = False
) -> tuple[tuple[float, ...], Armed | None]:
    """Return how much later than usual a message arrives, once or more often, or who lost it.

    ``rides``: it takes the way of the data, which a partition of the control plane leaves open.
    """
    now = breaker.engine.now
    name = event.key.removeprefix("notice:")
    if event.key == "consumer_seen":
        name = "dispatch"
    for until_s, armed, of_prefill, index in breaker.partitions:
        if rides and armed.fault.plane == "control":
            continue
        if now < until_s and _ends_at(seq, of_prefill, index):
            return (), armed
    delays: tuple[float, ...] = USUAL
    for armed in breaker.notices:
        wanted = armed.fault.notice
        if (wanted is not None and wanted != name) or not armed.hits(seq, now):
            continue
        if armed.kind.name == "notice_lost":
            return (), armed
        breaker.touch(armed, seq)
        if armed.kind.name == "notice_late":
            delays = tuple(delay_s + armed.fault.delay for delay_s in delays)
        else:
            delays = (*delays, delays[0] + (armed.fault.delay or trip_s))
    return delays, None


def _ends_at(seq: Seq, of_prefill: bool, index: int) -> bool:
    if of_prefill:
        return seq.prefill_instance == index
    return seq.dest is not None and seq.dest.index == index


def timer_scale(breaker: Breaker, armed: Armed, seq: Seq | None) -> None:
    """Let every timer of a name run part of its delay, or more than that, from now on."""
    fault, now = armed.fault, breaker.engine.now
    armed.record.strike(now)
    until_s = now + fault.duration if fault.duration is not None else _NEVER
    breaker.timer_factor[fault.timer] = (fault.factor, until_s, armed)


def clock_skew(breaker: Breaker, armed: Armed, seq: Seq | None) -> None:
    """Put the clock of a side ahead: what it is told to do by a deadline, it does too early."""
    fault, now = armed.fault, breaker.engine.now
    armed.record.strike(now)
    side = "P" if breaker.pool_of(armed) is breaker.pools[0] else "D"
    until_s = now + fault.duration if fault.duration is not None else _NEVER
    breaker.clock_ahead[side] = (fault.delay, until_s, armed)


def scaled(breaker: Breaker, seq: Seq, order: SetTimer) -> float:
    """Return the delay of a timer under the faults that bear on it.

    A skewed clock shortens deadlines that both sides reckon with, not intervals of its own.
    """
    delay_s, now = order.delay_s, breaker.engine.now
    factor, until_s, armed = breaker.timer_factor.get(order.name, (1.0, 0.0, None))
    if now < until_s and armed is not None:
        delay_s *= factor
        breaker.touch(armed, seq)
    ahead_s, until_s, skewed = breaker.clock_ahead.get(order.side, (0.0, 0.0, None))
    if now < until_s and skewed is not None and order.name in ("lease", "registration"):
        delay_s = max(0.0, delay_s - ahead_s)
        breaker.touch(skewed, seq)
    return delay_s
