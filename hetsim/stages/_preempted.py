"""Preemptions told to the machines of a calm run: the instance has acted by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hetsim.metrics import pack_move
from hetsim.ownership._vocabulary import CREDIT_GRANTED, PREEMPTED
from hetsim.serving import Instance, Seq
from hetsim.stages._pool import PoolStage

if TYPE_CHECKING:
    from hetsim.stages._handoff import Handoff

__all__ = ["watch_preemptions"]


def watch_preemptions(handoff: Handoff, target: PoolStage) -> None:
    """Let the ownership table show whom D preempts, and who has blocks again.

    A reload would be asked of a pool, and in a calm run the instance computes anew: not told.
    """
    if handoff.machines.options.on_preempt == "reload":
        return

    def preempted(instance: Instance, seq: Seq) -> None:
        if seq.handoff is not None and seq.handoff.states[1] == "decoding":
            _note(handoff, seq, PREEMPTED)

    def resumed(instance: Instance, seq: Seq, at_s: float, tokens: int) -> None:
        if seq.handoff is not None and seq.handoff.states[1] in ("preempted", "retracted"):
            _note(handoff, seq, CREDIT_GRANTED)

    target.on_preempted = preempted
    target.on_started = resumed
    for instance in target.instances:
        instance.watch_preempted = instance.watch_chunks = True


def _note(handoff: Handoff, seq: Seq, event: Any) -> None:
    """Take the machine along; nothing is asked of anybody."""
    now, before = handoff.engine.now, seq.handoff
    step = before.steps.get(event)
    if step is None:
        step, seq.deadline_s = handoff._automaton.learn(before, event, now, seq.deadline_s, seq.rid)
    seq.handoff, (codes, _) = step
    for code in codes:
        handoff.moves(pack_move(now, seq.rid, code))
