"""SGLang: prefill first. A step is either prompts or decodes, never both (mixing is off)."""

from __future__ import annotations

from hetsim.policies._views import BatchView, Chunks
from hetsim.policies.batcher_vllm import admit
from hetsim.spec import register


@register("batcher", "sglang")
class SglangBatcher:
    """A new prefill batch is formed whenever a waiting prompt can be admitted; else decode.

    *Source:* SGLang 0.5 server arguments: ``chunked_prefill_size``, ``enable_mixed_chunk`` off by
    default.
    """

    __slots__ = ()

    def choose(self, view: BatchView) -> tuple[Chunks, bool]:
        """Return a prefill-only step if there is one, else no chunks and the decodes."""
        budget = view.max_tokens
        chunks: Chunks = []
        for seq in view.partial:
            tokens = min(seq.prompt - seq.done, budget)
            if tokens > 0:
                chunks.append((seq, tokens))
                budget -= tokens
        if view.waiting and budget > 0:
            admit(view, chunks, budget)
        return chunks, not chunks
