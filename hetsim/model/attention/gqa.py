"""Grouped-query attention: MHA (kv_heads = heads) and MQA (kv_heads = 1) included."""

from __future__ import annotations

from hetsim.model._gemm import Gemm, heads_per_rank, kv_heads_per_rank
from hetsim.model._types import Attention
from hetsim.model.attention._context import context_sum

__all__ = ["Gqa"]


class Gqa:
    """Softmax attention whose query heads share KV heads; per TP rank, one layer.

    A query reads at most ``context_limit`` tokens: the window, or what an indexer selects. An
    indexer itself reads every token, one key of ``index_dim`` each (``index_*`` methods).
    Source: Ainslie et al., GQA, 2023; sliding window as in Mistral 7B, 2023.
    """

    __slots__ = ("_att", "_width", "context_limit", "indexed")

    def __init__(self, att: Attention) -> None:
        self._att = att
        self._width = att.head_dim + (att.v_head_dim or att.head_dim)
        self.indexed = att.index_topk > 0
        self.context_limit: int | None = att.index_topk if self.indexed else att.window

    def gemms(self, hidden: int, tp: int) -> tuple[Gemm, ...]:
        """Return the projections that every token passes; KV heads are replicated beyond TP.

        >>> att = Attention(kind="gqa", heads=32, kv_heads=8, head_dim=128)
        >>> [(gemm.name, gemm.n, gemm.k) for gemm in Gqa(att).gemms(4096, 1)]
        [('qkv', 6144, 4096), ('o', 4096, 4096)]
        """
        att = self._att
        heads = heads_per_rank(att.heads, tp)
        v_dim = self._width - att.head_dim
        query = heads * (att.head_dim + (v_dim if att.gated else 0))
        made = (
            Gemm(query + self._kv_features(tp), hidden, "qkv"),
            Gemm(hidden, heads * v_dim, "o"),
        )
        return made + self._index_gemms(hidden)

    def _kv_features(self, tp: int) -> int:
        if self._att.shared_kv:
            return 0
        per_head = self._att.head_dim if self._att.value_is_key else self._width
        return kv_heads_per_rank(self._att.kv_heads, tp) * per_head

    def _index_gemms(self, hidden: int) -> tuple[Gemm, ...]:
        if not self.indexed:
            return ()
        # Queries of every index head and one key, on every rank.
        return (Gemm((self._att.index_heads + 1) * self._att.index_dim, hidden, "index"),)

    def params(self, hidden: int) -> float:
        """Return the parameters of one whole layer, biases and head norms included."""
        att = self._att
        qkv, *rest = self.gemms(hidden, 1)
        biases = (qkv.n if att.bias else 0) + (hidden if att.out_bias else 0)
        return qkv.weights + sum(gemm.weights for gemm in rest) + biases + att.extra_params

    def kv_elements_per_token(self, tp: int) -> float:
        """Return the elements that a rank stores per token: K and V of its heads, and index keys.

        >>> Gqa(Attention(kind="gqa", heads=32, kv_heads=8, head_dim=128)).kv_elements_per_token(16)
        256
        """
        if self._att.shared_kv:
            return 0
        index = self._att.index_dim if self.indexed else 0
        return kv_heads_per_rank(self._att.kv_heads, tp) * self._width + index

    def state_bytes(self, tp: int) -> float:
        """Return 0: there is no constant state."""
        return 0.0

    def decode_flops_per_context_token(self, tp: int) -> float:
        """Return the FLOP of one query per context token read: scores and weighted values."""
        return 2 * heads_per_rank(self._att.heads, tp) * self._width

    def decode_kv_elements_per_context_token(self, tp: int) -> float:
        """Return the KV elements that one query reads per context token (within the limit)."""
        return kv_heads_per_rank(self._att.kv_heads, tp) * self._width

    def decode_flops_constant(self, tp: int) -> float:
        """Return 0: everything else is in :meth:`gemms`."""
        return 0.0

    def index_flops_per_context_token(self, tp: int) -> float:
        """Return the FLOP of the indexer per context token, of all context; 0 without one."""
        return 2.0 * self._att.index_heads * self._att.index_dim if self.indexed else 0.0

    def index_elements_per_context_token(self, tp: int) -> float:
        """Return the index key elements read per context token, of all context."""
        return float(self._att.index_dim) if self.indexed else 0.0

    def prefill_flops(self, new: int, past: int, tp: int) -> float:
        """Return the FLOP of ``new`` causal queries after ``past`` tokens, projections excluded.

        >>> att = Attention(kind="gqa", heads=1, kv_heads=1, head_dim=1)
        >>> Gqa(att).prefill_flops(3, 10, 1)  # 4 FLOP for each of 11 + 12 + 13 tokens
        144
        """
        heads = heads_per_rank(self._att.heads, tp)
        flop: float = 2 * heads * self._width * context_sum(new, past, self.context_limit)
        if self.indexed:
            flop += self.index_flops_per_context_token(tp) * context_sum(new, past, None)
        return flop
