"""Linear attention and state-space layers: a constant state, and no KV per token."""

from __future__ import annotations

from hetsim.model._gemm import Gemm, heads_per_rank
from hetsim.model._types import Attention

__all__ = ["Linear"]


class Linear:
    """A recurrent layer per TP rank: gated delta net, KDA, Mamba 2, lightning attention.

    Each token decays, updates and reads a state of ``state_elements``; the same FLOP are counted
    in prefill, whose chunked form differs by less than the projections beside it.
    Source: Yang et al., Gated Delta Networks, 2024; Dao and Gu, Mamba 2, 2024.
    """

    __slots__ = ("_att", "context_limit", "indexed")

    def __init__(self, att: Attention) -> None:
        self._att = att
        self.context_limit: int | None = None
        self.indexed = False

    def gemms(self, hidden: int, tp: int) -> tuple[Gemm, ...]:
        """Return the input projections as one, and the output projection."""
        att = self._att
        heads = heads_per_rank(att.heads, tp, "linear attention heads")
        return (
            Gemm(att.in_features / tp, hidden, "in"),
            Gemm(hidden, heads * (att.v_head_dim or att.head_dim), "o"),
        )

    def params(self, hidden: int) -> float:
        """Return the parameters of one whole layer."""
        att = self._att
        biases = (att.in_features if att.bias else 0) + (hidden if att.out_bias else 0)
        return sum(gemm.weights for gemm in self.gemms(hidden, 1)) + biases + att.extra_params

    def kv_elements_per_token(self, tp: int) -> float:
        """Return 0: nothing is stored per token."""
        return 0.0

    def state_bytes(self, tp: int) -> float:
        """Return the constant state of one sequence: the recurrent state and the convolution's.

        >>> att = Attention(kind="linear", heads=2, head_dim=4, v_head_dim=4, state_elements=32)
        >>> Linear(att).state_bytes(2)
        64.0
        """
        att = self._att
        return (
            att.state_elements * att.state_bytes_per_element + 2.0 * att.conv_state_elements
        ) / tp

    def decode_flops_per_context_token(self, tp: int) -> float:
        """Return 0: context is not read."""
        return 0.0

    def decode_kv_elements_per_context_token(self, tp: int) -> float:
        """Return 0: context is not read."""
        return 0.0

    def decode_flops_constant(self, tp: int) -> float:
        """Return the FLOP per token on the state."""
        return self._att.state_flop_per_element * self._att.state_elements / tp

    def index_flops_per_context_token(self, tp: int) -> float:
        """Return 0: there is no indexer."""
        return 0.0

    def index_elements_per_context_token(self, tp: int) -> float:
        """Return 0: there is no indexer."""
        return 0.0

    def prefill_flops(self, new: int, past: int, tp: int) -> float:
        """Return the FLOP of ``new`` tokens; the past does not matter."""
        return new * self._att.state_flop_per_element * self._att.state_elements / tp
