"""Attention kinds: what one layer projects, stores, and computes, per tensor-parallel rank.

``gqa.py`` first: the plainest kind with every method. A new kind is one file with those methods,
one line in ``_KINDS`` here and its name in ``hetsim.model._types.Attention.kind``.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Protocol

from hetsim.model._gemm import Gemm
from hetsim.model._types import Attention
from hetsim.model.attention._context import context_sum
from hetsim.model.attention.gqa import Gqa
from hetsim.model.attention.linear import Linear
from hetsim.model.attention.mla import Mla
from hetsim.model.attention.none import NoAttention

__all__ = ["AttentionKind", "attention_of", "context_sum"]


class AttentionKind(Protocol):
    """What every attention kind answers. Per TP rank, one layer; counts, never bytes or seconds.

    Context tokens beyond ``context_limit`` are not read by the ``decode_*`` methods; the
    ``index_*`` methods (a sparse-attention indexer) read all of them.
    """

    context_limit: int | None
    indexed: bool

    def gemms(self, hidden: int, tp: int) -> tuple[Gemm, ...]:
        """Projections applied to every token."""

    def params(self, hidden: int) -> float:
        """Parameters of the whole layer."""

    def kv_elements_per_token(self, tp: int) -> float:
        """Elements stored per token."""

    def state_bytes(self, tp: int) -> float:
        """Bytes of constant state per sequence."""

    def decode_flops_per_context_token(self, tp: int) -> float:
        """FLOP of one query per context token within the limit."""

    def decode_kv_elements_per_context_token(self, tp: int) -> float:
        """Elements read by one query per context token within the limit."""

    def decode_flops_constant(self, tp: int) -> float:
        """FLOP per token, whatever the context."""

    def index_flops_per_context_token(self, tp: int) -> float:
        """FLOP of the indexer per context token, of all context."""

    def index_elements_per_context_token(self, tp: int) -> float:
        """Elements read by the indexer per context token, of all context."""

    def prefill_flops(self, new: int, past: int, tp: int) -> float:
        """FLOP of ``new`` causal queries after ``past`` tokens."""


_KINDS: dict[str, Callable[[Attention], AttentionKind]] = {
    "gqa": Gqa,
    "mla": Mla,
    "linear": Linear,
    "none": NoAttention,
}


@lru_cache(maxsize=1024)
def attention_of(att: Attention) -> AttentionKind:
    """Return the formulas for ``att``.

    >>> kind = attention_of(Attention(kind="gqa", heads=8, kv_heads=2, head_dim=4))
    >>> kind.kv_elements_per_token(1)
    16
    """
    return _KINDS[att.kind](att)
