"""Compiled operators: constants in, seconds out. Built once per step model, called per step."""

from __future__ import annotations

from bisect import bisect_right
from copy import copy
from math import exp, inf, log
from typing import NamedTuple

from hetsim.costs._calibration import Grade, Parameters, Piece, worst_grade
from hetsim.costs._roofline import smooth_max
from hetsim.costs._stairs import Stair, tile_weight
from hetsim.model import Gemm

__all__ = ["BOUNDS", "Evaluation", "GemmOp", "LinkOp", "Roof", "TokenOp", "TrafficOp"]

BOUNDS = ("compute", "memory", "link", "latency", "host")


Evaluation = tuple[float, int, float, float, float]
"""One operator, once, on one device: seconds, index into ``BOUNDS``, FLOPs, bytes, and the weights
among the bytes. A plain tuple, since it is made for every operator of every new step."""


class Roof(NamedTuple):
    """What a projection runs against: nominal rates, bytes per element, floors that survive."""

    peak: float
    bandwidth: float
    weight_bytes: float
    input_bytes: float
    output_bytes: float
    floor_scale: float


_NOTHING: Evaluation = (0.0, 3, 0.0, 0.0, 0.0)

_EXPERT_TILE = 128
"""Rows of the tiles (twice as many columns) that kernels of projections compute wide experts in."""


class TokenOp:
    """An operator whose work depends on a number of tokens alone."""

    __slots__ = ("count", "format", "grade", "kind", "name", "scope", "source")

    def __init__(self, name: str, kind: str, scope: str, fmt: str, count: float) -> None:
        self.name = name
        self.kind = kind
        self.scope = scope
        """``rank``: tokens of one DP rank; ``all``: of all ranks; ``logits``: rows of the head."""
        self.format = fmt
        self.count = count
        self.grade: Grade = "datasheet"
        self.source = ""

    def evaluate(self, tokens: float) -> Evaluation:
        """Return the cost of one execution."""
        raise NotImplementedError

    def measured(self, tokens: float) -> bool:
        """Whether ``tokens`` lie where the parameters were measured, as far as that is known."""
        return True


