"""The calibrated roofline: seconds from FLOPs and bytes. Pure arithmetic, nothing else."""

from __future__ import annotations

from math import log2, sqrt
from statistics import NormalDist

__all__ = [
    "busiest_rank",
    "expected_experts",
    "expected_maximum",
    "expected_ranks",
    "head_factor",
    "smooth_max",
]


def smooth_max(a: float, b: float, p: float) -> float:
    """Return the p-norm of two times, which is at least the larger of them.

    ``(a^p + b^p)^(1/p)``: p = 1 adds them (no overlap), a large p takes the maximum. It describes
    GEMM curves near the ridge within a few percent.

    Source: fitted to public GEMM tables of 13 device and format pairs, worst error 1-11 %.
    Valid for: non-negative times, p in [1, 8].

    >>> smooth_max(3.0, 4.0, 2.0), smooth_max(3.0, 4.0, 1.0), smooth_max(0.0, 4.0, 3.0)
    (5.0, 7.0, 4.0)
    """
    if a > b:
        a, b = b, a
    if a <= 0.0:
        return b
    return b * float((1.0 + (a / b) ** p) ** (1.0 / p))


def expected_experts(local: float, experts: float, top_k: float, tokens: float) -> float:
    """Return how many of ``local`` experts at least one of ``tokens`` tokens is sent to.

    ``E_local (1 - (1 - k/E)^T)``: every token picks k of E experts, all equally likely.

    Valid for: balanced routers; skewed ones touch fewer.

    >>> expected_experts(8, 8, 2, 1)
    2.0
    >>> expected_experts(64, 256, 8, 1)
    2.0
    """
    return local * (1.0 - float((1.0 - top_k / experts) ** tokens))


def expected_maximum(ranks: int) -> float:
    """Return how many standard deviations the largest of ``ranks`` draws lies above the mean.

    The normal quantile of ``(R - 3/8) / (R + 1/4)``, within 4 % of the expected maximum.
    Source: Blom, Statistical estimates and transformed beta-variables, 1958.

    >>> expected_maximum(1), round(expected_maximum(8), 2), round(expected_maximum(32), 2)
    (0.0, 1.43, 2.07)
    """
    return NormalDist().inv_cdf((ranks - 0.375) / (ranks + 0.25)) if ranks > 1 else 0.0


def busiest_rank(mean: float, limit: float, spread: float) -> float:
    """Return the expected load of the fullest of some equal ranks: all others wait for it.

    ``min(limit, m + spread sqrt(m (1 - m / limit)))``: m of ``limit`` items fall to a rank on
    average, one by one; ``spread`` is :func:`expected_maximum` of the ranks. Rises with m.

    >>> busiest_rank(8.0, 16.0, 0.0), busiest_rank(8.0, 16.0, 1.5), busiest_rank(15.9, 16.0, 1.5)
    (8.0, 11.0, 16.0)
    """
    return min(limit, mean + spread * sqrt(mean * (1.0 - mean / limit)))


def expected_ranks(ranks: int, top_k: float) -> float:
    """Return to how many *other* expert ranks one token is sent, each at most once.

    ``(R - 1) (1 - (1 - 1/R)^k)``.

    >>> expected_ranks(1, 8), expected_ranks(2, 1)
    (0.0, 0.5)
    """
    return (ranks - 1) * (1.0 - float((1.0 - 1.0 / ranks) ** top_k))


def head_factor(head_64: float, head_256: float, head_dim: float) -> float:
    """Return how much longer heads of this size take per FLOP than those of size 128.

    Linear in the logarithm of the size between 64, 128 and 256, constant outside.

    >>> head_factor(1.5, 0.8, 64), head_factor(1.5, 0.8, 128), head_factor(1.5, 0.8, 512)
    (1.5, 1.0, 0.8)
    """
    position = min(1.0, max(-1.0, log2(head_dim / 128.0))) if head_dim > 0 else 0.0
    return 1.0 + abs(position) * ((head_64 if position < 0 else head_256) - 1.0)
