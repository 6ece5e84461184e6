"""Static batching: a batch is formed when the last one has ended, and is not refilled."""

from __future__ import annotations

from hetsim.policies._views import BatchView, Chunks
from hetsim.policies.batcher_vllm import VllmBatcher
from hetsim.spec import register


@register("batcher", "static")
class StaticBatcher(VllmBatcher):
    """Admits up to ``max_seqs`` prompts when nothing runs, then lets them decode to the end."""

    __slots__ = ()

    def choose(self, view: BatchView) -> tuple[Chunks, bool]:
        """Return chunks only while the batch is being formed."""
        if view.running and not view.partial:
            return [], True
        return VllmBatcher.choose(self, view)
