"""What D says to a request that asks for blocks, and requests that come back to KV in a pool."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hetsim.ownership._vocabulary import CONSUMER_SEEN, REFUSED, Event
from hetsim.serving import Seq

if TYPE_CHECKING:
    from hetsim.stages._guard import Guard

__all__ = ["refuses", "reload"]

_RELOADED = Event("reloaded")


def refuses(guard: Guard, seq: Seq) -> bool:
    """Let a fault turn a request away that asks D for blocks for the first time."""
    for armed in guard.breaker.refusals:
        if seq.handoff.states[1] == "queued" and armed.hits(seq, guard.engine.now):
            guard.breaker.touch(armed, seq)
            guard.reason = "refused"
            guard.feed(seq, REFUSED)
            guard.reason = ""
            return True
    return False


def reload(guard: Guard, fresh: Seq, before: Seq) -> bool:
    """Read the prompt again that an earlier attempt has put into the pool; say whether it can.

    Nothing is computed on P, and D emits the first token anew.
    """
    old, transit = before.handoff, guard.transit
    if transit is None or transit.plan.place != "remote" or old is None:
        return False
    if old.states[2] != "complete" or not transit.hand_over(before, fresh):
        return False
    old.states[2] = "free"
    fresh.handoff = machine = guard.machines.machine(fresh.rid)
    fresh.transfer_tokens, fresh.timers = before.transfer_tokens, {}
    fresh.source, fresh.prefill_instance = before.source, before.prefill_instance
    now = guard.engine.now
    fresh.enqueued_s = fresh.prefill_start_s = fresh.prefill_end_s = now
    fresh.cached, fresh.attempt = fresh.isl, 1
    for part, after in ((0, "free"), (2, "complete")):
        guard.note(fresh, part, machine.states[part], after, _RELOADED)
        machine.states[part] = after
    guard._tell(fresh, CONSUMER_SEEN)
    return True
