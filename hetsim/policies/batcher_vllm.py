"""vLLM V1: one token budget a step; decodes first, then begun prompts, then waiting ones."""

from __future__ import annotations

from hetsim.policies._views import BatchView, Chunks
from hetsim.spec import register


@register("batcher", "vllm")
class VllmBatcher:
    """Continuous batching with chunked prefill and mixed steps.

    *Source:* vLLM 0.33 documentation, "Optimization and tuning", chunked prefill: decodes are
    prioritised, prompts fill what is left of ``max_num_batched_tokens``.
    """

    __slots__ = ()

    def choose(self, view: BatchView) -> tuple[Chunks, bool]:
        """Return the chunks of the next step; decodes always ride along."""
        budget = view.max_tokens - view.running
        chunks: Chunks = []
        for seq in view.partial:
            tokens = min(seq.prompt - seq.done, budget)
            if tokens > 0:
                chunks.append((seq, tokens))
                budget -= tokens
        if view.waiting and budget > 0:
            admit(view, chunks, budget)
        return chunks, True


def admit(view: BatchView, chunks: Chunks, budget: int) -> None:
    """Append waiting prompts in order while budget, slots and blocks last."""
    slots = view.max_seqs - view.running - len(view.partial)
    room = view.room()
    for seq in view.waiting:
        if slots <= 0 or budget <= 0:
            return
        blocks, cached = view.demand(seq)
        if blocks > room:
            return
        tokens = seq.prompt - cached
        if tokens > budget:
            # A prompt longer than the whole budget could never run unsplit.
            if not view.chunked and chunks:
                return
            tokens = budget if view.chunked else tokens
        chunks.append((seq, tokens))
        budget -= tokens
        slots -= 1
        room -= blocks
