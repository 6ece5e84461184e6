"""One projection, and how tensor parallelism cuts heads."""

from __future__ import annotations

from typing import NamedTuple

from hetsim.errors import Problem, ScenarioError

__all__ = ["Gemm", "heads_per_rank", "kv_heads_per_rank", "weights"]


class Gemm(NamedTuple):
    """A projection ``[tokens, k] x [k, n]``: 2 n k FLOP per token, n k weights.

    >>> Gemm(4096, 1024, "o").flop_per_token
    8388608
    """

    n: float
    k: float
    name: str

    @property
    def weights(self) -> float:
        """Number of weights."""
        return self.n * self.k

    @property
    def flop_per_token(self) -> float:
        """FLOP for one token (a multiply-add is two)."""
        return 2 * self.n * self.k


def weights(gemms: tuple[Gemm, ...]) -> float:
    """Return the number of weights of ``gemms`` together."""
    return sum(gemm.n * gemm.k for gemm in gemms)


def heads_per_rank(heads: int, tp: int, what: str = "attention heads") -> int:
    """Return the heads on one of ``tp`` ranks.

    Raises
    ------
    ScenarioError
        If ``tp`` does not divide the heads.

    >>> heads_per_rank(32, 8)
    4
    """
    if tp < 1 or heads % tp:
        raise ScenarioError(
            Problem(f"tp {tp} does not divide {heads} {what}; choose a divisor of {heads}", "tp")
        )
    return heads // tp


def kv_heads_per_rank(kv_heads: int, tp: int) -> int:
    """Return the KV heads that one of ``tp`` ranks holds; at least one, so heads are replicated.

    Raises
    ------
    ScenarioError
        If neither divides the other.

    >>> kv_heads_per_rank(8, 2), kv_heads_per_rank(8, 16)
    (4, 1)
    """
    if tp < 1 or (kv_heads % tp and tp % kv_heads):
        raise ScenarioError(
            Problem(
                f"tp {tp} and {kv_heads} KV heads do not divide one another; "
                f"choose a divisor or a multiple of {kv_heads}",
                "tp",
            )
        )
    return max(1, kv_heads // tp)
