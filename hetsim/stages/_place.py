"""Where a prompt is computed, if not all of it in the prefill pool."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hetsim.policies import Split, bypasses, relieves
from hetsim.serving import Instance, Seq

if TYPE_CHECKING:
    from hetsim.stages._guard import Guard

__all__ = ["Place"]

NAN = float("nan")


class Place:
    """Carries out a placement: prompts, or ends of prompts, that the decode pool computes."""

    def __init__(self, guard: Guard, placement: Any) -> None:
        self.guard = guard
        self.placement = placement
        self.cut = Split(placement.decode_share, placement.decode_tokens) if placement else None
        self.bypassed = 0
        self.relieved = 0
        self.completed = 0

    def bypasses(self, seq: Seq) -> bool:
        """Let the decode pool compute the whole prompt, if the placement says so."""
        placement = self.placement
        if placement is None:
            return False
        if placement.bypass_below is not None and bypasses(seq.isl, placement.bypass_below):
            self.bypassed += 1
        elif placement.relief_above is not None and relieves(
            self.guard.source.alive, placement.relief_above
        ):
            self.relieved += 1
        else:
            return False
        self.compute_on_decode(seq)
        return True

    def compute_on_decode(self, seq: Seq) -> None:
        """Let the decode pool compute the prompt: no KV crosses, and no machine is needed."""
        # A request whose KV is where it decodes, as after a hand-off: nothing crosses any more.
        seq.landed_s = self.guard.engine.now
        self.guard.target.submit(seq)

    def split(self, seq: Seq) -> None:
        """Leave the end of the prompt to D."""
        if self.cut is not None:
            seq.prompt = seq.isl - self.cut.tokens(seq.isl)

    def completes(self, seq: Seq) -> bool:
        """Let D compute what is left of the prompt, now that the first part is there."""
        if seq.gone or seq.prompt >= seq.isl or seq.handoff is None:
            return False
        self.completed += 1
        seq.landed_s, seq.second_s = self.guard.engine.now, NAN
        self.goes_on(seq)
        return True

    def queue_anew(self, seq: Seq) -> None:
        """Let D compute the prompt of a request whose blocks it took back in flight."""
        enqueued_s, seq.landed_s = seq.enqueued_s, self.guard.engine.now
        seq.prompt, seq.done, seq.out, seq.cached = seq.isl, 0, 0, 0
        self.guard.target.put(seq.dest, seq)
        seq.enqueued_s = enqueued_s

    def goes_on(self, seq: Seq) -> None:
        """Let D compute what did not cross: the end of the prompt, and tokens it had emitted."""
        guard = self.guard
        now = guard.engine.now
        instance: Instance = seq.dest
        rank = seq.rank = seq.dst_rank
        seq.blocks, seq.dst_rank = seq.dst_blocks, None
        seq.fixed = rank.rules.fixed_blocks
        seq.done, seq.prompt = seq.transfer_tokens, seq.isl + max(0, seq.out)
        rank.waiting.append(seq)
        rank.queued += seq.prompt - seq.done
        instance.poke(now)
        guard.target.rearm(instance)
