"""No token mixing at all: a layer that is only a feed-forward (Nemotron-H, pruned models)."""

from __future__ import annotations

from hetsim.model._gemm import Gemm
from hetsim.model._types import Attention

__all__ = ["NoAttention"]


class NoAttention:
    """Costs nothing and stores nothing."""

    __slots__ = ("context_limit", "indexed")

    def __init__(self, att: Attention) -> None:
        self.context_limit: int | None = None
        self.indexed = False

    def gemms(self, hidden: int, tp: int) -> tuple[Gemm, ...]:
        """Return no projection."""
        return ()

    def params(self, hidden: int) -> float:
        """Return 0."""
        return 0.0

    def kv_elements_per_token(self, tp: int) -> float:
        """Return 0."""
        return 0.0

    def state_bytes(self, tp: int) -> float:
        """Return 0."""
        return 0.0

    def decode_flops_per_context_token(self, tp: int) -> float:
        """Return 0."""
        return 0.0

    def decode_kv_elements_per_context_token(self, tp: int) -> float:
        """Return 0."""
        return 0.0

    def decode_flops_constant(self, tp: int) -> float:
        """Return 0."""
        return 0.0

    def index_flops_per_context_token(self, tp: int) -> float:
        """Return 0."""
        return 0.0

    def index_elements_per_context_token(self, tp: int) -> float:
        """Return 0."""
        return 0.0

    def prefill_flops(self, new: int, past: int, tp: int) -> float:
        """Return 0."""
        return 0.0
