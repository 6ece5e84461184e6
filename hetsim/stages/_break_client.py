"""Faults of clients: they go away, or ask twice."""

from __future__ import annotations

from functools import partial

from hetsim.serving import Seq
from hetsim.stages._armed import Armed
from hetsim.stages._break_instance import hang_up
from hetsim.stages._breaker import Breaker

__all__ = ["abort", "duplicate", "on_arrival"]


def abort(breaker: Breaker, armed: Armed, seq: Seq | None) -> None:
    """Let clients go away: that of the request, or of the first ``count`` that are inside."""
    fault, now = armed.fault, breaker.engine.now
    if seq is not None:
        armed.record.strike(now)
        _leave(breaker, armed, seq)
        return
    if fault.duration is not None:
        armed.open(now)  # those who arrive meanwhile
        return
    armed.record.strike(now)
    for inside in list(breaker.world.inside.values())[: fault.count or 1]:
        _leave(breaker, armed, inside)


def _leave(breaker: Breaker, armed: Armed, seq: Seq) -> None:
    if not seq.gone:
        breaker.touch(armed, seq)
        hang_up(breaker, seq, "client")


def duplicate(breaker: Breaker, armed: Armed, seq: Seq | None) -> None:
    """Let clients ask again what they have asked already."""
    now = breaker.engine.now
    if seq is not None:
        armed.record.strike(now)
        _again(breaker, armed, seq)
        return
    if armed.fault.duration is not None:
        armed.open(now)
        return
    armed.record.strike(now)
    for inside in list(breaker.world.inside.values())[: armed.fault.count or 1]:
        _again(breaker, armed, inside)


def _again(breaker: Breaker, armed: Armed, seq: Seq) -> None:
    """Send the same prompt once more; it counts as a request of its own.

    With the same id it is a second delivery of the same request: refused where messages tell one
    life from another, and let in where they do not.
    """
    world = breaker.world
    breaker.touch(armed, seq)
    rooms = breaker.guard.rooms if breaker.guard is not None else None
    if armed.fault.same_id and rooms is None:
        armed.record.refused += 1
        return
    rid = len(world.osl)
    world.osl.append(world.osl[seq.rid])
    twin = Seq(rid, breaker.engine.now, seq.isl, seq.declared, seq.keys)
    twin.user, twin.turn = seq.user, seq.turn
    world.arrive(twin)
    breaker.touch(armed, twin)
    if armed.fault.same_id and rooms is not None:
        rooms.share(twin, seq)
    breaker.submit(twin)


def on_arrival(breaker: Breaker, seq: Seq) -> None:
    """Let faults at a request that comes in."""
    now = breaker.engine.now
    for armed in breaker.requests:
        if not armed.hits(seq, now):
            continue
        if armed.kind.name == "duplicate_request":
            breaker.engine.call_at(now, partial(_again, breaker, armed, seq))
        else:
            at_s = now + (armed.fault.delay or 0.0)
            breaker.later(at_s, partial(_leave, breaker, armed, seq))
