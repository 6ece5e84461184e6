"""TensorRT-LLM: in-flight batching; admission guarantees that nothing is evicted later."""

from __future__ import annotations

from hetsim.policies._views import BatchView, Chunks
from hetsim.policies.batcher_vllm import VllmBatcher
from hetsim.spec import register


@register("batcher", "trtllm")
class TrtllmBatcher(VllmBatcher):
    """As vLLM's budget, but a prompt is admitted only with blocks for its whole declared output.

    The larger demand is the view's: its scheduler domain reserves the declared output length when
    the runtime says ``reserve_output``. *Source:* TensorRT-LLM documentation, batch scheduler
    policy ``GUARANTEED_NO_EVICT``.
    """

    __slots__ = ()

    def choose(self, view: BatchView) -> tuple[Chunks, bool]:
        """Return the chunks of the next step; context and generation share it."""
        return VllmBatcher.choose(self, view)
