"""Multi-head latent attention: one latent row per token, replicated over TP ranks."""

from __future__ import annotations

from hetsim.model._gemm import Gemm, heads_per_rank
from hetsim.model._types import Attention
from hetsim.model.attention._context import context_sum

__all__ = ["Mla"]


class Mla:
    """MLA per TP rank, one layer: decode in absorbed form, prefill in expanded form.

    Absorbed: queries are carried into the latent space, so a context token costs
    ``2 heads (2 kv_lora + rope)`` FLOP and ``kv_lora + rope`` elements. Expanded: keys and values
    are formed from the latents, so a pair costs ``2 heads (nope + rope + v)``. The weight ``kv_b``
    is passed once per new token in either form, with the same FLOP. Sparse attention (an indexer)
    runs in absorbed form in prefill too, since each query reads another set of tokens.
    Source: DeepSeek-V2 (2024) section 2.1, DeepSeek-V3.2-Exp (2025) section 2.1.
    """

    __slots__ = ("_absorbed", "_att", "_expanded", "context_limit", "indexed")

    def __init__(self, att: Attention) -> None:
        self._att = att
        self._absorbed = 2 * (2 * att.kv_lora_rank + att.rope_dim)
        self._expanded = 2 * (att.nope_dim + att.rope_dim + att.v_head_dim)
        self.indexed = att.index_topk > 0
        self.context_limit: int | None = att.index_topk if self.indexed else att.window

    def gemms(self, hidden: int, tp: int) -> tuple[Gemm, ...]:
        """Return the projections that every token passes; the down-projections are replicated."""
        att = self._att
        heads = heads_per_rank(att.heads, tp)
        query = heads * (att.nope_dim + att.rope_dim)
        latent = att.kv_lora_rank + att.rope_dim
        if att.q_lora_rank:
            first = (
                Gemm(att.q_lora_rank + latent, hidden, "qkv_a"),
                Gemm(query, att.q_lora_rank, "q_b"),
            )
        else:
            first = (Gemm(query, hidden, "q"), Gemm(latent, hidden, "kv_a"))
        gate = (Gemm(heads * att.v_head_dim, hidden, "gate"),) if att.gated else ()
        return (
            *first,
            Gemm(heads * (att.nope_dim + att.v_head_dim), att.kv_lora_rank, "kv_b"),
            *gate,
            Gemm(hidden, heads * att.v_head_dim, "o"),
            *self._index_gemms(hidden),
        )

    def _index_gemms(self, hidden: int) -> tuple[Gemm, ...]:
        att = self._att
        if not self.indexed or not att.index_heads:
            return ()
        return (
            Gemm(att.index_heads * att.index_dim, att.q_lora_rank or hidden, "index_q"),
            Gemm(att.index_dim + att.index_heads, hidden, "index_k"),
        )

    def params(self, hidden: int) -> float:
        """Return the parameters of one whole layer, latent norms and biases included."""
        att = self._att
        norms = att.q_lora_rank + att.kv_lora_rank
        # The two down-projections carry the bias in DeepSeek's code, as does the output.
        biases = (norms + att.rope_dim if att.bias else 0) + (hidden if att.out_bias else 0)
        total = sum(gemm.weights for gemm in self.gemms(hidden, 1))
        return total + norms + biases + att.extra_params

    def kv_elements_per_token(self, tp: int) -> float:
        """Return the elements stored per token: latent, rotary key, index key; on every rank.

        >>> att = Attention(kind="mla", heads=128, kv_lora_rank=512, rope_dim=64)
        >>> Mla(att).kv_elements_per_token(8)
        576
        """
        index = self._att.index_dim if self.indexed and self._att.index_heads else 0
        return self._att.kv_lora_rank + self._att.rope_dim + index

    def state_bytes(self, tp: int) -> float:
        """Return 0: there is no constant state."""
        return 0.0

    def decode_flops_per_context_token(self, tp: int) -> float:
        """Return the FLOP of one query per context token, in absorbed form."""
        return heads_per_rank(self._att.heads, tp) * self._absorbed

    def decode_kv_elements_per_context_token(self, tp: int) -> float:
        """Return the elements that one query reads per context token; all its heads share them."""
        return self._att.kv_lora_rank + self._att.rope_dim

    def decode_flops_constant(self, tp: int) -> float:
        """Return 0: carrying queries into the latent space and back is ``kv_b`` in the GEMMs."""
        return 0.0

    def index_flops_per_context_token(self, tp: int) -> float:
        """Return the FLOP of the indexer per context token, of all context; 0 without one."""
        return 2.0 * self._att.index_heads * self._att.index_dim if self.indexed else 0.0

    def index_elements_per_context_token(self, tp: int) -> float:
        """Return the index key elements read per context token, of all context."""
        return float(self._att.index_dim) if self.indexed and self._att.index_heads else 0.0

    def prefill_flops(self, new: int, past: int, tp: int) -> float:
        """Return the FLOP of ``new`` causal queries after ``past`` tokens, projections excluded.

        The expanded form forms keys and values of the past again, from its stored latents.
        """
        att = self._att
        heads = heads_per_rank(att.heads, tp)
        if self.indexed:
            flop = heads * self._absorbed * context_sum(new, past, self.context_limit)
            return flop + self.index_flops_per_context_token(tp) * context_sum(new, past, None)
        flop = heads * self._expanded * context_sum(new, past, self.context_limit)
        seen = past if self.context_limit is None else min(past, self.context_limit)
        return flop + 2 * seen * att.kv_lora_rank * heads * (att.nope_dim + att.v_head_dim)
