"""Routed experts: one launch over all experts that work here, in tiles of rows, and its passes."""

from __future__ import annotations

from math import hypot
from typing import Any

from hetsim.costs._calibration import Parameters
from hetsim.costs._operators import Evaluation, GemmOp, Roof
from hetsim.costs._roofline import busiest_rank, expected_experts, expected_maximum, smooth_max
from hetsim.model import Gemm

__all__ = ["GroupedOp", "expert_passes", "expert_tile"]

Number = Any
"""A float, or a numpy array of floats."""

_PER_TOKEN = 4.0
_PER_WIDTH = 1.5
"""Weights of the passes around the experts: a copy is written when it is gathered and read when it
is summed (2 hidden), its gate and up are read and their product written (3 widths); halved. Sorting
and quantising a token, its input and its output, count as four such copies.

Source: kernels of TensorRT-LLM, SGLang and vLLM, whose EP tables of 2026 are fitted within half a
percent by any count of 3 to 6.
"""

_NOTHING: Evaluation = (0.0, 3, 0.0, 0.0, 0.0)


def expert_passes(tokens: Number, top_k: Number, hidden: Number, width: Number) -> Number:
    """Return the elements that pass by the experts' matrices, two accesses each.

    ``T (4 hidden + k (hidden + 1.5 width))`` with the tokens of the whole group: a kernel that is
    launched before routing is known makes room for all copies, and walks over it.

    >>> expert_passes(10.0, 2.0, 100.0, 200.0)
    12000.0
    """
    return tokens * (_PER_TOKEN * hidden + top_k * (hidden + _PER_WIDTH * width))


def expert_tile(largest: float, half: float, copies: Number) -> Number:
    """Return the rows of the tiles that experts are computed in: ``largest y / (y + half)``.

    ``y`` copies per expert here, as a library counts them before it launches: all copies of the
    group over the experts of this rank, since how many come is not known by then.

    >>> expert_tile(128.0, 32.0, 32.0), expert_tile(128.0, 0.0, 1.0)
    (64.0, 128.0)
    """
    return largest * copies / (copies + half)


class GroupedOp(GemmOp):
    """The routed experts of one MoE layer on one device, both projections in one kernel family.

    With T tokens of all ranks, ``rows = T k / EP`` and ``distinct = E_local (1 - (1 - k/E)^T)`` on
    average; the rank with the most of each sets the pace (:func:`busiest_rank`).
    ``t0 + T hidden token_s + passes pass_s + tile (hidden + width) tile_walk_s + norm_p(2 padded
    sum((n + n0) k) / (peak e_c), bytes / (bandwidth e_m))``, bytes being the distinct experts, the
    tokens in and out, and the rows of both projections. ``padded`` rows are
    ``hypot(rows, distinct tile)`` with the rows of a tile by :func:`expert_tile`: about the larger
    of what there is and one tile per expert. Without tiles, ``rows + distinct m0``.
    """

    __slots__ = (
        "copies",
        "experts",
        "half",
        "local",
        "pairs",
        "s_per_tile_row",
        "s_per_token",
        "spread",
        "tile",
        "token_bytes",
        "top_k",
        "width",
    )

    def __init__(
        self,
        name: str,
        kind: str,
        scope: str,
        fmt: str,
        count: float,
        parameters: Parameters,
        shapes: tuple[Gemm, ...],
        roof: Roof,
    ) -> None:
        super().__init__(name, kind, scope, fmt, count, parameters, shapes, roof)
        self.tile = parameters.tile_rows
        self.half = parameters.tile_half
        self.width = shapes[-1].k
        # Along k of both projections, one after the other: hidden, then the width.
        self.s_per_tile_row = parameters.tile_walk_s * sum(gemm.k for gemm in shapes)
        self.local = self.experts = self.top_k = self.copies = self.pairs = 0.0
        self.spread = self.token_bytes = self.s_per_token = 0.0

    def route(
        self,
        local: float,
        experts: float,
        top_k: float,
        hidden: float,
        token_s: float,
        pass_s: float = 0.0,
    ) -> GroupedOp:
        """Set how many experts are here, how many there are, how many a token takes."""
        self.local, self.experts, self.top_k = local, experts, top_k
        self.pairs = top_k * local / experts
        self.copies = top_k / local
        self.spread = expected_maximum(round(experts / local))
        self.token_bytes = 4.0 * hidden  # in and out, 16 bit
        passes = expert_passes(1.0, top_k, hidden, self.width)
        self.s_per_token = hidden * token_s + passes * pass_s
        return self

    def measured(self, tokens: float) -> bool:
        """Return True: measured rows are stated of dense projections only."""
        return True

    def evaluate(self, tokens: float) -> Evaluation:
        """Return the cost of one execution over ``tokens`` tokens of all ranks."""
        if tokens <= 0:
            return _NOTHING
        local, top_k, spread = self.local, self.top_k, self.spread
        distinct = expected_experts(local, self.experts, top_k, tokens)
        rows = tokens * self.pairs
        if spread > 0.0:
            distinct = busiest_rank(distinct, local, spread)
            rows = busiest_rank(rows, tokens * min(top_k, local), spread)
        fixed = self.t0 + tokens * self.s_per_token
        if self.tile > 0.0:
            tile = expert_tile(self.tile, self.half, tokens * self.copies)
            padded = hypot(rows, distinct * tile)
            fixed += tile * self.s_per_tile_row
        else:
            padded = rows + distinct * self.m0
        compute = padded * self.s_per_row
        weights = distinct * self.base_bytes
        moved = weights + rows * self.row_bytes + tokens * self.token_bytes
        memory = moved * self.s_per_byte
        body = smooth_max(compute, memory, self.p)
        bound = 3 if fixed > body else (0 if compute > memory else 1)
        return (fixed + body, bound, self.flops * rows, moved, weights)