class GemmOp(TokenOp):
    """A projection ``[m, k] x [k, n]`` on one device.

    ``t0 + m (row + k token) + norm_p(2 E (k + k0) / (peak e_c), bytes / (bandwidth e_m), k walk)``,
    bytes being weights, input in the compute format and output in 16 bit. ``E`` is the stair of
    output tiles (:class:`hetsim.costs._stairs.Stair`) where the number of multiprocessors is known,
    else ``(m + m0)(n + n0)``. The walk along k bounds projections of few blocks; ``row`` and
    ``token`` quantise the activations. With a table, ``t0 + n k f(tokens)`` inside the measured
    rows, f interpolated in the logarithms; outside, the roofline's body scaled to meet the table's
    end.
    """

    __slots__ = (
        "base_bytes",
        "elements",
        "flops",
        "m0",
        "p",
        "row_bytes",
        "row_s",
        "rows",
        "s_per_byte",
        "s_per_element",
        "s_per_row",
        "stair",
        "t0",
        "table",
        "walk",
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
        super().__init__(name, kind, scope, fmt, count)
        size = parameters
        n0, k0 = size.n0, size.k0
        elements = sum(gemm.n * gemm.k for gemm in shapes)
        self.elements = elements
        self.table = tuple((log(m), log(each)) for m, each in parameters.table)
        self.rows = parameters.measured
        self.flops = 2.0 * elements
        self.base_bytes = elements * roof.weight_bytes
        self.row_bytes = sum(
            gemm.k * roof.input_bytes + gemm.n * roof.output_bytes for gemm in shapes
        )
        padded = sum((gemm.n + n0) * (gemm.k + k0) for gemm in shapes)
        self.s_per_row = 2.0 * padded / (roof.peak * size.e_c)
        self.s_per_byte = 1.0 / (roof.bandwidth * size.e_m)
        self.m0 = size.m0
        self._tile(size, shapes, roof)
        self.p = size.p
        self.t0 = size.t0_s * roof.floor_scale
        self.walk = size.walk_s * max(gemm.k for gemm in shapes)
        self.grade, self.source = size.grade, size.source

    def _tile(self, size: Parameters, shapes: tuple[Gemm, ...], roof: Roof) -> None:
        """Set the stair of output tiles, and what quantising a row of activations takes."""
        k = shapes[0].k
        self.stair: Stair | None = None
        self.s_per_element = 2.0 * (k + size.k0) / (roof.peak * size.e_c)
        self.row_s = size.row_s + k * size.token_s
        if not size.blocks:
            return
        if len(shapes) == 1:
            self.stair = Stair(shapes[0].n, size.blocks, size.feed, size.wave)
        # Experts in one launch share the waves; each loses half a tile of rows, and a tile costs
        # more than one of the largest.
        weight = tile_weight(_EXPERT_TILE, 2 * _EXPERT_TILE, size.feed)
        self.m0 = _EXPERT_TILE * (weight - 0.5)

    def evaluate(self, tokens: float) -> Evaluation:
        """Return the cost of one execution over ``tokens`` rows."""
        if tokens <= 0:
            return _NOTHING
        stair = self.stair
        if stair is None:
            compute = (tokens + self.m0) * self.s_per_row
        else:
            compute = stair.elements(tokens) * self.s_per_element
        moved = self.base_bytes + self.row_bytes * tokens
        memory = moved * self.s_per_byte
        if compute > memory:
            largest, other, bound = compute, memory, 0
        else:
            largest, other, bound = memory, compute, 1
        walk = self.walk
        if walk > largest:
            largest, walk, bound = walk, largest, 3
        body = self._inside(tokens) if self.table else None
        if body is None:
            p = self.p
            total = 1.0 + (other / largest) ** p
            if walk > 0.0:
                total += (walk / largest) ** p
            body = largest * total ** (1.0 / p)
            if self.table:
                body = self._beyond(tokens, body)
        fixed = self.t0 + tokens * self.row_s
        if fixed > body:
            bound = 3
        return (fixed + body, bound, self.flops * tokens, moved, self.base_bytes)

    def measured(self, tokens: float) -> bool:
        """Whether ``tokens`` lie inside the measured rows; True where those are not stated."""
        return self.rows is None or self.rows[0] <= tokens <= self.rows[1]

    def _inside(self, tokens: float) -> float | None:
        """Return the body by the table, or None outside of its rows."""
        table, at = self.table, log(tokens)
        if not table[0][0] - 1e-9 <= at <= table[-1][0] + 1e-9:
            return None
        i = min(max(bisect_right(table, (at, inf)), 1), len(table) - 1)
        (x0, y0), (x1, y1) = table[i - 1], table[i]
        share = min(1.0, max(0.0, (at - x0) / (x1 - x0)))
        return self.elements * exp(y0 + share * (y1 - y0))

    def _beyond(self, tokens: float, roofline_s: float) -> float:
        """Return the roofline's body, scaled so that it meets the end of the table."""
        table = self.table
        edge = table[0] if log(tokens) < table[0][0] else table[-1]
        return self.elements * exp(edge[1]) * roofline_s / self._roofline(exp(edge[0]))

    def _roofline(self, tokens: float) -> float:
        """Return the body of the roofline."""
        if self.stair is None:
            compute = (tokens + self.m0) * self.s_per_row
        else:
            compute = self.stair.elements(tokens) * self.s_per_element
        memory = (self.base_bytes + self.row_bytes * tokens) * self.s_per_byte
        return smooth_max(smooth_max(compute, memory, self.p), self.walk, self.p)


class TrafficOp(TokenOp):
    """Norms, rotations, activations, residuals, look-ups: ``t0 + bytes / bandwidth``."""

    __slots__ = ("bytes_per_token", "s_per_byte", "t0")

    def __init__(
        self,
        name: str,
        scope: str,
        count: float,
        parameters: Parameters,
        *,
        kernels: float,
        bytes_per_token: float,
        bandwidth: float,
    ) -> None:
        super().__init__(name, "elementwise", scope, "any", count)
        self.t0 = kernels * parameters.t0_s
        self.bytes_per_token = bytes_per_token
        self.s_per_byte = 1.0 / (bandwidth * parameters.e_m)
        self.grade = parameters.grade
        self.source = parameters.source

    def evaluate(self, tokens: float) -> Evaluation:
        """Return the cost of one execution over ``tokens`` rows."""
        if tokens <= 0:
            return _NOTHING
        moved = self.bytes_per_token * tokens
        body = moved * self.s_per_byte
        return (self.t0 + body, 3 if self.t0 > body else 1, 0.0, moved, 0.0)


class LinkOp(TokenOp):
    """A collective: the fastest of its kernels, each ``t0 + bytes / rate``."""

    __slots__ = ("bytes_per_token", "network_s_per_byte", "pieces", "ranks")

    def __init__(
        self,
        name: str,
        kind: str,
        scope: str,
        count: float,
        pieces: tuple[Piece, ...],
        bytes_per_token: float,
        ranks: int = 2,
    ) -> None:
        super().__init__(name, kind, scope, "bytes", count)
        self.bytes_per_token = bytes_per_token
        self.ranks = ranks
        self.network_s_per_byte = pieces[0].network_s_per_byte
        """Seconds of the links between nodes, the same in every piece; 0 inside one node."""
        self.pieces = tuple((piece.t0_s, piece.s_per_byte) for piece in pieces)
        self.grade = worst_grade([piece.grade for piece in pieces])
        self.source = pieces[0].source

    def evaluate(self, tokens: float) -> Evaluation:
        """Return the cost of one execution over ``tokens`` rows."""
        if tokens <= 0:
            return _NOTHING
        moved = self.bytes_per_token * tokens
        time_s, floor = min((t0 + moved * slope, t0) for t0, slope in self.pieces)
        return (time_s, 3 if 2.0 * floor > time_s else 2, 0.0, 0.0, 0.0)

    def on_network(self, share: float) -> LinkOp:
        """Return the same collective where the links between nodes yield ``share`` of their rate.

        An exchange with experts moves near and far bytes at once, and the slower part counts;
        other collectives do one after the other.
        """
        far = self.network_s_per_byte
        if not far:
            return self
        made = copy(self)
        if self.kind == "all_to_all":
            made.pieces = tuple([(t0, max(slope, far / share)) for t0, slope in self.pieces])
        else:
            added = far * (1.0 / share - 1.0)
            made.pieces = tuple([(t0, slope + added) for t0, slope in self.pieces])
        return made
